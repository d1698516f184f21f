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
#include "http/browser_guard.h"
#include "http/connection_gate.h"
#include "http/connection_ledger.h"
#include "http/cors.h"

namespace cllm {

class FrontDoor {
 public:
  struct Settings {
    RequestFramer::Limits limits;
    std::chrono::milliseconds timeout;
    ConnectionLedger::Limits connections;
    ApiKeys keys;
    ApiKeys admin_keys = {};  // they are keys, too
    Cors cors;
    std::shared_ptr<MemoryBudget> memory = nullptr;  // of all requests; without one they may hold anything
    BrowserGuard guard;                              // where there are no keys
    bool is_of_server = false;
  };
  // `on_left` is called with each connection that is gone.
  FrontDoor(Settings settings, std::function<void(const trantor::TcpConnection*)> on_left);
  FrontDoor(const FrontDoor&) = delete;
  FrontDoor& operator=(const FrontDoor&) = delete;

  const Cors& cors() const { return settings_.cors; }

  // Whether this is the process of a model, whose only client is the server that has it.
  bool is_of_server() const { return settings_.is_of_server; }
  // Whose request it is, by its headers Authorization and X-Api-Key: what one key's requests keep is not there for another's.
  std::string OwnerOf(std::string_view authorization, std::string_view x_api_key) const {
    const std::string owner = settings_.keys.OwnerOf(authorization, x_api_key);
    return owner.empty() ? settings_.admin_keys.OwnerOf(authorization, x_api_key) : owner;
  }
  // Those of who may do more than ask.
  const ApiKeys& admin_keys() const { return settings_.admin_keys; }
  // For what an answer holds that has no body of a request.
  MemoryShare NewShare() const { return MemoryShare(settings_.memory); }

  // The connection's loop: it was accepted, is open (which takes a handshake with TLS) or is gone.
  void OnConnection(const trantor::TcpConnectionPtr& connection);
  // The connection's loop: the answer was handed to the connection, or will be in this turn of the loop.
  void OnAnswered(const std::weak_ptr<trantor::TcpConnection>& connection);
  // The connection's loop: the body of the request that Drogon has from this connection; once.
  RequestBody TakeBody(const std::weak_ptr<trantor::TcpConnection>& connection);

 private:
  using Verdict = ConnectionLedger::Verdict;
  struct Entry {
    std::weak_ptr<trantor::TcpConnection> connection;
    std::shared_ptr<ConnectionGate> gate;
    Verdict verdict;
  };

  void OnAccepted(const trantor::TcpConnectionPtr& connection);
  void OnOpen(trantor::TcpConnection& connection);
  void OnLeft(const trantor::TcpConnection& connection);
  // Finds a place for a connection, or none; the connection that has to give way to it is returned.
  trantor::TcpConnectionPtr Seat(const trantor::TcpConnectionPtr& connection, Entry entry);
  std::optional<Entry> Find(const trantor::TcpConnection* connection);
  Refusal NoPlace(Verdict verdict) const;
  std::optional<Refusal> Check(const RequestHead& head) const;
  std::optional<Refusal> CheckKey(const RequestHead& head) const;
  std::string Render(const Refusal& refusal, const RequestHead& head, const trantor::TcpConnection& connection) const;

  Settings settings_;
  ConnectionGate::Rules rules_;
  std::function<void(const trantor::TcpConnection*)> on_left_;
  std::mutex mutex_;  // guards the next two
  ConnectionLedger ledger_;
  std::unordered_map<const trantor::TcpConnection*, Entry> entries_;
};

}  // namespace cllm
