// One connection between its socket and Drogon: only whole requests in canonical form get through, one at a time, and
// only within their time. Used on the connection's loop only.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <trantor/net/TcpConnection.h>

#include "base/memory_budget.h"
#include "http/request_body.h"
#include "http/request_framer.h"

namespace cllm {

class ConnectionGate : public std::enable_shared_from_this<ConnectionGate> {
 public:
  struct Rules {
    RequestFramer::Limits limits;
    std::chrono::milliseconds timeout{30'000};  // for a request to arrive, and for the next one to begin
    std::shared_ptr<MemoryBudget> memory;       // what bodies hold, those of all connections
    // Looks at a head before its body is read, and says what is wrong with it.
    std::function<std::optional<Refusal>(const RequestHead&)> check;
    // The bytes of a refusal; the head is empty where it could not be read.
    std::function<std::string(const Refusal&, const RequestHead&, const trantor::TcpConnection&)> render;
  };

  // `rules` outlives the gate. `forward` is what read from the connection before: Drogon.
  ConnectionGate(const trantor::TcpConnectionPtr& connection, const Rules& rules, trantor::RecvMessageCallback forward)
      : connection_(connection), rules_(rules), forward_(std::move(forward)), framer_(rules.limits), memory_(rules.memory) {}

  // The connection is open: its first request may take its time.
  void Open() { SetDeadline(rules_.timeout); }
  // Answers with an error, then ends the connection.
  void Refuse(const Refusal& refusal);
  void OnBytes(trantor::MsgBuffer* bytes);
  // The answer to the request that was forwarded has been handed to the connection.
  void OnAnswered();
  // The body of the request that was forwarded; once.
  RequestBody TakeBody() { return std::exchange(body_, {}); }

 private:
  // So much of a body costs its connection nothing: that much is bounded by the number of connections.
  static constexpr std::size_t kFreeBytes = std::size_t{64} << 10;

  using Clock = std::chrono::steady_clock;
  enum class State : std::uint8_t {
    kReading,    // for a request, or a part of it
    kAnswering,  // a request is with Drogon; what follows waits in the connection's buffer
    kDraining,   // nothing further is answered; what still comes is dropped, so that the last answer is not lost to a
                 // reset
  };

  void Read(trantor::MsgBuffer& bytes);
  bool HoldBody();
  void RefuseForMemory();
  void Forward();
  void Drain();
  void SetDeadline(Clock::duration time);
  void ArmTimer();
  void OnTimer();

  std::weak_ptr<trantor::TcpConnection> connection_;
  const Rules& rules_;
  trantor::RecvMessageCallback forward_;
  RequestFramer framer_;
  MemoryShare memory_;
  RequestBody body_;
  State state_ = State::kReading;
  bool timed_ = false;  // the deadline is the one of the request that has begun
  std::optional<Clock::time_point> deadline_;
  bool timer_armed_ = false;
};

}  // namespace cllm
