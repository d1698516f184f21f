// Chat messages → prompt text, by the template that the GGUF file carries or that the user gave.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop_check.h"
#include "model/answer_format.h"
#include "model/answer_frame.h"
#include "model/marked_text.h"
#include "model/model.h"

namespace cllm {

struct ChatToolCall {
  std::string id = {};
  std::string name = {};
  std::string arguments = {};  // JSON text
  bool operator==(const ChatToolCall&) const = default;
};

struct ChatMessage {
  std::string role = {};  // system | developer | user | assistant | tool; checked by whoever reads the request
  std::string content = {};
  std::vector<std::string> text_parts = {};  // instead of content, for templates that know parts
  std::string reasoning_content = {};        // what an assistant thought before its content
  std::string name = {};
  std::string tool_call_id = {};
  std::vector<ChatToolCall> tool_calls = {};

  // The content as one text.
  std::string Text() const;
  bool operator==(const ChatMessage&) const = default;
};

struct ChatTool {
  std::string name = {};
  std::string description = {};
  std::string parameters = {};  // a JSON schema, as text
  std::string enforced = {};    // as much of it as a grammar keeps; empty: any object
  bool is_strict = false;       // a call that breaks its schema is an error, whoever asked for it
  std::string place = {};       // of its schema in the request, for messages
};

// Which tools an answer may call.
struct ToolChoice {
  enum class Kind : std::uint8_t {
    kAuto,
    kNone,
    kRequired,  // at least one
    kFunction,  // this one
  };
  Kind kind = Kind::kAuto;
  std::string function = {};  // its name

  bool demands() const { return kind == Kind::kRequired || kind == Kind::kFunction; }
  bool operator==(const ToolChoice&) const = default;
};

enum class ReasoningFormat : std::uint8_t {
  kApart,      // what the model thinks is a part of its own
  kInContent,  // it is content, with its marks
};

struct ChatPrompt {
  std::vector<ChatMessage> messages = {};
  // Variables of the template, each value as JSON text: {"enable_thinking", "false"}. See CheckTemplateArguments.
  std::map<std::string, std::string> template_arguments = {};
  std::vector<ChatTool> tools = {};
  bool add_generation_prompt = true;
  // The last message is the beginning of the answer.
  bool continue_final_message = false;
  // How the answer is read. The prompt is the same for all of them.
  ToolChoice tool_choice = {};
  bool parallel_tool_calls = true;
  ReasoningFormat reasoning_format = ReasoningFormat::kApart;
  // The content of the answer has to fit a grammar.
  bool is_constrained = false;
  // Most tokens of thoughts: then they are closed. Absent: as many as the model likes.
  std::optional<int> reasoning_budget = {};

  bool may_call() const { return !tools.empty() && tool_choice.kind != ToolChoice::Kind::kNone; }
  bool demands_call() const { return !tools.empty() && tool_choice.demands(); }
};

struct RenderedChat {
  MarkedText prompt;
  std::shared_ptr<const AnswerFormat> format;
  // Where calls may come, or content that has to fit a grammar stands behind something else. Its part i are the arguments of the prompt's
  // tool i, the part after those is the content.
  std::shared_ptr<const AnswerFrame> frame = nullptr;
};

// Names that a request may not give to arguments of its own: what the renderer sets itself, and functions of templates.
Status CheckTemplateArguments(const std::map<std::string, std::string>& arguments);

// Adapter to llama.cpp's template engine. Render is thread safe. Whatever a template does, its work, depth, memory, output and
// time are bounded.
class ChatTemplate {
 public:
  // `override` is a template's text, or the name of one of llama.cpp's; where it is empty the file's own is taken, and ChatML
  // where it has none. An override that cannot be used is an error, a file's template that cannot be used is a warning:
  // then each Render is an error. `model` outlives the template.
  static Result<std::unique_ptr<ChatTemplate>> FromModel(const Model& model, const std::string& override = {});
  // Without a model: a text that is to be looked at. What a template says of it, status() does.
  static std::unique_ptr<ChatTemplate> FromText(const std::string& text, const std::string& bos = {}, const std::string& eos = {});
  ~ChatTemplate();

  // The prompt, ready for the assistant's answer. It holds no BOS that Tokenize(add_special) adds again.
  Result<MarkedText> Render(const ChatPrompt& prompt, const StopCheck& stop = {}) const;

  // The same prompt, and how answers to it are built. Where that cannot be told they are plain content; that is no error.
  Result<RenderedChat> Prepare(const ChatPrompt& prompt, const StopCheck& stop = {}) const;
  // For people: what answers may hold beside content, and what marks it.
  std::string FormatName() const;

  // Why it cannot be used.
  const Status& status() const { return status_; }
  // What the owner of a server should know, one sentence each.
  const std::vector<std::string>& warnings() const { return warnings_; }
  const std::string& source() const { return source_; }

 private:
  struct Engine;
  explicit ChatTemplate(std::string source);

  void Load(const Model* model, const std::string& override, const std::string& bos, const std::string& eos);
  Status Try() const;
  void TryParser();
  // Whether tools have to be a part of the messages, because the template knows none.
  bool PutsToolsIntoText(const ChatPrompt& prompt) const;

  std::unique_ptr<Engine> engine_;
  std::string source_;
  std::string builtin_;  // a name of llama.cpp's that is no Jinja template
  Status status_;
  std::vector<std::string> warnings_;
};

}  // namespace cllm
