#include "service/answer_constraint.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "grammar/frame.h"
#include "service/argument_parts.h"

namespace cllm {
namespace {

const ChatPrompt* ChatOf(const GenerateRequest& request) { return std::get_if<ChatPrompt>(&request.prompt); }

bool HasStrictTool(const ChatPrompt& chat) { return std::ranges::any_of(chat.tools, &ChatTool::is_strict); }

// Whether the answer may call a tool instead of having content.
bool MayCallTools(const GenerateRequest& request) {
  const ChatPrompt* chat = ChatOf(request);
  return chat != nullptr && chat->may_call();
}

// Those that the frame names. Where it holds names and values of somebody's schema, these name none.
std::vector<GrammarToken> TokensIn(const std::string& frame, const ChatPrompt& chat, const std::vector<GrammarToken>& tokens) {
  std::vector<GrammarToken> named;
  std::ranges::copy_if(tokens, std::back_inserter(named), [&frame](const GrammarToken& token) { return frame.contains(token.text); });
  for (std::size_t i = 0; i < chat.tools.size() && !named.empty(); ++i) {
    if (frame.contains(PlaceInFrame(i))) continue;
    std::erase_if(named, [&](const GrammarToken& token) { return chat.tools[i].parameters.contains(token.text); });
  }
  return named;
}

GrammarSource InFrame(const EncodedPrompt& encoded, const ChatPrompt& chat, const std::optional<AnswerConstraint>& constraint) {
  const AnswerFrame& frame = *encoded.frame;
  GrammarSource source{.parts = {}, .frame = frame.grammar, .begun = frame.begun};
  if (!frame.content_grammar.empty()) source.frame = EitherGrammar(frame.grammar, frame.content_grammar);
  const auto add = [&](GrammarPart part, std::size_t number) {
    part.place = PlaceInFrame(number);
    if (source.frame.contains(part.place)) source.parts.push_back(std::move(part));
  };
  for (std::size_t i = 0; i < chat.tools.size(); ++i) {
    const std::string& enforced = chat.tools[i].enforced;
    add({.kind = GrammarPart::Kind::kJsonSchema, .text = enforced.empty() ? R"({"type":"object"})" : enforced}, i);
  }
  if (constraint) add(constraint->grammar, chat.tools.size());
  source.tokens = TokensIn(source.frame, chat, encoded.marks);
  return source;
}

}  // namespace

std::string AnswerGrammarSource::Key() const {
  std::string key = source.Key();
  const auto add = [&key](const std::string& text) { key += fmt::format("{}:{}", text.size(), text); };
  for (const TextTrigger& trigger : triggers) {
    std::ranges::for_each(trigger.words, add);
    key += trigger.begins ? '^' : '>';
    add(trigger.behind);
  }
  return key + (once ? ".once" : "");
}

bool WaitsForGrammar(const GenerateRequest& request) {
  const ChatPrompt* chat = ChatOf(request);
  return request.constraint || (chat != nullptr && chat->may_call() && (chat->demands_call() || HasStrictTool(*chat)));
}

Result<std::optional<AnswerGrammarSource>> GrammarOf(const GenerateRequest& request, const EncodedPrompt& encoded) {
  if (encoded.frame) {
    const ChatPrompt& chat = *ChatOf(request);
    const AnswerFrame& frame = *encoded.frame;
    const bool is_triggered = !frame.triggers.empty();
    GrammarSource source = InFrame(encoded, chat, request.constraint);
    Result<std::vector<std::string>> relaxed = PlaceArguments(frame.arguments, chat.tools, source);
    if (!relaxed) return std::unexpected(relaxed.error());
    return AnswerGrammarSource{.source = std::move(source),
                               .field = request.constraint && !chat.demands_call() ? request.constraint->field : "tools",
                               .triggers = frame.triggers,
                               .once = is_triggered && !chat.parallel_tool_calls,
                               .relaxed = std::move(*relaxed),
                               .is_needed = !is_triggered || HasStrictTool(chat)};
  }
  if (!request.constraint || MayCallTools(request)) return std::nullopt;
  return AnswerGrammarSource{.source = {.parts = {request.constraint->grammar}}, .field = request.constraint->field};
}

ThoughtMarks ThoughtsOf(const EncodedPrompt& encoded) {
  if (!encoded.format) return {};
  const AnswerFormat& format = *encoded.format;
  return {.start = format.thinking_start(), .ends = format.thinking_ends(), .is_open = format.opens_thoughts()};
}

std::optional<int> ThoughtBudgetOf(const GenerateRequest& request, const EncodedPrompt& encoded) {
  const ChatPrompt* chat = ChatOf(request);
  return chat == nullptr || ThoughtsOf(encoded).ends.empty() ? std::nullopt : chat->reasoning_budget;
}

}  // namespace cllm
