#include "model/answer_frames.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "model/common_chat.h"

namespace cllm {
namespace {

// Where several calls are asked for. A small model would go on and on.
constexpr int kMostFramedCalls = 16;
// Of all tools, where llama.cpp's own rules for them are wanted, and nobody demands a call: it takes 20 us for each byte.
constexpr std::size_t kMostParameterBytes = std::size_t{32} << 10;

// The same settings with nothing said. Schemas are placeholders: what they ask for is not llama.cpp's to enforce.
common_chat_templates_inputs FrameInputs(const ChatPrompt& prompt) {
  ChatPrompt brief = prompt;
  brief.messages = {{.role = "user", .content = "Hi"}};
  brief.continue_final_message = false;
  brief.add_generation_prompt = true;
  brief.tools.clear();
  common_chat_templates_inputs inputs = ToCommonInputs(brief);
  inputs.reasoning_format =
      prompt.reasoning_format == ReasoningFormat::kApart ? COMMON_REASONING_FORMAT_DEEPSEEK : COMMON_REASONING_FORMAT_NONE;
  return inputs;
}

// `holds_places`: schemas are placeholders.
common_chat_params CallParams(const common_chat_templates* templates, const ChatPrompt& prompt, common_chat_tool_choice choice,
                              bool holds_places) {
  common_chat_templates_inputs inputs = FrameInputs(prompt);
  for (std::size_t i = 0; i < prompt.tools.size(); ++i) {
    const ChatTool& tool = prompt.tools[i];
    if (prompt.tool_choice.kind == ToolChoice::Kind::kFunction && tool.name != prompt.tool_choice.function) continue;
    inputs.tools.push_back({.name = tool.name, .description = {}, .parameters = holds_places ? FramePlaceholder(i) : tool.parameters});
  }
  inputs.tool_choice = choice;
  inputs.parallel_tool_calls = prompt.parallel_tool_calls;
  return common_chat_templates_apply(templates, inputs);
}

// Where a model writes arguments as JSON, their schemas stand in the frame. Where it writes each between marks of its own, llama.cpp's
// grammar leads it to a call of the right form, and whether that keeps its schema is looked at when it is there.
common_chat_params CallParams(const common_chat_templates* templates, const ChatPrompt& prompt, common_chat_tool_choice choice) {
  common_chat_params params = CallParams(templates, prompt, choice, /*holds_places=*/true);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < prompt.tools.size(); ++i) {
    if (params.grammar.contains(PlaceInFrame(i))) return params;
    bytes += prompt.tools[i].parameters.size();
  }
  if (bytes > kMostParameterBytes && choice != COMMON_CHAT_TOOL_CHOICE_REQUIRED) return {};
  return CallParams(templates, prompt, choice, /*holds_places=*/false);
}

AnswerFrame CallsFrame(const common_chat_templates* templates, const ChatPrompt& prompt) {
  const common_chat_params params = CallParams(templates, prompt, COMMON_CHAT_TOOL_CHOICE_REQUIRED);
  return {.grammar = CallsAlone(params.grammar, prompt.parallel_tool_calls ? kMostFramedCalls : 1), .begun = params.generation_prompt};
}

common_chat_params ContentParams(const common_chat_templates* templates, const ChatPrompt& prompt) {
  common_chat_templates_inputs inputs = FrameInputs(prompt);
  inputs.json_schema = FramePlaceholder(prompt.tools.size());
  return common_chat_templates_apply(templates, inputs);
}

AnswerFrame ContentFrame(const common_chat_templates* templates, const ChatPrompt& prompt) {
  const common_chat_params params = ContentParams(templates, prompt);
  if (params.thinking_end_tags.empty() && !params.supports_thinking) return {};
  return {.grammar = WithoutFences(params.grammar), .begun = params.generation_prompt};
}

AnswerFrame CallsOrContentFrame(const common_chat_templates* templates, const ChatPrompt& prompt) {
  AnswerFrame frame = CallsFrame(templates, prompt);
  const common_chat_params content = ContentParams(templates, prompt);
  if (content.grammar.empty() || content.generation_prompt != frame.begun) return {};
  frame.content_grammar = WithoutFences(content.grammar);
  return frame;
}

// llama.cpp's grammar for calls alone, and the words that begin it. A format that marks calls otherwise than by a word is read without
// a mask.
AnswerFrame TriggeredFrame(const common_chat_templates* templates, const ChatPrompt& prompt) {
  const common_chat_params params = CallParams(templates, prompt, COMMON_CHAT_TOOL_CHOICE_AUTO);
  if (!params.grammar_lazy) return {};
  AnswerFrame frame{.grammar = WithWrittenEmptiness(params.grammar)};
  for (const common_grammar_trigger& trigger : params.grammar_triggers) {
    // Which spaces follow is the grammar's to say.
    const std::string word = trigger.value.substr(0, trigger.value.find_last_not_of(" \t\r\n") + 1);
    if (trigger.type != COMMON_GRAMMAR_TRIGGER_TYPE_WORD || word.empty()) return {};
    frame.triggers.push_back(word);
  }
  return frame.triggers.empty() ? AnswerFrame() : frame;
}

using MakeFrame = AnswerFrame (*)(const common_chat_templates* templates, const ChatPrompt& prompt);

MakeFrame FrameOf(const ChatPrompt& prompt) {
  if (prompt.demands_call()) return CallsFrame;
  const bool is_constrained = prompt.is_constrained && !prompt.continue_final_message;
  if (prompt.may_call() && prompt.is_constrained) return is_constrained ? CallsOrContentFrame : nullptr;
  if (prompt.may_call()) return TriggeredFrame;
  return is_constrained ? ContentFrame : nullptr;
}

}  // namespace

Result<std::shared_ptr<const AnswerFrame>> FrameFor(const common_chat_templates* templates, const ChatPrompt& prompt,
                                                    const StopCheck& stop) {
  const MakeFrame make = FrameOf(prompt);
  if (make == nullptr) return nullptr;
  const auto made =
      WithinChatTemplateLimits(ChatTemplateLimits(prompt), kMostChatTemplateLoadTime, stop, [&] { return make(templates, prompt); });
  if (stop) {
    if (Status wanted = stop(); !wanted) return std::unexpected(wanted.error());
  }
  if (!made || made->grammar.empty()) return nullptr;
  return std::make_shared<const AnswerFrame>(*made);
}

}  // namespace cllm
