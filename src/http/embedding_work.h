// A request for embeddings or scores, from its bytes to its answer.
#pragma once

#include <memory>

#include "http/handlers.h"

namespace cllm {

// Reads a short body on its event loop and a long one on a worker, lets the service compute, and writes the answer on a worker. A client
// that leaves meanwhile ends it.
class EmbeddingWork : public EmbeddingSink, public std::enable_shared_from_this<EmbeddingWork> {
 public:
  using DialectOf = const EmbeddingDialect& (*)(const Backend&);
  // On the loop of the call's connection, and so is Begin. The references outlive the work.
  EmbeddingWork(HttpCall call, RequestBody body, ModelLease backend, DialectOf dialect_of, const RequestRoom& room);
  void Begin();

  void OnEnd(Result<EmbeddingAnswer> answer) override;

 private:
  StopCheck StopWhenLeft() const;
  void Read();
  void Submit();
  Status HoldMemory();
  void Write(const EmbeddingAnswer& answer);
  void Answer();
  void Fail(const Error& error);
  // The next part of the work, on the connection's loop.
  void Continue(void (EmbeddingWork::*next)());

  HttpCall call_;
  DialectOf dialect_of_;
  const RequestRoom& room_;
  ModelLease backend_;
  RequestBody body_;
  std::size_t body_bytes_ = 0;  // as it came
  std::shared_ptr<trantor::TcpConnection> connection_;
  // Ends the reading, then the computing: a client that leaves sends it.
  std::shared_ptr<RequestControl> control_ = std::make_shared<RequestControl>();
  Result<EmbeddingCall> parsed_;
  Result<ChunkedText> answer_;
};

}  // namespace cllm
