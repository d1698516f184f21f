// A client's own look at the vocabulary and the like, from its bytes to its answer.
#pragma once

#include <memory>
#include <string_view>

#include "http/handlers.h"

namespace cllm {

// Reads the body and answers on a thread of the service, within the limits of a request; a client that leaves ends it.
class ClientWork : public std::enable_shared_from_this<ClientWork> {
 public:
  using BodyAnswer = Result<ChunkedText> (*)(const Backend&, std::string_view body, const WorkLimits&);
  // On the loop of the call's connection, and so is Begin. The references outlive the work.
  ClientWork(HttpCall call, RequestBody body, BodyAnswer answer, ConnectionTracker& tracker);
  void Begin(const ModelLease& backend);

 private:
  void Do(const Backend& backend, const StopCheck& stop);
  void Answer();

  HttpCall call_;
  BodyAnswer make_answer_;
  ConnectionTracker& tracker_;
  RequestBody body_;
  std::shared_ptr<trantor::TcpConnection> connection_;
  std::shared_ptr<RequestControl> control_ = std::make_shared<RequestControl>();
  Result<ChunkedText> answer_;
};

}  // namespace cllm
