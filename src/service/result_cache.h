// Answers of repeated requests: the same model, prompt tokens and parameters give the same tokens, so they are computed once.
//
// Only for requests whose answer is determined: greedy ones, and sampled ones that name their seed. A hit is played through
// the same text stage as a computed answer, so the frames of a stream keep their shape.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "scheduler/request.h"
#include "service/stats.h"

namespace cllm {

struct ResultCacheOptions {
  int max_memory_mb = 0;  // of answers and their keys; 0 turns the cache off
  double ttl_s = 3600;    // seconds that an answer may be used after it was computed
};

struct CachedResult {
  std::vector<SampledToken> tokens;
  FinishReason reason = FinishReason::kStop;
  std::vector<TokenScore> scores = {};          // of the prompt, where they were wanted
  std::optional<SampledToken> stop_token = {};  // as in EndEvent
};

// Whether nothing but the request decides the answer. `has_own_seed`: the client named it.
bool IsRepeatable(const SequenceRequest& request, bool has_own_seed);

// All that the answer depends on, as bytes: equal keys mean equal requests, not just equal hashes.
std::string ResultKey(const SequenceRequest& request, const std::vector<std::string>& stop);

// Thread safe. Time is passed in.
class ResultCache {
 public:
  explicit ResultCache(const ResultCacheOptions& options);

  bool enabled() const { return budget_bytes_ > 0; }

  // Nothing where there is none, or none that is young enough. A hit becomes the most recently used.
  std::shared_ptr<const CachedResult> Find(std::string_view key, TimePoint now);

  // Keeps an answer; the least recently used make room. One that is larger than the budget is not kept. An answer that is
  // there already stays, and gets older no slower.
  void Insert(std::string key, CachedResult result, TimePoint now);

  ResultCacheStats stats() const;
  // Aborts with a message where the books don't agree; for tests.
  void CheckInvariants() const;

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const CachedResult> result;
    TimePoint expires;
    std::size_t bytes = 0;
  };
  using Entries = std::list<Entry>;  // the most recently used first

  void Remove(Entries::iterator entry);

  const std::size_t budget_bytes_;
  const TimePoint::duration ttl_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::unordered_map<std::string_view, Entries::iterator> by_key_;  // views into the entries
  std::size_t bytes_ = 0;
  ResultCacheStats stats_;
};

}  // namespace cllm
