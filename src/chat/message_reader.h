// Lines of the terminal → messages: text between """ and """ and lines that end in a backslash go together.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cllm {

class MessageReader {
 public:
  struct Message {
    std::string text;
    bool is_command = false;  // begins with a slash that is not inside """
  };

  // `line` has no line end. The message that it completes; none where more lines are to come.
  std::optional<Message> Push(std::string_view line);

  // Whether a message has begun and is not complete.
  bool pending() const { return state_ != State::kNone; }
  // Forgets what has begun.
  void Reset();

 private:
  enum class State { kNone, kQuoted, kContinued };

  std::optional<Message> Begin(std::string_view line);
  std::optional<Message> Quoted(std::string_view line);
  std::optional<Message> Continued(std::string_view line);
  Message Take();

  State state_ = State::kNone;
  Message message_;
};

}  // namespace cllm
