#include "model/answer_formats.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/json_text.h"
#include "base/log.h"
#include "model/answer_frames.h"
#include "model/common_chat.h"

namespace cllm {
namespace {

// Of all tools of a request: llama.cpp takes 20 us for each byte. Calls of tools beyond that are content where a format needs to know
// their parameters.
constexpr std::size_t kMostShapeBytes = std::size_t{32} << 10;
constexpr char kAnyParameters[] = R"({"type":"object"})";

// What decides how answers are built, apart from how the prompt ends.
std::string KeyOf(const ChatPrompt& prompt) {
  std::string key = fmt::format("{} {} {} ", static_cast<int>(prompt.tool_choice.kind), prompt.parallel_tool_calls,
                                static_cast<int>(prompt.reasoning_format));
  const auto add = [&key](const std::string& text) { key += fmt::format("{}:{}", text.size(), text); };
  add(prompt.tool_choice.function);
  for (const auto& [name, value] : prompt.template_arguments) {
    add(name);
    add(value);
  }
  key += ';';
  for (const ChatTool& tool : prompt.tools) {
    add(tool.name);
    add(tool.parameters);
  }
  return key;
}

// The tools that an answer may call, as far as reading it needs them.
std::vector<ChatTool> CallableTools(const ChatPrompt& prompt, bool with_parameters) {
  std::vector<ChatTool> tools;
  std::size_t bytes = 0;
  for (const ChatTool& tool : prompt.tools) {
    if (prompt.tool_choice.kind == ToolChoice::Kind::kFunction && tool.name != prompt.tool_choice.function) continue;
    tools.push_back({.name = tool.name, .description = {}, .parameters = kAnyParameters});
    if (!with_parameters || bytes > kMostShapeBytes) continue;
    std::string shape = ShapeOfSchema(tool.parameters);
    bytes += shape.size();
    if (bytes <= kMostShapeBytes) tools.back().parameters = std::move(shape);
  }
  // The library takes the first name that fits, even where another one begins with it.
  std::ranges::stable_sort(tools, std::greater(), [](const ChatTool& tool) { return tool.name.size(); });
  return tools;
}

common_chat_tool_choice ToCommonChoice(ToolChoice::Kind kind) {
  switch (kind) {
    case ToolChoice::Kind::kNone:
      return COMMON_CHAT_TOOL_CHOICE_NONE;
    case ToolChoice::Kind::kRequired:
    case ToolChoice::Kind::kFunction:
      return COMMON_CHAT_TOOL_CHOICE_REQUIRED;
    case ToolChoice::Kind::kAuto:
      break;
  }
  return COMMON_CHAT_TOOL_CHOICE_AUTO;
}

std::shared_ptr<const AnswerFormat> Build(const common_chat_templates* templates, const ChatPrompt& prompt) {
  common_chat_templates_inputs inputs = ToCommonInputs(prompt);
  inputs.tool_choice = ToCommonChoice(prompt.tool_choice.kind);
  inputs.parallel_tool_calls = prompt.parallel_tool_calls;
  inputs.reasoning_format =
      prompt.reasoning_format == ReasoningFormat::kApart ? COMMON_REASONING_FORMAT_DEEPSEEK : COMMON_REASONING_FORMAT_NONE;
  const bool reads_calls = prompt.may_call();
  const AnswerFormat::Settings settings{.requires_call = inputs.tool_choice == COMMON_CHAT_TOOL_CHOICE_REQUIRED && reads_calls,
                                        .parallel_calls = prompt.parallel_tool_calls,
                                        .reads_calls = reads_calls};
  return AnswerFormat::Make(common_chat_templates_apply(templates, inputs), settings);
}

// The same settings with so little said that rendering takes no time. What a message begins that is to be continued, it still begins.
ChatPrompt WithoutConversation(const ChatPrompt& prompt) {
  ChatPrompt brief = prompt;
  brief.messages = {{.role = "user", .content = "Hi"}};
  if (prompt.continue_final_message && !prompt.messages.empty()) brief.messages.push_back(prompt.messages.back());
  return brief;
}

// Most formats take arguments as JSON, whatever they are.
ChatPrompt WithoutParameters(ChatPrompt prompt) {
  for (ChatTool& tool : prompt.tools) tool.parameters = kAnyParameters;
  return prompt;
}

bool Begins(const AnswerFormat& format, const std::string& text) {
  return format.problem().empty() && text.ends_with(format.generation_prompt());
}

}  // namespace

Result<std::shared_ptr<const AnswerFormat>> AnswerFormats::For(const common_chat_templates* templates, const ChatPrompt& prompt,
                                                               const std::string& text, const StopCheck& stop) {
  const std::string key = prompt.continue_final_message ? std::string() : KeyOf(prompt);
  if (!key.empty()) {
    if (auto known = Find(key, text)) return known;
  }
  ChatPrompt callable = prompt;
  callable.tools = CallableTools(prompt, !prompt.tools.empty() && ReadsParameters(templates, stop));
  std::shared_ptr<const AnswerFormat> format;
  std::string problem;
  const ChatPrompt brief = WithoutConversation(callable);
  for (const ChatPrompt& chat : {brief, WithoutParameters(brief), callable}) {
    const auto built =
        WithinChatTemplateLimits(ChatTemplateLimits(chat), kMostChatTemplateLoadTime, stop, [&] { return Build(templates, chat); });
    if (stop) {
      if (Status wanted = stop(); !wanted) return std::unexpected(wanted.error());
    }
    if (built && Begins(**built, text)) {
      format = *built;
      break;
    }
    problem = !built ? built.error().message : (*built)->problem().empty() ? "the prompt ends otherwise" : (*built)->problem();
  }
  if (format == nullptr) {
    format = AnswerFormat::Plain(problem);
    // Without tools the template's own warning has said so when it was loaded.
    spdlog::log(prompt.tools.empty() ? spdlog::level::debug : spdlog::level::warn,
                "llama.cpp cannot tell how answers of the chat template are built, so they are plain content: {}",
                EscapedForLog(format->problem()));
  }
  const std::lock_guard lock(mutex_);
  ++built_;
  formats_.Keep(key, format);
  return format;
}

// By the example of one tool. Most formats have arguments as JSON, and then llama.cpp is spared the schemas, which take it far longer than
// all else.
bool AnswerFormats::ReadsParameters(const common_chat_templates* templates, const StopCheck& stop) {
  {
    const std::lock_guard lock(mutex_);
    if (reads_parameters_) return *reads_parameters_;
  }
  const ChatPrompt chat{
      .messages = {{.role = "user", .content = "Hi"}},
      .tools = {{.name = "search", .description = {}, .parameters = R"({"type":"object","properties":{"text":{"type":"string"}}})"}}};
  const auto built =
      WithinChatTemplateLimits(ChatTemplateLimits(chat), kMostChatTemplateLoadTime, stop, [&] { return Build(templates, chat); });
  if (!built || (*built)->is_plain()) return true;
  const std::lock_guard lock(mutex_);
  reads_parameters_ = (*built)->reads_parameters();
  return *reads_parameters_;
}

std::shared_ptr<const AnswerFormat> AnswerFormats::Find(const std::string& key, const std::string& text) {
  using Format = std::shared_ptr<const AnswerFormat>;
  const std::lock_guard lock(mutex_);
  return formats_
      .Find(
          key, [&text](const Format& format) { return text.ends_with(format->generation_prompt()); },
          [](const Format& one, const Format& other) { return one->generation_prompt().size() > other->generation_prompt().size(); })
      .value_or(nullptr);
}

Result<std::shared_ptr<const AnswerFrame>> AnswerFormats::Frame(const common_chat_templates* templates, const ChatPrompt& prompt,
                                                                const StopCheck& stop) {
  using Frame = std::shared_ptr<const AnswerFrame>;
  if (!prompt.may_call() && !prompt.is_constrained) return nullptr;
  std::string key = fmt::format("{} {} ", prompt.is_constrained, prompt.continue_final_message) + KeyOf(prompt);
  {
    const std::lock_guard lock(mutex_);
    const auto any = [](const auto&...) { return true; };
    if (const auto known = frames_.Find(key, any, any)) return *known;
  }
  Result<Frame> made = FrameFor(templates, prompt, stop);
  if (!made) return made;
  const std::lock_guard lock(mutex_);
  frames_.Keep(std::move(key), *made);
  return made;
}

std::size_t AnswerFormats::built() const {
  const std::lock_guard lock(mutex_);
  return built_;
}

}  // namespace cllm
