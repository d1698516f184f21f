#include "chat/conversation_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "api/json_object.h"
#include "chat/terminal_text.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;
constexpr const char* kVersionField = "cllm_conversation";
constexpr std::int64_t kVersion = 1;

fs::path Expanded(const std::string& file) {
  const char* home = std::getenv("HOME");
  if (home == nullptr || !file.starts_with("~/")) return file;
  return fs::path(home) / file.substr(2);
}

std::unexpected<Error> Problem(const std::string& file, const std::string& what) {
  return InvalidArgument(fmt::format("{}: {}", ForMessage(file), what), file);
}

Result<ChatMessage> ReadMessage(const Json& json, const std::string& path) {
  if (!json.is_object()) return InvalidArgument(path + " must be an object");
  JsonObject object(json, path + ".");
  const auto role = object.String("role");
  const auto content = object.String("content");
  if (!role) object.Reject("role", path + ".role is missing");
  if (!content) object.Reject("content", path + ".content is missing");
  if (const Status status = object.Finish(); !status) return std::unexpected(status.error());
  return ChatMessage{.role = *role, .content = *content};
}

std::unexpected<Error> TooLarge(const std::string& file) {
  return Problem(file, fmt::format("a conversation has at most {} MiB", kMostConversationBytes >> 20));
}

// A file that is not regular could never end, or block.
Result<std::string> ReadFile(const std::string& file, const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return Problem(file, "there is no such file");
  if (!fs::exists(status)) return Problem(file, error.message());
  if (!fs::is_regular_file(status)) return Problem(file, "this is no regular file");
  if (fs::file_size(path, error) > kMostConversationBytes && !error) return TooLarge(file);
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || (in.peek() != std::ifstream::traits_type::eof() && !(text << in.rdbuf()))) {
    return Problem(file, fmt::format("cannot be read: {}", std::strerror(errno)));
  }
  return std::move(text).str();
}

Status WriteFile(const std::string& file, const fs::path& path, const std::string& text) {
  fs::path part = path;
  part += fmt::format(".{}.part", getpid());
  errno = 0;
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  std::error_code error;
  if (out) fs::rename(part, path, error);
  if (out && !error) return {};
  const std::string why = error ? error.message() : std::strerror(errno);
  fs::remove(part, error);
  return Problem(file, "cannot be written: " + why);
}

}  // namespace

std::string WriteConversation(const Conversation& conversation) {
  Json messages = Json::array();
  for (const ChatMessage& message : conversation.messages()) {
    messages.push_back({{"role", message.role}, {"content", message.content}});
  }
  const Json json = {{kVersionField, kVersion}, {"messages", std::move(messages)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Conversation> ReadConversation(std::string_view text) {
  const Result<Json> json = ParseJsonObject(text);
  if (!json) return std::unexpected(json.error());
  JsonObject object(*json);
  if (!object.Int(kVersionField, kVersion, kVersion)) {
    object.Reject(kVersionField, fmt::format("this is no saved conversation: {} is missing", kVersionField));
  }
  const Json* list = object.Any("messages");
  if (list == nullptr || !list->is_array() || list->size() > kMostConversationMessages) {
    object.Reject("messages", fmt::format("messages must be an array of at most {} messages", kMostConversationMessages));
  }
  if (const Status status = object.Finish(); !status) return std::unexpected(status.error());
  std::vector<ChatMessage> messages;
  for (std::size_t i = 0; i < list->size(); ++i) {
    Result<ChatMessage> message = ReadMessage((*list)[i], fmt::format("messages[{}]", i));
    if (!message) return std::unexpected(message.error());
    messages.push_back(std::move(*message));
  }
  return Conversation::FromMessages(std::move(messages));
}

Status SaveConversation(const std::string& file, const Conversation& conversation) {
  const fs::path path = Expanded(file);
  std::error_code error;
  if (fs::exists(path, error) && !LoadConversation(file)) {
    return Problem(file, "this is there already and no saved conversation: choose another name");
  }
  // What LoadConversation refuses would be lost.
  if (conversation.messages().size() > kMostConversationMessages) {
    return Problem(file, fmt::format("a saved conversation has at most {} messages", kMostConversationMessages));
  }
  const std::string text = WriteConversation(conversation);
  if (text.size() > kMostConversationBytes) return TooLarge(file);
  return WriteFile(file, path, text);
}

Result<Conversation> LoadConversation(const std::string& file) {
  const Result<std::string> text = ReadFile(file, Expanded(file));
  if (!text) return std::unexpected(text.error());
  Result<Conversation> conversation = ReadConversation(*text);
  if (!conversation) return Problem(file, conversation.error().message);
  return conversation;
}

}  // namespace cllm
