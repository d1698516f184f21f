#include "service/result_cache.h"

#include <tuple>
#include <type_traits>
#include <utility>

#include "base/invariant.h"

namespace cllm {
namespace {

constexpr std::size_t kBytesPerMb = 1 << 20;
// Of an entry beside its key and tokens: list and map nodes, control block. An estimate from above.
constexpr std::size_t kEntryOverhead = 256;

// Appends values one after another; each list is preceded by its length, so that no two requests read alike.
class KeyWriter {
 public:
  template <typename Value>
  void Add(const Value& value) {
    static_assert(std::is_arithmetic_v<Value>);
    key_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void Add(const std::string& text) {
    Add(text.size());
    key_ += text;
  }
  template <typename First, typename Second>
  void Add(const std::pair<First, Second>& pair) {
    Add(pair.first);
    Add(pair.second);
  }
  template <typename Value>
  void Add(const std::vector<Value>& values) {
    Add(values.size());
    for (const Value& value : values) Add(value);
  }
  void Add(const SamplingParams& sampling) { AddAll(FieldsOf(sampling)); }
  template <typename... Fields>
  void AddAll(const std::tuple<const Fields&...>& fields) {
    std::apply([this](const Fields&... field) { (Add(field), ...); }, fields);
  }
  std::string Take() { return std::move(key_); }

 private:
  std::string key_;
};

std::size_t BytesOf(const std::string& key, const CachedResult& result) {
  std::size_t bytes = kEntryOverhead + key.size() + result.tokens.size() * sizeof(SampledToken);
  for (const SampledToken& token : result.tokens) bytes += token.top.size() * sizeof(TokenLogprob);
  for (const TokenScore& score : result.scores) bytes += sizeof(score) + score.top.size() * sizeof(TokenLogprob);
  if (result.stop_token) bytes += result.stop_token->top.size() * sizeof(TokenLogprob);
  return bytes;
}

}  // namespace

bool IsRepeatable(const SequenceRequest& request, bool has_own_seed) { return request.sampling.temperature == 0 || has_own_seed; }

std::string ResultKey(const SequenceRequest& request, const std::vector<std::string>& stop) {
  KeyWriter key;
  key.Add(stop);
  if (request.sampling.temperature != 0) {
    key.AddAll(FieldsOfAnswer(request));
    return key.Take();
  }
  // A greedy answer depends on no random number.
  SequenceRequest drawless = request;
  drawless.sampling.seed = 0;
  drawless.choice = 0;
  key.AddAll(FieldsOfAnswer(drawless));
  return key.Take();
}

ResultCache::ResultCache(const ResultCacheOptions& options)
    : budget_bytes_(static_cast<std::size_t>(options.max_memory_mb) * kBytesPerMb),
      ttl_(std::chrono::duration_cast<TimePoint::duration>(std::chrono::duration<double>(options.ttl_s))) {}

std::shared_ptr<const CachedResult> ResultCache::Find(std::string_view key, TimePoint now) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found != by_key_.end() && found->second->expires <= now) {
    Remove(found->second);
    ++stats_.evictions;
  } else if (found != by_key_.end()) {
    ++stats_.hits;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->result;
  }
  ++stats_.misses;
  return nullptr;
}

void ResultCache::Insert(std::string key, CachedResult result, TimePoint now) {
  const std::size_t bytes = BytesOf(key, result);
  const std::lock_guard lock(mutex_);
  if (bytes > budget_bytes_ || by_key_.contains(key)) return;
  while (bytes_ + bytes > budget_bytes_) {
    Remove(std::prev(entries_.end()));
    ++stats_.evictions;
  }
  entries_.push_front({std::move(key), std::make_shared<const CachedResult>(std::move(result)), now + ttl_, bytes});
  by_key_.emplace(entries_.front().key, entries_.begin());
  bytes_ += bytes;
}

void ResultCache::Remove(Entries::iterator entry) {
  by_key_.erase(entry->key);
  bytes_ -= entry->bytes;
  entries_.erase(entry);
}

ResultCacheStats ResultCache::stats() const {
  const std::lock_guard lock(mutex_);
  ResultCacheStats stats = stats_;
  stats.entries = static_cast<std::int64_t>(entries_.size());
  stats.bytes = static_cast<std::int64_t>(bytes_);
  return stats;
}

void ResultCache::CheckInvariants() const {
  const std::lock_guard lock(mutex_);
  std::size_t sum = 0;
  for (const Entry& entry : entries_) {
    sum += entry.bytes;
    const auto found = by_key_.find(entry.key);
    CheckInvariant(found != by_key_.end() && &*found->second == &entry, "each entry is found by its key");
    CheckInvariant(entry.bytes == BytesOf(entry.key, *entry.result), "an entry takes what it was booked with");
  }
  CheckInvariant(by_key_.size() == entries_.size(), "each key has an entry");
  CheckInvariant(sum == bytes_ && bytes_ <= budget_bytes_, "the entries' bytes add up and keep the budget");
}

}  // namespace cllm
