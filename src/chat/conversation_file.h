// Conversations on disk: JSON with OpenAI's messages.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "chat/conversation.h"

namespace cllm {

inline constexpr std::size_t kMostConversationBytes = 64 << 20;
inline constexpr std::size_t kMostConversationMessages = 10'000;  // the API's bound

std::string WriteConversation(const Conversation& conversation);
// Trusts nothing: an error names the field or the byte.
Result<Conversation> ReadConversation(std::string_view json);

// Whole or not at all. Replaces a saved conversation, but no other file. A leading "~/" is the home folder.
Status SaveConversation(const std::string& file, const Conversation& conversation);
Result<Conversation> LoadConversation(const std::string& file);

}  // namespace cllm
