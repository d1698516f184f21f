#include "model/answer_frames.h"

#include <cstddef>
#include <utility>
#include <vector>

#include "model/common_chat.h"

namespace cllm {
namespace {

// Where several calls are asked for. A small model would go on and on.
constexpr int kMostFramedCalls = 16;

// The same settings with nothing said. Schemas are placeholders: what they ask for is not llama.cpp's to enforce.
common_chat_templates_inputs FrameInputs(const ChatPrompt& prompt) {
  ChatPrompt brief = prompt;
  brief.messages = {{.role = "user", .content = "Hi"}};
  brief.tools.clear();
  common_chat_templates_inputs inputs = ToCommonInputs(brief);
  inputs.reasoning_format =
      prompt.reasoning_format == ReasoningFormat::kApart ? COMMON_REASONING_FORMAT_DEEPSEEK : COMMON_REASONING_FORMAT_NONE;
  return inputs;
}

// `holds_places`: schemas are placeholders.
AnswerFrame CallsFrame(const common_chat_templates* templates, const ChatPrompt& prompt, bool holds_places) {
  common_chat_templates_inputs inputs = FrameInputs(prompt);
  for (std::size_t i = 0; i < prompt.tools.size(); ++i) {
    const ChatTool& tool = prompt.tools[i];
    if (prompt.tool_choice.kind == ToolChoice::Kind::kFunction && tool.name != prompt.tool_choice.function) continue;
    inputs.tools.push_back({.name = tool.name, .description = {}, .parameters = holds_places ? FramePlaceholder(i) : tool.parameters});
  }
  inputs.tool_choice = COMMON_CHAT_TOOL_CHOICE_REQUIRED;
  inputs.parallel_tool_calls = prompt.parallel_tool_calls;
  const common_chat_params params = common_chat_templates_apply(templates, inputs);
  return {.grammar = CallsAlone(params.grammar, prompt.parallel_tool_calls ? kMostFramedCalls : 1), .begun = params.generation_prompt};
}

// Where a model writes arguments as JSON, their schemas stand in the frame. Where it writes each between marks of its own, llama.cpp's
// grammar leads it to a call of the right form, and whether that keeps its schema is looked at when it is there.
AnswerFrame CallsFrame(const common_chat_templates* templates, const ChatPrompt& prompt) {
  AnswerFrame frame = CallsFrame(templates, prompt, /*holds_places=*/true);
  for (std::size_t i = 0; i < prompt.tools.size(); ++i) {
    if (frame.grammar.contains(PlaceInFrame(i))) return frame;
  }
  return CallsFrame(templates, prompt, /*holds_places=*/false);
}

AnswerFrame ContentFrame(const common_chat_templates* templates, const ChatPrompt& prompt) {
  common_chat_templates_inputs inputs = FrameInputs(prompt);
  inputs.json_schema = FramePlaceholder(prompt.tools.size());
  const common_chat_params params = common_chat_templates_apply(templates, inputs);
  if (params.thinking_end_tags.empty() && !params.supports_thinking) return {};
  return {.grammar = WithoutFences(params.grammar), .begun = params.generation_prompt};
}

}  // namespace

Result<std::shared_ptr<const AnswerFrame>> FrameFor(const common_chat_templates* templates, const ChatPrompt& prompt,
                                                    const StopCheck& stop) {
  const bool calls = prompt.demands_call();
  const bool content = prompt.is_constrained && !prompt.may_call() && !prompt.continue_final_message;
  if (!calls && !content) return nullptr;
  const auto made = WithinChatTemplateLimits(ChatTemplateLimits(prompt), kMostChatTemplateLoadTime, stop,
                                             [&] { return calls ? CallsFrame(templates, prompt) : ContentFrame(templates, prompt); });
  if (stop) {
    if (Status wanted = stop(); !wanted) return std::unexpected(wanted.error());
  }
  if (!made || made->grammar.empty()) return nullptr;
  return std::make_shared<const AnswerFrame>(*made);
}

}  // namespace cllm
