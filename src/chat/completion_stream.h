// OpenAI's streamed chat completion, read by a client that does not trust the server.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "chat/sse_parser.h"

namespace cllm {

class CompletionStream {
 public:
  using OnText = std::function<Status(std::string_view text)>;

  // Hands on the text that the bytes complete, valid UTF-8. The error that the server sent in the stream, or one for a
  // frame that is no chat completion; text before it was handed on.
  Status Push(std::string_view bytes, const OnText& on_text);

  // The body has ended: an error where the answer has not.
  Status Finish() const;

  bool done() const { return done_; }  // [DONE] has come
  bool cut() const { return finish_reason_ == "length"; }
  std::optional<int> prompt_tokens() const { return prompt_tokens_; }
  std::optional<int> generated_tokens() const { return generated_tokens_; }

 private:
  Status Handle(std::string_view data, const OnText& on_text);

  SseParser parser_;
  std::string beginning_;  // of what came before the first event: a page or an error instead of a stream
  bool has_event_ = false;
  bool done_ = false;
  std::string finish_reason_;
  std::optional<int> prompt_tokens_;
  std::optional<int> generated_tokens_;
};

// What the body of an error response says, on one line: the message of OpenAI's, Ollama's, FastAPI's and cLLM's error
// objects, else the beginning of the body. Empty where the body is.
std::string ServerErrorText(std::string_view body);

}  // namespace cllm
