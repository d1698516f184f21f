// Answers of OpenAI's Responses that clients may ask for again and go on from: in memory, within bounds of bytes and age.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/memory_budget.h"

namespace cllm {

struct ResponseStoreOptions {
  int max_memory_mb = 64;  // of all that is kept; 0: nothing is
  double ttl_s = 3600;
};

// One item of a conversation as clients see it.
struct StoredItem {
  std::string id;
  std::string json;
};

// What one request added to its conversation. Later answers of the conversation share it.
struct StoredTurn {
  std::vector<StoredItem> input;
  std::vector<StoredItem> output;
  MemoryShare memory = {};  // of the store's
};

using StoredTurns = std::vector<std::shared_ptr<const StoredTurn>>;

struct StoredResponse {
  std::string body;   // the answer as its client got it
  StoredTurns turns;  // oldest first; the last is its own
  MemoryShare memory = {};
};

// Thread safe. Time is passed in. What was made by one owner is not there for another.
class ResponseStore {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit ResponseStore(const ResponseStoreOptions& options);

  bool enabled() const { return budget_->bytes() > 0; }
  std::size_t bytes() const { return budget_->used(); }
  std::size_t size() const;

  // `before` are the turns of the conversation before this one. The oldest answers make room; one that is larger than everything is
  // not kept.
  void Insert(const std::string& owner, const std::string& id, std::string body, StoredTurns before, StoredTurn turn, Time now);
  // nullptr where there is none for this owner, or none that is young enough.
  std::shared_ptr<const StoredResponse> Find(const std::string& owner, const std::string& id, Time now);
  // Whether there was one.
  bool Delete(const std::string& owner, const std::string& id, Time now);

 private:
  struct Entry {
    std::string id;
    std::string owner;
    std::shared_ptr<const StoredResponse> response;
    Time expires;
  };
  using Entries = std::list<Entry>;  // the oldest first

  // Under the lock.
  bool MakeRoom(MemoryShare& share, std::size_t bytes);
  void DropExpired(Time now);
  Entries::iterator FindOwned(const std::string& owner, const std::string& id);
  void Remove(Entries::iterator entry);

  const std::shared_ptr<MemoryBudget> budget_;
  const Time::duration ttl_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::unordered_map<std::string, Entries::iterator> by_id_;
};

}  // namespace cllm
