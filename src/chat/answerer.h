// Who answers: a model in this process, or a server. The chat knows no more of either.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "chat/settings.h"
#include "model/chat_template.h"

namespace cllm {

struct AnswerSummary {
  bool interrupted = false;  // by Ctrl-C: the text so far is all there is
  bool cut = false;          // max_tokens or the context ended it, not the model
  // Where they are known.
  std::optional<int> prompt_tokens = {};
  std::optional<int> generated_tokens = {};
  double prompt_s = 0;  // from the question to the first token
  double answer_s = 0;  // from the first token to the last
};

class Answerer {
 public:
  // Takes the next piece of the answer, valid UTF-8; an error ends it.
  using OnText = std::function<Status(std::string_view text)>;

  virtual ~Answerer() = default;
  // The model, and where it is, for people.
  virtual std::string Name() const = 0;
  // Blocks until the answer has ended, SIGINT has come, or something has gone wrong; `on_text` is called on this thread.
  virtual Result<AnswerSummary> Ask(const std::vector<ChatMessage>& messages, const ChatSettings& settings, const OnText& on_text) = 0;
  // What to do where a conversation does not fit: "start with a longer context …".
  virtual std::string LongerContextAdvice() const = 0;
};

// "prompt 33 tokens, 412.5 tokens/s; answer 20 tokens, 81.2 tokens/s; 0.33 s".
std::string SpeedText(const AnswerSummary& summary);

// Whether an answerer refused because prompt and answer do not fit into the context.
bool IsContextError(const Error& error);

}  // namespace cllm
