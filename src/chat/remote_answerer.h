// A server with OpenAI's API: cLLM's own, or another.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "chat/answerer.h"
#include "chat/http_client.h"

namespace cllm {

// The base of OpenAI's API at what a user calls the server: "localhost:8080", "https://host/v1/" … gives "…/v1".
// An error for what is no HTTP address.
Result<std::string> ApiBase(const std::string& server_url);

// The body of POST /v1/chat/completions, streamed.
std::string ChatRequestBody(const std::string& model, const std::vector<ChatMessage>& messages, const ChatSettings& settings);

class RemoteAnswerer : public Answerer {
 public:
  struct Target {
    std::string server_url;
    std::string model;  // empty: the first that the server names
    std::string api_key;
  };

  // Asks the server for its models, so that a wrong address or key is known before the first question. An interrupt in the
  // meantime is ErrorCode::kCancelled.
  static Result<std::unique_ptr<RemoteAnswerer>> Connect(const Target& target, Interrupts& interrupts);

  std::string Name() const override;
  Result<AnswerSummary> Ask(const std::vector<ChatMessage>& messages, const ChatSettings& settings, const OnText& on_text) override;
  std::string LongerContextAdvice() const override { return "ask a server with a longer context"; }

 private:
  RemoteAnswerer(std::string base, std::string model, std::unique_ptr<HttpClient> http);
  Status TakeModelName();

  std::string base_;
  std::string model_;
  std::unique_ptr<HttpClient> http_;
};

}  // namespace cllm
