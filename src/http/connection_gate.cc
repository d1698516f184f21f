#include "http/connection_gate.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "http/answer_head.h"

namespace cllm {
namespace {

// How often a connection is looked at: this part of its timeout, or this.
constexpr int kLooksInTimeout = 8;
constexpr std::chrono::milliseconds kLongestLook{1000};
// A client that has closed its half gets this long without being asked whether it is there.
constexpr std::chrono::milliseconds kBeforeProbe{250};
// And where it can't be asked, this long before it is taken for gone.
constexpr std::chrono::seconds kLongestHalfOfHttp10{10};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

void Send(trantor::TcpConnection& connection, std::string_view text) { connection.send(text.data(), text.size()); }

std::size_t HandedTo(const trantor::TcpConnection& connection) { return connection.bytesSent() + connection.bytesWaiting(); }

bool HasTakenAll(const trantor::TcpConnection& connection) {
  return connection.bytesWaiting() == 0 && connection.bytesTaken() == connection.bytesSent();
}

}  // namespace

void ConnectionGate::Start() {
  SetDeadline(std::min(rules_.handshake_timeout, rules_.timeout));
  if (const auto connection = connection_.lock()) ArmTimer(*connection);
}

void ConnectionGate::Open() {
  state_ = State::kIdle;
  SetDeadline(rules_.timeout);
}

void ConnectionGate::OnBytes(trantor::MsgBuffer* bytes) {
  if (IsReading()) Read(*bytes);
  if (state_ == State::kDraining) bytes->retrieveAll();
  CountArriving(*bytes);
}

void ConnectionGate::CountArriving(const trantor::MsgBuffer& bytes) {
  const auto connection = connection_.lock();
  if (!connection) return;
  const bool has_room = Hold(framer_.body_capacity() + bytes.readableBytes());
  if (!has_room && IsReading()) return RefuseForMemory();
  // A client may send its next request early, but not without end.
  const std::size_t most_waiting = rules_.limits.head_bytes + rules_.limits.body_bytes;
  if (!has_room || bytes.readableBytes() > most_waiting) connection->forceClose();
}

void ConnectionGate::Read(trantor::MsgBuffer& bytes) {
  const auto connection = connection_.lock();
  if (!connection) return;
  while (IsReading() && bytes.readableBytes() > 0) {
    if (std::exchange(state_, State::kArriving) == State::kIdle) SetDeadline(rules_.timeout);
    std::string_view left(bytes.peek(), bytes.readableBytes());
    const auto progress = framer_.Advance(left);
    bytes.retrieve(bytes.readableBytes() - left.size());
    if (!progress) return Refuse(progress.error());
    if (*progress == RequestFramer::Progress::kNeedsMore) return;
    if (*progress == RequestFramer::Progress::kComplete) return Forward();
    if (!Admit(*connection, bytes.readableBytes() == 0)) return;
    if (bytes.readableBytes() > 0) continue;
    // A request without a body is complete with its head.
    std::string_view nothing;
    if (framer_.Advance(nothing) == RequestFramer::Progress::kComplete) return Forward();
  }
}

// Whether there is room for so many bytes of this client. Counted as they come: who only announces a long body takes nothing from others.
bool ConnectionGate::Hold(std::size_t bytes) { return memory_.Resize(bytes > kFreeBytes ? bytes - kFreeBytes : 0); }

void ConnectionGate::RefuseForMemory() {
  constexpr int kRetryAfter = 1;
  Refuse({429,
          {ErrorCode::kQueueFull,
           fmt::format("the requests that are open leave no room for this one in the {} MiB of http.max_memory_mb: try again later",
                       rules_.memory->bytes() >> 20U),
           {},
           kRetryAfter}});
}

bool ConnectionGate::Admit(trantor::TcpConnection& connection, bool body_may_wait) {
  framer_.SetField(kRequestIdHeader, RequestIdOf(framer_.head().Find(kRequestIdHeader)));
  if (const auto refusal = rules_.check(framer_.head())) {
    Refuse(*refusal);
    return false;
  }
  is_silent_ = false;
  rules_.on_asked(&connection);
  if (!rules_.wants_body(framer_.head())) framer_.DropBody();
  if (framer_.wants_continue() && body_may_wait) Send(connection, kContinue);
  return true;
}

void ConnectionGate::Forward() {
  state_ = State::kAnswering;
  SetDeadline(rules_.timeout);
  const auto connection = connection_.lock();
  if (!connection) return;
  body_ = {.text = framer_.TakeBody(), .memory = std::exchange(memory_, MemoryShare(rules_.memory))};
  sent_at_forward_ = HandedTo(*connection);
  const std::string request = framer_.CanonicalHead();
  trantor::MsgBuffer bytes(request.size());
  bytes.append(request);
  forward_(connection, &bytes);
}

void ConnectionGate::OnAnswered() {
  const auto connection = connection_.lock();
  if (state_ != State::kAnswering || !connection) return;
  // Drogon does it as well, but not after an answer that may have no body (204).
  if (framer_.head().ends_connection()) return End(*connection);
  framer_.Reset();
  body_ = {};
  state_ = State::kFlushing;
  SetDeadline(rules_.timeout);
  TakeNext(*connection);
}

void ConnectionGate::OnWritten() {
  const auto connection = connection_.lock();
  if (state_ == State::kFlushing && connection) TakeNext(*connection);
}

// A client that asks and asks and reads nothing would otherwise have its answers piled up here.
void ConnectionGate::TakeNext(trantor::TcpConnection& connection) {
  if (connection.bytesWaiting() > rules_.most_unsent_bytes) return;
  state_ = State::kIdle;
  if (connection.connected()) {
    Read(*connection.getRecvBuffer());
    CountArriving(*connection.getRecvBuffer());
  }
  if (peer_ended_ && IsReading()) End(connection);
}

void ConnectionGate::OnPeerEnd() {
  peer_ended_ = Clock::now();
  const auto connection = connection_.lock();
  if (!connection) return;
  if (state_ == State::kGreeting) return connection->forceClose();
  if (IsReading()) End(*connection);
}

void ConnectionGate::Refuse(const Refusal& refusal) {
  const auto connection = connection_.lock();
  if (!connection) return;
  Send(*connection, rules_.render(refusal, framer_.head(), *connection));
  framer_.Reset();  // nobody will read what has come of it
  memory_ = MemoryShare(rules_.memory);
  End(*connection);
}

void ConnectionGate::End(trantor::TcpConnection& connection) {
  connection.shutdown();
  state_ = State::kDraining;
  SetDeadline(rules_.timeout);
}

// One timer a connection, however many requests it brings.
void ConnectionGate::ArmTimer(trantor::TcpConnection& connection) {
  const auto look = std::min<Clock::duration>(kLongestLook, rules_.timeout / kLooksInTimeout);
  const auto wait = std::clamp(deadline_ - Clock::now(), Clock::duration::zero(), look);
  connection.getLoop()->runAfter(std::chrono::duration<double>(wait).count(), [weak = weak_from_this()] {
    if (const auto gate = weak.lock()) gate->OnTimer();
  });
}

void ConnectionGate::OnTimer() {
  const auto connection = connection_.lock();
  if (!connection || connection->disconnected()) return;
  const bool has_moved = HasMoved(*connection);
  if (has_moved && state_ != State::kGreeting && state_ != State::kArriving) SetDeadline(rules_.timeout);
  if (Clock::now() >= deadline_) {
    if (state_ != State::kArriving) return connection->forceClose();
    Refuse({408,
            {ErrorCode::kTimedOut,
             fmt::format("the request did not arrive within the {} ms of http.timeout_ms", rules_.timeout.count()),
             {}}});
  }
  Probe(*connection);
  if (state_ == State::kIdle && HasTakenAll(*connection) && !std::exchange(is_silent_, true)) rules_.on_silent(connection.get());
  ArmTimer(*connection);
}

// Whether it is not the client's turn, or the client has done something: it takes an answer at whatever pace it likes.
bool ConnectionGate::HasMoved(trantor::TcpConnection& connection) {
  const std::size_t taken = connection.bytesTaken();
  if (std::exchange(taken_, taken) != taken) return true;
  return state_ == State::kAnswering && connection.connected() && HasTakenAll(connection);
}

// A client that has closed its half may be waiting for its answer or gone: both look the same until something is sent. What may be sent
// before an answer is an interim response, and an answer that has begun is as good. HTTP/1.0 has none.
void ConnectionGate::Probe(trantor::TcpConnection& connection) {
  if (state_ != State::kAnswering || !peer_ended_ || HandedTo(connection) != sent_at_forward_) return;
  const auto waited = Clock::now() - *peer_ended_;
  if (framer_.head().is_http_1_0) {
    if (waited >= kLongestHalfOfHttp10) connection.forceClose();
  } else if (waited >= kBeforeProbe) {
    Send(connection, kContinue);
    sent_at_forward_ = HandedTo(connection);
  }
}

}  // namespace cllm
