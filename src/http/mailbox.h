// Carries what other threads have for a connection to that connection's event loop, with one wake-up a loop and step.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <trantor/net/EventLoop.h>

namespace cllm {

// Something that has news for its event loop.
class LoopClient {
 public:
  virtual ~LoopClient() = default;
  // Called on the client's loop.
  virtual void Flush() = 0;
};

class Mailbox {
 public:
  // Any thread. The client is flushed at the next Deliver.
  void Add(trantor::EventLoop* loop, std::shared_ptr<LoopClient> client);
  // Any thread. Wakes each loop that has clients, once.
  void Deliver();

 private:
  using Entry = std::pair<trantor::EventLoop*, std::shared_ptr<LoopClient>>;
  std::mutex mutex_;
  std::vector<Entry> entries_;
};

}  // namespace cllm
