#include "model/answer_frames.h"

#include <json-schema-to-grammar.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_text.h"
#include "base/replace_all.h"
#include "model/common_chat.h"
#include "model/framed_arguments.h"
#include "model/missing_ids.h"

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

enum class Parameters : std::uint8_t {
  kPlaces,  // placeholders
  kShapes,  // which arguments there are
  kOwn,
};

// With `parameters` in the place of the tools' schemas.
common_chat_params CallParams(const common_chat_templates* templates, const ChatPrompt& prompt, common_chat_tool_choice choice,
                              Parameters parameters) {
  common_chat_templates_inputs inputs = FrameInputs(prompt);
  for (std::size_t i = 0; i < prompt.tools.size(); ++i) {
    const ChatTool& tool = prompt.tools[i];
    if (prompt.tool_choice.kind == ToolChoice::Kind::kFunction && tool.name != prompt.tool_choice.function) continue;
    inputs.tools.push_back({.name = tool.name, .description = {}, .parameters = tool.parameters});
    if (parameters == Parameters::kPlaces) inputs.tools.back().parameters = FramePlaceholder(i);
    if (parameters == Parameters::kShapes) inputs.tools.back().parameters = ShapeOfSchema(tool.parameters);
  }
  inputs.tool_choice = choice;
  inputs.parallel_tool_calls = prompt.parallel_tool_calls;
  return common_chat_templates_apply(templates, inputs);
}

// As the reader of answers has it, where a call's id may be missing.
std::string WithMissingIds(const common_chat_params& params, const ChatPrompt& prompt) {
  common_peg_arena arena;
  arena.load(params.parser);
  if (!LetIdsBeMissing(arena)) return params.grammar;
  for (common_peg_parser_id id = 0; id < arena.size(); ++id) {
    const auto* schema = std::get_if<common_peg_schema_parser>(&arena.get(id));
    if (schema == nullptr) continue;
    const auto tool =
        std::ranges::find_if(prompt.tools, [&](const ChatTool& each) { return schema->name == "tool-" + each.name + "-schema"; });
    if (tool == prompt.tools.end()) return params.grammar;
    arena.get(id) = common_peg_gbnf_parser{schema->child, PlaceInFrame(static_cast<std::size_t>(tool - prompt.tools.begin()))};
  }
  return build_grammar([&](const common_grammar_builder& builder) { arena.build_grammar(builder, params.grammar_lazy); });
}

struct CallGrammar {
  common_chat_params params = {};
  std::vector<FramedArgument> arguments = {};
  bool is_too_large = false;  // to ask llama.cpp for it
};

// Where a model writes arguments as JSON, their schemas stand in the frame. Where it writes each between marks of its own, their values do.
// Where neither is known llama.cpp's grammar leads it to a call of the right form, and whether that keeps its schema is looked at when it
// is there.
CallGrammar GrammarOfCalls(const common_chat_templates* templates, const ChatPrompt& prompt, common_chat_tool_choice choice) {
  CallGrammar calls{.params = CallParams(templates, prompt, choice, Parameters::kPlaces)};
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < prompt.tools.size(); ++i) {
    if (calls.params.grammar.contains(PlaceInFrame(i))) {
      calls.params.grammar = WithMissingIds(calls.params, prompt);
      return calls;
    }
    bytes += prompt.tools[i].parameters.size();
  }
  if (calls.params.grammar.empty()) return calls;
  if (bytes > kMostParameterBytes && choice != COMMON_CHAT_TOOL_CHOICE_REQUIRED) return {.is_too_large = true};
  calls.params = CallParams(templates, prompt, choice, Parameters::kShapes);
  FramedCalls framed = FrameArguments(calls.params, prompt);
  if (framed.arguments.empty()) {
    calls.params = CallParams(templates, prompt, choice, Parameters::kOwn);
  } else {
    calls = {.params = std::move(calls.params), .arguments = std::move(framed.arguments)};
    calls.params.grammar = std::move(framed.grammar);
  }
  return calls;
}

AnswerFrame CallsFrame(const common_chat_templates* templates, const ChatPrompt& prompt) {
  CallGrammar calls = GrammarOfCalls(templates, prompt, COMMON_CHAT_TOOL_CHOICE_REQUIRED);
  return {.grammar = CallsAlone(calls.params.grammar, prompt.parallel_tool_calls ? kMostFramedCalls : 1),
          .begun = calls.params.generation_prompt,
          .arguments = std::move(calls.arguments)};
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

// Where llama.cpp describes what opens a call by a pattern, which it looks for in all that came so far, this is the same as a text from
// which on the grammar holds. "@": the name of a tool.
struct PatternOfCalls {
  std::string_view pattern;
  std::string_view text = {};  // empty: another one says it, too
  std::string_view behind = {};
  bool begins = false;
};
constexpr std::string_view kHeaderStart = "<|start|>assistant";
constexpr PatternOfCalls kPatternsOfCalls[] = {
    // gpt-oss: a function as recipient, in the role's header or in the channel's.
    {.pattern = R"(^\s+to$)", .text = " to=functions.", .begins = true},
    {.pattern = R"(<\|start\|>assistant(\s+to))", .text = " to=functions.", .behind = kHeaderStart},
    {.pattern = R"(^<\|channel\|>(?:commentary|analysis)\s+to=functions$)", .text = "<|channel|>commentary to=functions."},
    {.pattern = R"(^<\|channel\|>(?:commentary|analysis)\s+to=functions$)", .text = "<|channel|>analysis to=functions."},
    {.pattern = R"(<\|start\|>assistant(<\|channel\|>(?:commentary|analysis)\s+to))"},
    // Functionary 3.2, whose prompt ends with ">>>": llama.cpp reads no call further behind.
    {.pattern = R"(>>>(?!all))", .text = "@\n", .begins = true},
    // Muse Glimmer.
    {.pattern = R"((?:^|<\|start\|>assistant)( to=(?!self<\|message\|>)(?!user<\|message\|>)[^<]*?<\|message\|>))",
     .text = " to=@<|message|>",
     .behind = kHeaderStart,
     .begins = true},
};

void AddTriggers(const PatternOfCalls& pattern, const ChatPrompt& prompt, std::vector<TextTrigger>& triggers) {
  const auto add = [&](std::string text) {
    triggers.push_back({.words = {std::move(text)}, .behind = std::string(pattern.behind), .begins = pattern.begins});
  };
  if (pattern.text.empty()) return;
  if (!pattern.text.contains('@')) return add(std::string(pattern.text));
  for (const ChatTool& tool : prompt.tools) add(ReplaceAll(pattern.text, "@", tool.name));
}

// Nothing where llama.cpp has come to use a pattern that is unknown here.
std::vector<TextTrigger> TriggersOf(const common_chat_params& params, const ChatPrompt& prompt) {
  std::vector<TextTrigger> triggers;
  for (const common_grammar_trigger& trigger : params.grammar_triggers) {
    bool is_known = false;
    if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD) {
      // Which spaces follow is the grammar's to say.
      triggers.push_back({.words = {trigger.value.substr(0, trigger.value.find_last_not_of(" \t\r\n") + 1)}});
      is_known = !triggers.back().words.front().empty();
    }
    for (const PatternOfCalls& pattern : kPatternsOfCalls) {
      if (trigger.type != COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN || trigger.value != pattern.pattern) continue;
      AddTriggers(pattern, prompt, triggers);
      is_known = true;
    }
    if (!is_known) return {};
  }
  return triggers;
}

// Where calls are bare JSON objects with nothing before them, llama.cpp has no grammar for calls that may come. An object opens one where
// it begins with the name of a tool, whatever text stands before it.
AnswerFrame BareFrame(const common_chat_templates* templates, const ChatPrompt& prompt) {
  AnswerFrame frame = CallsFrame(templates, prompt);
  const auto add = [&frame](std::vector<std::string> words) { frame.triggers.push_back({.words = std::move(words)}); };
  for (const ChatTool& tool : prompt.tools) {
    const std::string name = QuotedAsJson(tool.name);
    add({"{", "\"name\"", ":", name});
    add({"{", "\"type\"", ":", "\"function\"", ",", "\"name\"", ":", name});
  }
  return frame;
}

// llama.cpp's grammar for calls alone, and what begins it.
AnswerFrame TriggeredFrame(const common_chat_templates* templates, const ChatPrompt& prompt) {
  CallGrammar calls = GrammarOfCalls(templates, prompt, COMMON_CHAT_TOOL_CHOICE_AUTO);
  if (calls.is_too_large) return {};
  if (calls.params.grammar.empty()) return BareFrame(templates, prompt);
  AnswerFrame frame{.grammar = WithWrittenEmptiness(calls.params.grammar),
                    .triggers = TriggersOf(calls.params, prompt),
                    .arguments = std::move(calls.arguments)};
  return calls.params.grammar_lazy && !frame.triggers.empty() ? frame : AnswerFrame();
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
