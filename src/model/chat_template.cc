#include "model/chat_template.h"

#include <llama.h>

#include <chrono>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "model/answer_formats.h"
#include "model/builtin_template.h"
#include "model/common_chat.h"
#include "model/generic_tools.h"

namespace cllm {
namespace {

constexpr std::size_t kMostTemplateBytes = std::size_t{1} << 20;
// Of one rendering, a second or so; the templates of llama.cpp's collection take some hundred steps a message.
constexpr std::size_t kMostSteps = 10'000'000;
constexpr std::size_t kStepsPerMessage = 10'000;
constexpr std::size_t kMostValues = 500'000;
constexpr std::size_t kMostDepth = 400;
// Strings are copied on the way out of each block, so a long conversation is seen many times.
constexpr std::size_t kMostStringBytes = std::size_t{128} << 20;
constexpr std::size_t kStringBytesPerInputByte = 64;
constexpr std::size_t kMostOutputBytes = std::size_t{4} << 20;
constexpr std::size_t kOutputBytesPerInputByte = 4;
constexpr std::chrono::seconds kMostRenderTime(30);
constexpr std::size_t kMostLoadSteps = 2'000'000;

constexpr const char* kName = kChatTemplateName;

std::size_t InputBytes(const ChatPrompt& prompt) {
  std::size_t bytes = 0;
  for (const ChatMessage& message : prompt.messages) {
    bytes += message.role.size() + message.content.size() + message.reasoning_content.size() + message.name.size();
    for (const std::string& part : message.text_parts) bytes += part.size();
    for (const ChatToolCall& call : message.tool_calls) bytes += call.name.size() + call.arguments.size() + call.id.size();
  }
  for (const ChatTool& tool : prompt.tools) bytes += tool.name.size() + tool.description.size() + tool.parameters.size();
  for (const auto& [name, value] : prompt.template_arguments) bytes += name.size() + value.size();
  return bytes;
}

common_chat_msg ToCommon(const ChatMessage& message) {
  common_chat_msg common;
  common.role = message.role;
  common.content = message.content;
  for (const std::string& part : message.text_parts) common.content_parts.push_back({.type = "text", .text = part});
  common.reasoning_content = message.reasoning_content;
  common.tool_name = message.name;
  common.tool_call_id = message.tool_call_id;
  for (const ChatToolCall& call : message.tool_calls) {
    common.tool_calls.push_back({.name = call.name, .arguments = call.arguments, .id = call.id});
  }
  return common;
}

MarkedText ToMarked(const jinja::string& string) {
  MarkedText marked;
  for (const jinja::string_part& part : string.parts) {
    const std::size_t begin = marked.text.size();
    marked.text += part.val;
    if (part.is_input || part.val.empty()) continue;
    if (!marked.trusted.empty() && marked.trusted.back().end == begin) {
      marked.trusted.back().end = marked.text.size();
    } else {
      marked.trusted.push_back({begin, marked.text.size()});
    }
  }
  return marked;
}

// A format without Jinja knows contents alone.
Result<MarkedText> RenderWithBuiltin(const std::string& name, const ChatPrompt& prompt) {
  std::vector<BuiltinMessage> messages;
  for (const ChatMessage& message : prompt.messages) {
    messages.push_back({.role = message.role == "developer" ? "system" : message.role, .content = message.Text()});
  }
  std::string beginning;
  const bool continues = prompt.continue_final_message && !messages.empty();
  if (continues) {
    beginning = std::move(messages.back().content);
    messages.pop_back();
  }
  Result<MarkedText> marked = RenderBuiltin(name, messages, prompt.add_generation_prompt || continues);
  if (marked) marked->text += beginning;
  return marked;
}

ChatPrompt ShortChat() {
  return {.messages = {{.role = "user", .content = "Hi"}, {.role = "assistant", .content = "Hello"}, {.role = "user", .content = "Bye"}}};
}

std::string TextOf(const Model& model) {
  for (const char* name : {static_cast<const char*>(nullptr), "tool_use"}) {
    if (const char* text = llama_model_chat_template(model.handle(), name); text != nullptr && *text != '\0') return text;
  }
  return {};
}

bool HasTwoTemplates(const Model* model, const std::string& override) {
  return model != nullptr && override.empty() && llama_model_chat_template(model->handle(), nullptr) != nullptr &&
         llama_model_chat_template(model->handle(), "tool_use") != nullptr;
}

// The variables of the model's own template say nothing to another.
ChatPrompt GenericPrompt(const ChatPrompt& prompt) {
  ChatPrompt generic = prompt;
  generic.template_arguments.clear();
  return generic;
}

}  // namespace

jinja::limits ChatTemplateLimits(const ChatPrompt& prompt) {
  const std::size_t input = InputBytes(prompt);
  jinja::limits limits;
  limits.max_depth = kMostDepth;
  limits.max_steps = kMostSteps + kStepsPerMessage * prompt.messages.size();
  limits.max_values = kMostValues;
  limits.max_bytes = kMostStringBytes + kStringBytesPerInputByte * input;
  limits.max_output = kMostOutputBytes + kOutputBytesPerInputByte * input;
  return limits;
}

std::string ChatTemplateBound(const jinja::limit_exceeded& exceeded, const jinja::limits& limits) {
  switch (exceeded.what) {
    case jinja::limit_exceeded::depth:
      return fmt::format("{} nests calls, blocks or values more than {} levels deep", kName, limits.max_depth);
    case jinja::limit_exceeded::steps:
      return fmt::format("{} takes more than {} steps of work", kName, limits.max_steps);
    case jinja::limit_exceeded::values:
      return fmt::format("{} holds more than {} values at a time", kName, limits.max_values);
    case jinja::limit_exceeded::bytes:
      return fmt::format("{} makes more than {} bytes of strings and lists", kName, limits.max_bytes);
    case jinja::limit_exceeded::output:
      return fmt::format("{} writes more than {} bytes of output", kName, limits.max_output);
    case jinja::limit_exceeded::stopped:
      break;
  }
  return fmt::format("{} was stopped", kName);
}

std::string FirstLineOfMessage(std::string_view text) {
  while (!text.empty() && text.front() == '\n') text.remove_prefix(1);
  return std::string(text.substr(0, text.find('\n')));
}

common_chat_templates_inputs ToCommonInputs(const ChatPrompt& prompt) {
  common_chat_templates_inputs inputs;
  inputs.use_jinja = true;
  inputs.add_generation_prompt = prompt.add_generation_prompt;
  if (prompt.continue_final_message) inputs.continue_final_message = COMMON_CHAT_CONTINUATION_AUTO;
  inputs.chat_template_kwargs = prompt.template_arguments;
  if (const auto thinking = prompt.template_arguments.find("enable_thinking"); thinking != prompt.template_arguments.end()) {
    inputs.enable_thinking = thinking->second != "false";
  }
  for (const ChatMessage& message : prompt.messages) inputs.messages.push_back(ToCommon(message));
  for (const ChatTool& tool : prompt.tools) {
    inputs.tools.push_back({.name = tool.name, .description = tool.description, .parameters = tool.parameters});
  }
  return inputs;
}

std::string ChatMessage::Text() const {
  std::string text = content;
  for (const std::string& part : text_parts) text += (text.empty() ? "" : "\n") + part;
  return text;
}

Status CheckTemplateArguments(const std::map<std::string, std::string>& arguments) {
  static const std::set<std::string, std::less<>> kReserved = {"messages",
                                                               "tools",
                                                               "add_generation_prompt",
                                                               "continue_final_message",
                                                               "bos_token",
                                                               "eos_token",
                                                               "true",
                                                               "True",
                                                               "false",
                                                               "False",
                                                               "none",
                                                               "None",
                                                               "loop",
                                                               "caller"};
  for (const auto& [name, value] : arguments) {
    if (!kReserved.contains(name) && !jinja::global_builtins().contains(name)) continue;
    return InvalidArgument(fmt::format("chat_template_kwargs may not set {}, which the chat template has from the server", name),
                           "chat_template_kwargs");
  }
  return {};
}

struct ChatTemplate::Engine {
  common_chat_templates_ptr templates;
  // For what answers hold, none of which is the token that ends them: llama.cpp takes that for a mark of calls. Absent where the file has a
  // template of its own for tools.
  common_chat_templates_ptr answers;
  AnswerFormats formats;
  bool knows_tools = false;
  bool knows_system = true;
  // For answers that call tools which the template doesn't know.
  common_chat_templates_ptr generic = common_chat_templates_init(nullptr, GenericToolTemplate());
  AnswerFormats generic_formats;
};

ChatTemplate::ChatTemplate(std::string source) : engine_(std::make_unique<Engine>()), source_(std::move(source)) {}
ChatTemplate::~ChatTemplate() = default;

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::FromModel(const Model& model, const std::string& override) {
  const bool overridden = !override.empty();
  std::unique_ptr<ChatTemplate> made(new ChatTemplate(overridden ? override : TextOf(model)));
  made->Load(&model, override, {}, {});
  if (overridden && !made->status_) return InvalidArgument(made->status_.error().message, "model.chat_template");
  if (made->source_.empty()) made->warnings_.emplace_back("the file has no chat template: chats use ChatML");
  return made;
}

std::unique_ptr<ChatTemplate> ChatTemplate::FromText(const std::string& text, const std::string& bos, const std::string& eos) {
  std::unique_ptr<ChatTemplate> made(new ChatTemplate(text));
  made->Load(nullptr, text.empty() ? "chatml" : text, bos, eos);
  return made;
}

void ChatTemplate::Load(const Model* model, const std::string& override, const std::string& bos, const std::string& eos) {
  if (override != "chatml" && IsBuiltinTemplate(override)) {
    builtin_ = override;
    return;
  }
  const auto loaded = [&]() -> Status {
    if (source_.size() > kMostTemplateBytes) return InvalidArgument(fmt::format("{} has more than {} bytes", kName, kMostTemplateBytes));
    jinja::limits limits;
    limits.max_depth = kMostDepth;
    limits.max_steps = kMostLoadSteps;
    const auto made = WithinChatTemplateLimits(limits, kMostChatTemplateLoadTime, {}, [&] {
      engine_->templates = common_chat_templates_init(model == nullptr ? nullptr : model->handle(), override, bos, eos);
      if (!HasTwoTemplates(model, override)) engine_->answers = common_chat_templates_init(nullptr, source_.empty() ? "chatml" : source_);
      return true;
    });
    if (!made) return std::unexpected(made.error());
    const auto capabilities = common_chat_templates_get_caps(engine_->templates.get());
    engine_->knows_tools = capabilities.at("supports_tools") || capabilities.at("supports_tool_calls");
    engine_->knows_system = capabilities.at("supports_system_role");
    return Try();
  }();
  if (loaded && model != nullptr) TryParser();
  if (!loaded) {
    status_ = InvalidArgument(fmt::format("the chat template cannot be used: {}", loaded.error().message), "messages");
    warnings_.push_back(status_.error().message + "; chats are refused, all else is served");
  }
}

// Whether the template comes to an end. What it refuses is up to itself.
Status ChatTemplate::Try() const {
  const ChatPrompt chat = ShortChat();
  jinja::limits limits = ChatTemplateLimits(chat);
  limits.max_steps = kMostLoadSteps;
  bool within = true;
  const auto rendered = WithinChatTemplateLimits(limits, kMostChatTemplateLoadTime, {}, [&] {
    try {
      return common_chat_templates_render(engine_->templates.get(), ToCommonInputs(chat)).length();
    } catch (const jinja::limit_exceeded&) {
      within = false;
      throw;
    }
  });
  return rendered || within ? Status() : std::unexpected(rendered.error());
}

// llama.cpp derives from a template how its answers are to be parsed, where it can.
void ChatTemplate::TryParser() {
  const ChatPrompt chat = ShortChat();
  const auto render = [&] { return common_chat_templates_render(engine_->templates.get(), ToCommonInputs(chat)).length(); };
  const auto parse = [&] { return common_chat_templates_apply(engine_->templates.get(), ToCommonInputs(chat)).prompt.size(); };
  if (!WithinChatTemplateLimits(ChatTemplateLimits(chat), kMostChatTemplateLoadTime, {}, render) ||
      WithinChatTemplateLimits(ChatTemplateLimits(chat), kMostChatTemplateLoadTime, {}, parse))
    return;
  warnings_.emplace_back("llama.cpp cannot tell how the answers of the chat template are built: they are plain content");
}

Result<MarkedText> ChatTemplate::Render(const ChatPrompt& prompt, const StopCheck& stop) const {
  if (!status_) return std::unexpected(status_.error());
  if (Status status = CheckTemplateArguments(prompt.template_arguments); !status) return std::unexpected(status.error());
  if (PutsToolsIntoText(prompt)) return Render(WithToolsAsText(prompt, engine_->knows_system), stop);
  if (!builtin_.empty()) return RenderWithBuiltin(builtin_, prompt);
  return WithinChatTemplateLimits(ChatTemplateLimits(prompt), kMostRenderTime, stop,
                                  [&] { return ToMarked(common_chat_templates_render(engine_->templates.get(), ToCommonInputs(prompt))); });
}

bool ChatTemplate::PutsToolsIntoText(const ChatPrompt& prompt) const {
  if (engine_->knows_tools) return false;
  return !prompt.tools.empty() || std::ranges::any_of(prompt.messages, [](const ChatMessage& message) {
    return message.role == "tool" || !message.tool_calls.empty();
  });
}

Result<RenderedChat> ChatTemplate::Prepare(const ChatPrompt& prompt, const StopCheck& stop) const {
  Result<MarkedText> text = Render(prompt, stop);
  if (!text) return std::unexpected(text.error());
  const bool is_open = prompt.add_generation_prompt || prompt.continue_final_message;
  const bool is_generic = !engine_->knows_tools && !prompt.tools.empty() && !prompt.continue_final_message;
  if (!is_open || (!builtin_.empty() && !is_generic)) return RenderedChat{.prompt = std::move(*text), .format = AnswerFormat::Plain()};
  const common_chat_templates_ptr& own = engine_->answers ? engine_->answers : engine_->templates;
  const common_chat_templates* templates = (is_generic ? engine_->generic : own).get();
  AnswerFormats& formats = is_generic ? engine_->generic_formats : engine_->formats;
  const ChatPrompt generic = is_generic ? GenericPrompt(prompt) : ChatPrompt();
  const ChatPrompt& asked = is_generic ? generic : prompt;
  auto format = formats.For(templates, asked, is_generic ? kGenericAnswerBegins : text->text, stop);
  if (!format) return std::unexpected(format.error());
  auto frame = formats.Frame(templates, asked, stop);
  if (!frame) return std::unexpected(frame.error());
  return RenderedChat{.prompt = std::move(*text), .format = std::move(*format), .frame = std::move(*frame)};
}

std::string ChatTemplate::FormatName() const {
  ChatPrompt chat = ShortChat();
  chat.tools = {
      {.name = "search", .description = "Searches", .parameters = R"({"type":"object","properties":{"query":{"type":"string"}}})"}};
  const Result<RenderedChat> prepared = Prepare(chat);
  return prepared ? prepared->format->Description() : AnswerFormat::Plain()->Description();
}

}  // namespace cllm
