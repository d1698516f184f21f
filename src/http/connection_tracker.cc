#include "http/connection_tracker.h"

namespace cllm {

void ConnectionTracker::Add(const trantor::TcpConnection* connection, std::shared_ptr<RequestControl> control) {
  const std::lock_guard lock(mutex_);
  controls_.emplace(connection, std::move(control));
}

void ConnectionTracker::Remove(const trantor::TcpConnection* connection, const RequestControl* control) {
  const std::lock_guard lock(mutex_);
  const auto [begin, end] = controls_.equal_range(connection);
  for (auto entry = begin; entry != end; ++entry) {
    if (entry->second.get() != control) continue;
    controls_.erase(entry);
    return;
  }
}

void ConnectionTracker::OnDisconnect(const trantor::TcpConnection* connection) {
  const std::lock_guard lock(mutex_);
  const auto [begin, end] = controls_.equal_range(connection);
  for (auto entry = begin; entry != end; ++entry) entry->second->Send(RequestControl::Signal::kCancel);
  controls_.erase(begin, end);
}

}  // namespace cllm
