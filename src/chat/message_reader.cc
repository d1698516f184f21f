#include "chat/message_reader.h"

#include <utility>

namespace cllm {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";

// `/system """` may open a block as well: system texts are often long.
constexpr std::string_view kSystem = "/system ";

}  // namespace

void MessageReader::Reset() {
  state_ = State::kNone;
  message_ = {};
}

MessageReader::Message MessageReader::Take() {
  Message message = std::exchange(message_, {});
  state_ = State::kNone;
  return message;
}

std::optional<MessageReader::Message> MessageReader::Push(std::string_view line) {
  switch (state_) {
    case State::kNone:
      return Begin(line);
    case State::kQuoted:
      return Quoted(line);
    case State::kContinued:
      return Continued(line);
  }
  return std::nullopt;
}

std::optional<MessageReader::Message> MessageReader::Begin(std::string_view line) {
  std::string_view command;
  if (line.starts_with(kSystem)) {
    command = kSystem;
    line.remove_prefix(kSystem.size());
  }
  message_.text = command;
  message_.is_command = !command.empty();
  if (line.starts_with(kQuotes)) {
    line.remove_prefix(kQuotes.size());
    if (line.empty()) {
      state_ = State::kQuoted;
      return std::nullopt;
    }
    return Quoted(line);
  }
  message_.is_command = message_.is_command || line.starts_with('/');
  return Continued(line);
}

std::optional<MessageReader::Message> MessageReader::Quoted(std::string_view line) {
  state_ = State::kQuoted;
  if (!line.ends_with(kQuotes)) {
    message_.text.append(line).append("\n");
    return std::nullopt;
  }
  line.remove_suffix(kQuotes.size());
  message_.text += line;
  // Closing quotes on a line of their own end the line before them, which is no line more.
  if (line.empty() && message_.text.ends_with('\n')) message_.text.pop_back();
  return Take();
}

std::optional<MessageReader::Message> MessageReader::Continued(std::string_view line) {
  if (!line.ends_with('\\')) {
    message_.text += line;
    return Take();
  }
  state_ = State::kContinued;
  line.remove_suffix(1);
  message_.text.append(line).append("\n");
  return std::nullopt;
}

}  // namespace cllm
