// One connection between its socket and Drogon: only whole requests in canonical form get through, one at a time, only within their time,
// and only while the client takes what it asked for. Used on the connection's loop only.
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
    // For a request to arrive, for the next one to begin, and for a client that takes nothing of its answer.
    std::chrono::milliseconds timeout{30'000};
    std::chrono::milliseconds handshake_timeout{10'000};  // of TLS
    std::shared_ptr<MemoryBudget> memory;                 // what bodies hold, those of all connections
    std::size_t most_unsent_bytes = 64 << 10;             // the next request waits while more of the answers before it is left
    // Looks at a head before its body is read, and says what is wrong with it.
    std::function<std::optional<Refusal>(const RequestHead&)> check;
    // Whether anybody will read the body; else it is dropped as it comes.
    std::function<bool(const RequestHead&)> wants_body;
    // The bytes of a refusal; the head is empty where it could not be read.
    std::function<std::string(const Refusal&, const RequestHead&, const trantor::TcpConnection&)> render;
    // A good head has come; everything was answered and taken, and nothing new has begun.
    std::function<void(const trantor::TcpConnection*)> on_asked;
    std::function<void(const trantor::TcpConnection*)> on_silent;
  };

  // `rules` outlives the gate. `forward` is what read from the connection before: Drogon.
  ConnectionGate(const trantor::TcpConnectionPtr& connection, const Rules& rules, trantor::RecvMessageCallback forward)
      : connection_(connection), rules_(rules), forward_(std::move(forward)), framer_(rules.limits), memory_(rules.memory) {}

  // The connection was accepted; with TLS its handshake begins.
  void Start();
  // The connection is open: its first request may take its time.
  void Open();
  // Answers with an error, then ends the connection.
  void Refuse(const Refusal& refusal);
  void OnBytes(trantor::MsgBuffer* bytes);
  // The answer to the request that was forwarded has been handed to the connection.
  void OnAnswered();
  // The body of the request that was forwarded; once.
  RequestBody TakeBody() { return std::exchange(body_, {}); }
  // What waited for the socket is in it.
  void OnWritten();
  // The client sends nothing more. It may still read, or be gone: that shows when something is sent to it.
  void OnPeerEnd();

 private:
  // So much of a body costs its connection nothing: that much is bounded by the number of connections.
  static constexpr std::size_t kFreeBytes = std::size_t{64} << 10;

  using Clock = std::chrono::steady_clock;
  enum class State : std::uint8_t {
    kGreeting,   // before Open
    kIdle,       // no request has begun
    kArriving,   // a part of a request is there
    kAnswering,  // a request is with Drogon; what follows waits in the connection's buffer
    kFlushing,   // it is answered, but the client has too much left to read
    kDraining,   // nothing further is answered; what still comes is dropped, so that the last answer is not lost to a
                 // reset
  };

  bool IsReading() const { return state_ == State::kIdle || state_ == State::kArriving; }
  void Read(trantor::MsgBuffer& bytes);
  bool Hold(std::size_t bytes);
  void RefuseForMemory();
  // Counts what the client has sent and nobody works on yet, and ends what is too much.
  void CountArriving(const trantor::MsgBuffer& bytes);
  // Looks at a head that has come; whether to go on.
  bool Admit(trantor::TcpConnection& connection, bool body_may_wait);
  void Forward();
  void TakeNext(trantor::TcpConnection& connection);
  // Ends the connection when its output has left.
  void End(trantor::TcpConnection& connection);
  void SetDeadline(Clock::duration time) { deadline_ = Clock::now() + time; }
  void ArmTimer(trantor::TcpConnection& connection);
  void OnTimer();
  bool HasMoved(trantor::TcpConnection& connection);
  void Probe(trantor::TcpConnection& connection);

  std::weak_ptr<trantor::TcpConnection> connection_;
  const Rules& rules_;
  trantor::RecvMessageCallback forward_;
  RequestFramer framer_;
  MemoryShare memory_;  // what has come and nobody works on yet
  RequestBody body_;
  State state_ = State::kGreeting;
  Clock::time_point deadline_{};
  bool is_silent_ = true;            // and whoever counts it knows
  std::size_t taken_ = 0;            // bytes that the client had taken when the timer looked last
  std::size_t sent_at_forward_ = 0;  // bytes handed to the connection before the request that is being answered
  std::optional<Clock::time_point> peer_ended_;
};

}  // namespace cllm
