#include "model/answer_formats.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/json_text.h"
#include "base/log.h"
#include "model/common_chat.h"

namespace cllm {
namespace {

constexpr std::size_t kMostFormats = 64;
// Of all tools of a request: llama.cpp takes 20 us for each byte. Calls of tools beyond that are content where a format needs to know
// their parameters.
constexpr std::size_t kMostShapeBytes = std::size_t{32} << 10;
constexpr char kAnyParameters[] = R"({"type":"object"})";
constexpr std::size_t kMostKeyBytes = std::size_t{1} << 20;

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
  Keep(key, format);
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
  const std::lock_guard lock(mutex_);
  auto best = entries_.end();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->key != key || !text.ends_with(entry->format->generation_prompt())) continue;
    const bool is_longer = best == entries_.end() || entry->format->generation_prompt().size() > best->format->generation_prompt().size();
    if (is_longer) best = entry;
  }
  if (best == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, best);
  return best->format;
}

void AnswerFormats::Keep(std::string key, std::shared_ptr<const AnswerFormat> format) {
  const std::lock_guard lock(mutex_);
  ++built_;
  if (key.empty() || key.size() > kMostKeyBytes / 4) return;
  key_bytes_ += key.size();
  entries_.push_front({.key = std::move(key), .format = std::move(format)});
  while (entries_.size() > kMostFormats || key_bytes_ > kMostKeyBytes) {
    key_bytes_ -= entries_.back().key.size();
    entries_.pop_back();
  }
}

std::size_t AnswerFormats::built() const {
  const std::lock_guard lock(mutex_);
  return built_;
}

}  // namespace cllm
