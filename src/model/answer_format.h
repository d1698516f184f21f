// The text of an answer → typed parts: content, reasoning, tool calls. Adapter to llama.cpp's parsers of answers.
//
// Nothing of a text is lost, and no part is taken back: what cannot be interpreted is content.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/status.h"
#include "model/answer_part.h"

struct common_chat_params;

namespace cllm {

class AnswerGrammar;
struct ParsedAnswer;
struct ParsedCall;

// A new id for a call: "call_" and 128 random bits.
std::string RandomCallId();

// What was sent of the text that an AnswerParser keeps.
struct SentAnswer {
  struct Call {
    int index;  // in the answer
    std::string name;
    std::string arguments;
    bool is_complete;
  };
  std::string content;
  std::string reasoning;
  std::vector<Call> calls;
};

// Where an AnswerParser is in its text. Copied from format to parser: an answer begins behind what its prompt has opened.
struct AnswerState {
  // What is still to be parsed. Of text that has passed without being parsed it holds nothing, since leaving bytes out of a stretch
  // that only a delimiter ends changes nothing of what comes behind it.
  std::string buffer = {};
  SentAnswer sent = {};
  // Up to here the buffer leads to a state from which text can go on, as often as it has to: calls and false alarms are cut off
  // behind it.
  std::size_t resume = 0;
  SentAnswer sent_at_resume = {};
  std::optional<AnswerPart::Kind> kind_at_resume = {};
  // Text passes as this kind until a delimiter comes.
  std::optional<AnswerPart::Kind> passing = {};
  std::string held = {};  // may be the beginning of one
  std::size_t seen_end = 0;
  std::size_t next_parse = 0;  // size of the buffer
  bool is_reasoning = false;   // as of the last time that it was parsed
  bool is_plain = false;       // all that follows is content
};

// How the answers to one kind of prompt are built. Immutable, shared by the answers of a request and by requests.
class AnswerFormat {
 public:
  struct Settings {
    bool requires_call = false;  // an answer without a call that can be read is an error
    bool parallel_calls = true;  // what follows the first call is content
    bool reads_calls = false;
  };

  // Answers are content.
  static std::shared_ptr<const AnswerFormat> Plain(std::string problem = {});
  // Where the library's parser cannot be used: plain, with the problem.
  static std::shared_ptr<const AnswerFormat> Make(const common_chat_params& params, const Settings& settings);
  ~AnswerFormat();

  bool is_plain() const { return grammar_ == nullptr; }
  // Why answers are plain content although they could hold more; else empty.
  const std::string& problem() const { return problem_; }
  // What the prompt ends with for the answer to begin.
  const std::string& generation_prompt() const { return generation_prompt_; }
  // Control tokens whose text the parser wants to see.
  const std::vector<std::string>& preserved_tokens() const { return preserved_tokens_; }
  // Texts that end an answer beside the model's own tokens.
  const std::vector<std::string>& additional_stops() const { return additional_stops_; }
  // What opens thoughts, which the model or the prompt may write, and what closes them, the usual text first. No end: there are no
  // thoughts; no start: an answer begins with them.
  const std::string& thinking_start() const { return thinking_start_; }
  const std::vector<std::string>& thinking_ends() const { return thinking_ends_; }
  // The prompt ends within thoughts.
  bool opens_thoughts() const { return opens_thoughts_; }
  // Whether reading its calls needs the tools' parameters.
  bool reads_parameters() const;
  // For people: "calls after <tool_call>, reasoning from <think> to </think>".
  std::string Description() const;

 private:
  friend class AnswerParser;
  AnswerFormat() = default;

  std::unique_ptr<const AnswerGrammar> grammar_;
  Settings settings_;
  AnswerState start_;
  std::string problem_;
  std::string generation_prompt_;
  std::vector<std::string> preserved_tokens_;
  std::vector<std::string> additional_stops_;
  std::string call_marker_;
  std::string thinking_start_;
  std::vector<std::string> thinking_ends_;
  bool opens_thoughts_ = false;
};

// One answer. What it gives depends on its text alone, not on the pieces in which that comes. All parsing together reads at most
// kMostParsedBytes + kMostParsedPerByte times the text; a text that wants more is content from there on.
class AnswerParser {
 public:
  static constexpr std::size_t kMostParsedBytes = std::size_t{256} << 10;
  static constexpr std::size_t kMostParsedPerByte = 128;

  explicit AnswerParser(std::shared_ptr<const AnswerFormat> format, std::function<std::string()> new_call_id = RandomCallId);

  // `text` ends with a whole character.
  std::vector<AnswerPart> Add(std::string_view text);
  // The last parts. `complete`: the model ended the answer itself; then the lack of a required call is an error.
  Result<std::vector<AnswerPart>> End(bool complete);

  // The text so far ends in reasoning, or has opened it.
  bool in_reasoning() const { return state_.passing ? state_.passing == AnswerPart::Kind::kReasoning : state_.is_reasoning; }
  // Something could not be interpreted after a part of it was sent, or looked as if it could: the rest came as content.
  bool fell_back() const { return fell_back_; }
  int calls() const { return calls_; }
  // What it cost so far.
  std::size_t parsed_bytes() const { return parsed_bytes_; }

 private:
  friend class AnswerFormat;
  using Kind = AnswerPart::Kind;
  struct Waiting {
    std::string text;
    std::size_t read;
    bool is_new;  // not looked at before
  };
  // For the format: reads what the prompt has opened.
  explicit AnswerParser(const AnswerFormat& format);

  void Drain();
  void Read(Waiting& waiting, std::size_t depth);
  template <typename Advance>
  void Pass(std::string_view text, const Advance& advance);
  void EnterDelimiter(std::string_view delimiter);
  void Parse(bool is_last);
  void Take(const ParsedAnswer& parsed);
  bool Deliver(const ParsedAnswer& parsed, bool is_decided);
  void DeliverContent(const ParsedAnswer& parsed, std::size_t size);
  bool DeliverCalls(const ParsedAnswer& parsed);
  void StopBehindFirstCall(const ParsedAnswer& parsed);
  bool Extends(const ParsedAnswer& parsed) const;
  void EnterPassing(const ParsedAnswer& parsed);
  void CutCalls(const ParsedAnswer& parsed);
  bool ShowsMore(const ParsedAnswer& parsed) const;
  void Leave(const ParsedAnswer& parsed);
  void Refuse();
  void ResumeWith(std::string text);
  void FallBack(std::size_t from);
  void BePlain(std::size_t from);
  bool EndsInMarks();
  void FinishStretch();

  void Send(Kind kind, std::string_view text);
  void SendCall(int index, const ParsedCall* begun, std::string_view arguments);
  void SendSpaces();
  std::string IdFor(const std::string& own);

  std::shared_ptr<const AnswerFormat> owner_;
  const AnswerFormat& format_;
  std::function<std::string()> new_call_id_;
  AnswerState state_;
  std::vector<Waiting> waiting_;  // the last one comes first
  std::vector<AnswerPart> parts_;
  std::string spaces_;          // of content, that are sent with what follows them
  std::string thought_spaces_;  // of reasoning, before its first other character
  bool has_thought_ = false;
  bool has_uncertain_call_ = false;
  bool has_content_ = false;  // since the last call
  std::unordered_set<std::string> ids_;
  int calls_ = 0;
  int complete_calls_ = 0;
  bool fell_back_ = false;
  std::size_t text_bytes_ = 0;
  std::size_t parsed_bytes_ = 0;
};

}  // namespace cllm
