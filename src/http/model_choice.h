// A request on its way to the model that it means.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "http/handlers.h"

namespace cllm {

// Looks up the model that a body names and lets the request wait until it is in memory: not longer than a request may take, and not when
// its client has left.
class ModelChoice : public std::enable_shared_from_this<ModelChoice> {
 public:
  // Called on the loop of the call's connection.
  using Next = std::function<void(HttpCall call, RequestBody body, ModelLease backend)>;
  // On that loop, and so are the Begins.
  ModelChoice(HttpCall call, const RequestRoom& room, Next next);
  void Begin();
  // The same where the model is known.
  void BeginWith(std::size_t model, RequestBody body);

 private:
  void Choose(const std::string& name);
  void Wait();
  void Look();
  void OnAnswer(Result<ModelLease> lease);
  void Fail(const Error& error);

  HttpCall call_;
  const RequestRoom& room_;
  Next next_;
  RequestBody body_;
  std::size_t model_ = 0;
  trantor::EventLoop* loop_;

  // While it waits.
  std::shared_ptr<RequestControl> control_;
  std::shared_ptr<trantor::TcpConnection> connection_;
  std::uint64_t number_ = 0;
  bool is_late_ = false;
  bool has_answer_ = false;
};

}  // namespace cllm
