#include "http/mailbox.h"

#include <algorithm>

namespace cllm {

void Mailbox::Add(trantor::EventLoop* loop, std::shared_ptr<LoopClient> client) {
  const std::lock_guard lock(mutex_);
  entries_.emplace_back(loop, std::move(client));
}

void Mailbox::Deliver() {
  std::vector<Entry> entries;
  {
    const std::lock_guard lock(mutex_);
    entries.swap(entries_);
  }
  std::ranges::stable_sort(entries, {}, &Entry::first);
  for (auto begin = entries.begin(); begin != entries.end();) {
    trantor::EventLoop* loop = begin->first;
    const auto end = std::find_if(begin, entries.end(), [&](const Entry& entry) { return entry.first != loop; });
    std::vector<std::shared_ptr<LoopClient>> clients;
    for (; begin != end; ++begin) clients.push_back(std::move(begin->second));
    loop->queueInLoop([clients = std::move(clients)] {
      for (const auto& client : clients) client->Flush();
    });
  }
}

}  // namespace cllm
