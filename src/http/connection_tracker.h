// Which requests wait on which connection, so that a client that leaves frees its place at once.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "api/backend.h"

namespace trantor {
class TcpConnection;
}

namespace cllm {

class ConnectionTracker {
 public:
  void Add(const trantor::TcpConnection* connection, std::shared_ptr<RequestControl> control);
  void Remove(const trantor::TcpConnection* connection, const RequestControl* control);
  // Cancels every request of a connection that is gone.
  void OnDisconnect(const trantor::TcpConnection* connection);

 private:
  std::mutex mutex_;
  std::unordered_multimap<const trantor::TcpConnection*, std::shared_ptr<RequestControl>> controls_;
};

}  // namespace cllm
