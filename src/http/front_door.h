// Where every connection comes in: it is counted, timed, cut into requests and asked for its key before Drogon sees it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include <trantor/net/TcpConnection.h>

#include "http/api_keys.h"
#include "http/connection_gate.h"
#include "http/cors.h"

namespace cllm {

class FrontDoor {
 public:
  struct Settings {
    RequestFramer::Limits limits;
    std::chrono::milliseconds timeout;
    int max_connections = 1000;
    ApiKeys keys;
    Cors cors;
    std::shared_ptr<MemoryBudget> memory = nullptr;  // of all requests; without one they may hold anything
  };
  // `on_left` is called with each connection that is gone.
  FrontDoor(Settings settings, std::function<void(const trantor::TcpConnection*)> on_left);
  FrontDoor(const FrontDoor&) = delete;
  FrontDoor& operator=(const FrontDoor&) = delete;

  const Cors& cors() const { return settings_.cors; }

  // The connection's loop: it was opened or is gone.
  void OnConnection(const trantor::TcpConnectionPtr& connection);
  // The connection's loop: the answer was handed to the connection, or will be in this turn of the loop.
  void OnAnswered(const std::weak_ptr<trantor::TcpConnection>& connection);
  // The connection's loop: the body of the request that Drogon has from this connection; once.
  RequestBody TakeBody(const std::weak_ptr<trantor::TcpConnection>& connection);

 private:
  std::shared_ptr<ConnectionGate> GateOf(const std::weak_ptr<trantor::TcpConnection>& connection);
  std::optional<Refusal> Check(const RequestHead& head) const;
  std::optional<Refusal> CheckKey(const RequestHead& head) const;
  std::string Render(const Refusal& refusal, const RequestHead& head, const trantor::TcpConnection& connection) const;

  Settings settings_;
  ConnectionGate::Rules rules_;
  std::function<void(const trantor::TcpConnection*)> on_left_;
  std::mutex mutex_;
  std::unordered_map<const trantor::TcpConnection*, std::shared_ptr<ConnectionGate>> gates_;
};

}  // namespace cllm
