#include "service/answer_constraint.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace cllm {
namespace {

// Whether the answer may call a tool instead of having content.
bool MayCallTools(const GenerateRequest& request) {
  const auto* chat = std::get_if<ChatPrompt>(&request.prompt);
  return chat != nullptr && chat->may_call();
}

GrammarSource InFrame(const AnswerFrame& frame, const ChatPrompt& chat, const std::optional<AnswerConstraint>& constraint) {
  GrammarSource source{.parts = {}, .frame = frame.grammar, .begun = frame.begun};
  const auto add = [&](GrammarPart part, std::size_t number) {
    part.place = PlaceInFrame(number);
    if (frame.grammar.contains(part.place)) source.parts.push_back(std::move(part));
  };
  for (std::size_t i = 0; i < chat.tools.size(); ++i) {
    const std::string& enforced = chat.tools[i].enforced;
    add({.kind = GrammarPart::Kind::kJsonSchema, .text = enforced.empty() ? R"({"type":"object"})" : enforced}, i);
  }
  if (constraint) add(constraint->grammar, chat.tools.size());
  return source;
}

}  // namespace

bool WantsGrammar(const GenerateRequest& request) {
  const auto* chat = std::get_if<ChatPrompt>(&request.prompt);
  return request.constraint || (chat != nullptr && chat->demands_call());
}

std::optional<AnswerGrammarSource> GrammarOf(const GenerateRequest& request, const EncodedPrompt& encoded) {
  if (encoded.frame) {
    const auto& chat = std::get<ChatPrompt>(request.prompt);
    return AnswerGrammarSource{InFrame(*encoded.frame, chat, request.constraint),
                               chat.demands_call() ? "tools" : request.constraint->field};
  }
  if (!request.constraint || MayCallTools(request)) return std::nullopt;
  return AnswerGrammarSource{GrammarSource{.parts = {request.constraint->grammar}}, request.constraint->field};
}

}  // namespace cllm
