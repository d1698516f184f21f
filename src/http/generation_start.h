// A request on its way from its bytes to the service.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "http/handlers.h"

namespace cllm {

// Reads a short body on its event loop and a long one on a worker, then submits the request and lets an exchange wait for the answer.
// A client that leaves meanwhile ends the reading.
class GenerationStart : public std::enable_shared_from_this<GenerationStart> {
 public:
  using DialectOf = const Dialect& (*)(const Backend&);
  // On the loop of the call's connection, and so is Begin.
  GenerationStart(HttpCall call, RequestBody body, ModelLease backend, DialectOf dialect_of, const RequestRoom& room);
  void Begin();

 private:
  void ReadOnWorker();
  Result<ParsedCall> Read(const StopCheck& stop);
  void Submit(Result<ParsedCall> parsed);
  static std::size_t BytesOfScores(const ParsedCall& call, std::size_t prompt_tokens);
  Status HoldMemory(const ParsedCall& call);
  std::shared_ptr<Exchange> MakeExchange(ParsedCall& call);
  void AnswerAtOnce(std::string body, bool asks_to_unload);
  Status Unload();
  void Fail(const Error& error);

  HttpCall call_;
  DialectOf dialect_of_;
  const RequestRoom& room_;
  ModelLease backend_;
  RequestRecord record_;
  std::string owner_;
  RequestBody body_;
  std::size_t body_bytes_ = 0;  // as it came
};

}  // namespace cllm
