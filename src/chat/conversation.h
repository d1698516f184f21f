// What was said so far: an optional system text, then questions and answers in turn.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/chat_template.h"

namespace cllm {

class Conversation {
 public:
  // The system message, where there is one, then user and assistant by turns. Never ends with a question, except between
  // Ask and what follows it.
  const std::vector<ChatMessage>& messages() const { return messages_; }

  std::string_view system() const;
  // Empty takes the text away. What was said stays.
  void SetSystem(std::string text);

  // A question; then either its answer or, where none came, TakeBack.
  void Ask(std::string question);
  void Answer(std::string text);
  void TakeBack();

  // Forgets everything but the system text.
  void Clear();

  // From outside: an error names the first message that breaks the order above.
  static Result<Conversation> FromMessages(std::vector<ChatMessage> messages);

 private:
  bool has_system() const { return !messages_.empty() && messages_.front().role == "system"; }

  std::vector<ChatMessage> messages_;
};

}  // namespace cllm
