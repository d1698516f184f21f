#include "http/connection_gate.h"

#include <fmt/format.h>

#include "http/answer_head.h"

namespace cllm {

void ConnectionGate::OnBytes(trantor::MsgBuffer* bytes) {
  if (state_ == State::kReading) Read(*bytes);
  if (state_ == State::kDraining) bytes->retrieveAll();
  // A client may send its next request early, but not without end.
  const std::size_t most_waiting = rules_.limits.head_bytes + rules_.limits.body_bytes;
  if (bytes->readableBytes() <= most_waiting) return;
  if (const auto connection = connection_.lock()) connection->forceClose();
}

void ConnectionGate::Read(trantor::MsgBuffer& bytes) {
  while (state_ == State::kReading && bytes.readableBytes() > 0) {
    if (!std::exchange(timed_, true)) SetDeadline(rules_.timeout);
    std::string_view left(bytes.peek(), bytes.readableBytes());
    const auto progress = framer_.Advance(left);
    bytes.retrieve(bytes.readableBytes() - left.size());
    if (!progress) return Refuse(progress.error());
    if (!HoldBody()) return RefuseForMemory();
    if (*progress == RequestFramer::Progress::kNeedsMore) return;
    if (*progress == RequestFramer::Progress::kComplete) return Forward();
    framer_.SetField(kRequestIdHeader, RequestIdOf(framer_.head().Find(kRequestIdHeader)));
    if (const auto refusal = rules_.check(framer_.head())) return Refuse(*refusal);
    const auto connection = connection_.lock();
    if (framer_.wants_continue() && bytes.readableBytes() == 0 && connection) connection->send("HTTP/1.1 100 Continue\r\n\r\n", 25);
    if (bytes.readableBytes() > 0) continue;
    // A request without a body is complete with its head.
    std::string_view nothing;
    if (framer_.Advance(nothing) == RequestFramer::Progress::kComplete) return Forward();
  }
}

// Counted as it comes: who only announces a long body takes nothing from others.
bool ConnectionGate::HoldBody() {
  const std::size_t bytes = framer_.body_capacity();
  return memory_.Resize(bytes > kFreeBytes ? bytes - kFreeBytes : 0);
}

void ConnectionGate::RefuseForMemory() {
  constexpr int kRetryAfter = 1;
  Refuse({429,
          {ErrorCode::kQueueFull,
           fmt::format("the requests that are open leave no room for this one in the {} MiB of http.max_memory_mb: try again later",
                       rules_.memory->bytes() >> 20U),
           {},
           kRetryAfter}});
}

void ConnectionGate::Forward() {
  state_ = State::kAnswering;
  deadline_.reset();
  body_ = {.text = framer_.TakeBody(), .memory = std::exchange(memory_, MemoryShare(rules_.memory))};
  const auto connection = connection_.lock();
  if (!connection) return;
  const std::string request = framer_.CanonicalHead();
  trantor::MsgBuffer bytes(request.size());
  bytes.append(request);
  forward_(connection, &bytes);
}

void ConnectionGate::OnAnswered() {
  if (state_ != State::kAnswering) return;
  const auto connection = connection_.lock();
  if (framer_.head().ends_connection()) {
    // Drogon does it as well, but not after an answer that may have no body (204).
    if (connection) connection->shutdown();
    return Drain();
  }
  state_ = State::kReading;
  timed_ = false;
  framer_.Reset();
  body_ = {};
  SetDeadline(rules_.timeout);
  if (connection && connection->connected()) Read(*connection->getRecvBuffer());
}

void ConnectionGate::Refuse(const Refusal& refusal) {
  const auto connection = connection_.lock();
  if (connection) {
    connection->send(rules_.render(refusal, framer_.head(), *connection));
    connection->shutdown();
  }
  Drain();
}

void ConnectionGate::Drain() {
  framer_.Reset();
  memory_ = {};
  state_ = State::kDraining;
  SetDeadline(rules_.timeout);
}

void ConnectionGate::SetDeadline(Clock::duration time) {
  deadline_ = Clock::now() + time;
  if (!timer_armed_) ArmTimer();
}

// One timer a connection, however many requests it brings: when it goes off early it is set again.
void ConnectionGate::ArmTimer() {
  const auto connection = connection_.lock();
  if (!connection) return;
  timer_armed_ = true;
  const double seconds = std::chrono::duration<double>(*deadline_ - Clock::now()).count();
  connection->getLoop()->runAfter(seconds, [weak = weak_from_this()] {
    if (const auto gate = weak.lock()) gate->OnTimer();
  });
}

void ConnectionGate::OnTimer() {
  timer_armed_ = false;
  if (!deadline_) return;
  if (Clock::now() < *deadline_) return ArmTimer();
  if (state_ == State::kReading && timed_) {
    return Refuse({408,
                   {ErrorCode::kTimedOut,
                    fmt::format("the request did not arrive within the {} ms of http.timeout_ms", rules_.timeout.count()),
                    {}}});
  }
  if (const auto connection = connection_.lock()) connection->forceClose();
}

}  // namespace cllm
