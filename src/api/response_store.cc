#include "api/response_store.h"

#include <utility>

namespace cllm {
namespace {

// What allocators and containers take beside the bytes that are asked for.
constexpr std::size_t kOfAnAllocation = 32;
constexpr std::size_t kOfAnEntry = 512;

std::size_t BytesOf(const std::vector<StoredItem>& items) {
  std::size_t bytes = items.capacity() * sizeof(StoredItem);
  for (const StoredItem& item : items) bytes += item.id.capacity() + item.json.capacity() + 2 * kOfAnAllocation;
  return bytes;
}

std::size_t BytesOf(const StoredTurn& turn) { return sizeof(turn) + BytesOf(turn.input) + BytesOf(turn.output) + 4 * kOfAnAllocation; }

}  // namespace

ResponseStore::ResponseStore(const ResponseStoreOptions& options)
    : budget_(std::make_shared<MemoryBudget>(static_cast<std::size_t>(options.max_memory_mb) << 20U)),
      ttl_(std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(options.ttl_s))) {}

std::size_t ResponseStore::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void ResponseStore::Insert(const std::string& owner, const std::string& id, std::string body, StoredTurns before, StoredTurn turn,
                           Time now) {
  if (!enabled()) return;
  const std::lock_guard lock(mutex_);
  DropExpired(now);
  auto response = std::make_shared<StoredResponse>();
  response->memory = MemoryShare(budget_);
  turn.memory = MemoryShare(budget_);
  const std::size_t turn_bytes = BytesOf(turn);
  const std::size_t own_bytes = kOfAnEntry + body.capacity() + owner.size() + 2 * id.size() + (before.size() + 1) * sizeof(before.front());
  // Not even an empty store would hold it: nobody has to leave.
  if (turn_bytes + own_bytes > budget_->bytes()) return;
  if (!MakeRoom(turn.memory, turn_bytes) || !MakeRoom(response->memory, own_bytes)) return;
  response->body = std::move(body);
  before.push_back(std::make_shared<const StoredTurn>(std::move(turn)));
  before.shrink_to_fit();
  response->turns = std::move(before);
  entries_.push_back({.id = id, .owner = owner, .response = std::move(response), .expires = now + ttl_});
  by_id_[id] = std::prev(entries_.end());
}

// What is still read or continued of an answer that was dropped keeps its memory until then: it may take several to make room.
bool ResponseStore::MakeRoom(MemoryShare& share, std::size_t bytes) {
  while (!share.Resize(bytes)) {
    if (entries_.empty()) return false;
    Remove(entries_.begin());
  }
  return true;
}

void ResponseStore::DropExpired(Time now) {
  while (!entries_.empty() && entries_.front().expires <= now) Remove(entries_.begin());
}

ResponseStore::Entries::iterator ResponseStore::FindOwned(const std::string& owner, const std::string& id) {
  const auto found = by_id_.find(id);
  return found != by_id_.end() && found->second->owner == owner ? found->second : entries_.end();
}

void ResponseStore::Remove(Entries::iterator entry) {
  by_id_.erase(entry->id);
  entries_.erase(entry);
}

std::shared_ptr<const StoredResponse> ResponseStore::Find(const std::string& owner, const std::string& id, Time now) {
  const std::lock_guard lock(mutex_);
  DropExpired(now);
  const auto entry = FindOwned(owner, id);
  return entry == entries_.end() ? nullptr : entry->response;
}

bool ResponseStore::Delete(const std::string& owner, const std::string& id, Time now) {
  const std::lock_guard lock(mutex_);
  DropExpired(now);
  const auto entry = FindOwned(owner, id);
  if (entry == entries_.end()) return false;
  Remove(entry);
  return true;
}

}  // namespace cllm
