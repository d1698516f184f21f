#include "chat/conversation.h"

#include <utility>

#include <fmt/format.h>

namespace cllm {

std::string_view Conversation::system() const { return has_system() ? std::string_view(messages_.front().content) : std::string_view(); }

void Conversation::SetSystem(std::string text) {
  if (has_system()) messages_.erase(messages_.begin());
  if (!text.empty()) messages_.insert(messages_.begin(), {.role = "system", .content = std::move(text)});
}

void Conversation::Ask(std::string question) { messages_.push_back({.role = "user", .content = std::move(question)}); }

void Conversation::Answer(std::string text) { messages_.push_back({.role = "assistant", .content = std::move(text)}); }

void Conversation::TakeBack() { messages_.pop_back(); }

void Conversation::Clear() { messages_.resize(has_system() ? 1 : 0); }

Result<Conversation> Conversation::FromMessages(std::vector<ChatMessage> messages) {
  Conversation conversation;
  conversation.messages_ = std::move(messages);
  const std::size_t first = conversation.has_system() ? 1 : 0;
  for (std::size_t i = first; i < conversation.messages_.size(); ++i) {
    const std::string expected = (i - first) % 2 == 0 ? "user" : "assistant";
    if (conversation.messages_[i].role == expected) continue;
    return InvalidArgument(fmt::format("messages[{}].role must be {}: user and assistant take turns", i, expected));
  }
  if ((conversation.messages_.size() - first) % 2 != 0) return InvalidArgument("the last message must be the assistant's");
  return conversation;
}

}  // namespace cllm
