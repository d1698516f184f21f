// What the service counts, each figure declared once: its field, and beside it a row that says what it is called where it is shown. The
// metrics page, /health?level=detailed and the table in docs/api.md are made of the rows or compared with them.
//
// A figure that is added to a struct and not to its table does not compile.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <variant>

#include "base/fields.h"
#include "grammar/grammar_compiler.h"

namespace cllm {

enum class StatKind : std::uint8_t { kCounter, kGauge };

template <typename Stats>
struct StatField {
  std::variant<std::int64_t Stats::*, double Stats::*> field;
  StatKind kind = StatKind::kGauge;
  std::string_view metric;       // its name on the metrics page; empty where it isn't there
  std::string_view help;         // the page's
  std::string_view health = {};  // where /health?level=detailed shows it, as "engine.steps"; empty where it doesn't
  double unit = 1;               // what is shown is the field times this

  // A number without a fraction stays an integer.
  std::variant<std::int64_t, double> Read(const Stats& stats) const {
    if (const auto* count = std::get_if<std::int64_t Stats::*>(&field); count != nullptr && unit == 1) return stats.**count;
    return Value(stats);
  }
  double Value(const Stats& stats) const {
    return std::visit([&](auto member) { return static_cast<double>(stats.*member) * unit; }, field);
  }
};

// What the engine loop counts; since the last step, where it isn't a sum.
struct EngineLoopStats {
  std::int64_t steps = 0;
  std::int64_t computing_ns = 0;
  // Wall time in which there was work to run and no step was computing: planning, sampling, committing, waiting to merge.
  std::int64_t idle_with_work_ns = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_prompt_tokens = 0;
  std::int64_t generated_tokens = 0;
  std::int64_t embeddings = 0;
  std::int64_t embedding_tokens = 0;
  std::int64_t preemptions = 0;
  std::int64_t queued = 0;
  std::int64_t running = 0;
  std::int64_t kv_tokens = 0;
  std::int64_t kv_idle_tokens = 0;
  double seconds_per_start = 0;  // smoothed; 0 where nobody has waited yet
  double target_step_s = 0;
  std::int64_t threads = 0;
};

inline constexpr double kSecondsPerNanosecond = 1e-9;

inline constexpr std::array kEngineLoopStats = std::to_array<StatField<EngineLoopStats>>({
    {&EngineLoopStats::running, StatKind::kGauge, "cllm_requests_running", "Requests that compute.", "queue.running"},
    {&EngineLoopStats::queued, StatKind::kGauge, {}, {}, "queue.queued"},
    {&EngineLoopStats::prompt_tokens, StatKind::kCounter, "cllm_prompt_tokens_total", "Prompt tokens computed.", "engine.prompt_tokens"},
    {&EngineLoopStats::cached_prompt_tokens, StatKind::kCounter, "cllm_prefix_cached_tokens_total",
     "Prompt tokens whose keys and values were there already.", "engine.cached_prompt_tokens"},
    {&EngineLoopStats::generated_tokens, StatKind::kCounter, "cllm_generation_tokens_total", "Tokens generated.",
     "engine.generated_tokens"},
    {&EngineLoopStats::embeddings, StatKind::kCounter, "cllm_embeddings_total", "Embeddings and scores of texts computed.",
     "engine.embeddings"},
    {&EngineLoopStats::embedding_tokens, StatKind::kCounter, "cllm_embedding_tokens_total",
     "Tokens computed of texts whose embeddings or scores were asked for.", "engine.embedding_tokens"},
    {&EngineLoopStats::steps, StatKind::kCounter, "cllm_steps_total", "Steps of the engine.", "engine.steps"},
    {&EngineLoopStats::preemptions, StatKind::kCounter, "cllm_preemptions_total",
     "Times that a running request gave its keys and values away because there was no room left.", "engine.preemptions"},
    {&EngineLoopStats::computing_ns, StatKind::kCounter, "cllm_computing_seconds_total", "Time inside the engine.", "engine.computing_s",
     kSecondsPerNanosecond},
    {&EngineLoopStats::idle_with_work_ns, StatKind::kCounter, "cllm_idle_with_work_seconds_total",
     "Time in which there was work and no step was computing.", "engine.idle_with_work_s", kSecondsPerNanosecond},
    {&EngineLoopStats::target_step_s, StatKind::kGauge, "cllm_step_target_seconds",
     "How long the last step might take; 0 where nothing bounded it."},
    {&EngineLoopStats::threads, StatKind::kGauge, "cllm_engine_threads", "Threads that compute a step.", "engine.threads"},
    {&EngineLoopStats::seconds_per_start, StatKind::kGauge, "cllm_queue_seconds_per_start",
     "Time between two requests that leave the queue."},
    {&EngineLoopStats::kv_tokens, StatKind::kGauge, "cllm_kv_tokens", "Tokens whose keys and values the engine holds for running requests.",
     "kv.tokens"},
    {&EngineLoopStats::kv_idle_tokens, StatKind::kGauge, "cllm_kv_idle_tokens",
     "Tokens whose keys and values are kept for requests to come.", "kv.idle_tokens"},
});
static_assert(kEngineLoopStats.size() == FieldCount<EngineLoopStats>(), "each figure has a row");

struct ServiceStats {
  std::int64_t accepted = 0;
  std::int64_t embedding_requests = 0;  // of these, those for embeddings or scores
  std::int64_t refused = 0;             // queue full or shutting down
  std::int64_t open_requests = 0;       // accepted and not ended, those that are being prepared included
  std::int64_t waiting = 0;             // of these, those that don't compute
  std::int64_t invalid_answers = 0;     // finished ones that were not what they were constrained to be
  std::int64_t max_running = 0;
  std::int64_t max_open = 0;
  EngineLoopStats loop = {};  // has a table of its own
};

inline constexpr std::array kServiceStats = std::to_array<StatField<ServiceStats>>({
    {&ServiceStats::accepted, StatKind::kCounter, "cllm_requests_accepted_total", "Requests that were accepted.", "queue.accepted"},
    {&ServiceStats::embedding_requests, StatKind::kCounter, "cllm_embedding_requests_total",
     "Requests for embeddings or scores that were accepted.", "queue.embedding_requests"},
    {&ServiceStats::refused, StatKind::kCounter, "cllm_requests_refused_total",
     "Requests that were refused because the queue was full or the server stops.", "queue.refused"},
    {&ServiceStats::open_requests, StatKind::kGauge, {}, {}, "queue.open"},
    {&ServiceStats::waiting, StatKind::kGauge, "cllm_requests_waiting", "Accepted requests that wait to compute."},
    {&ServiceStats::invalid_answers, StatKind::kCounter, "cllm_invalid_answers_total",
     "Constrained answers that a validator found wrong; their clients got errors."},
    {&ServiceStats::max_running, StatKind::kGauge, {}, {}, "queue.max_running"},
    {&ServiceStats::max_open, StatKind::kGauge, {}, {}, "queue.max_open"},
});
static_assert(kServiceStats.size() + 1 == FieldCount<ServiceStats>(), "each figure has a row");

struct ResultCacheStats {
  std::int64_t hits = 0;
  std::int64_t misses = 0;
  std::int64_t evictions = 0;  // for room, or too old
  std::int64_t entries = 0;
  std::int64_t bytes = 0;
};

inline constexpr std::array kResultCacheStats = std::to_array<StatField<ResultCacheStats>>({
    {&ResultCacheStats::hits, StatKind::kCounter, "cllm_result_cache_hits_total", "Requests answered from the result cache."},
    {&ResultCacheStats::misses, StatKind::kCounter, "cllm_result_cache_misses_total",
     "Repeatable requests that were not in the result cache."},
    {&ResultCacheStats::evictions, StatKind::kCounter, "cllm_result_cache_evictions_total", "Answers that made room or grew too old."},
    {&ResultCacheStats::entries, StatKind::kGauge, "cllm_result_cache_entries", "Answers in the result cache."},
    {&ResultCacheStats::bytes, StatKind::kGauge, "cllm_result_cache_bytes", "Memory of the result cache."},
});
static_assert(kResultCacheStats.size() == FieldCount<ResultCacheStats>(), "each figure has a row");

inline constexpr std::array kGrammarStats = std::to_array<StatField<GrammarStats>>({
    {&GrammarStats::compiled, StatKind::kCounter, "cllm_grammars_compiled_total", "Grammars and schemas that were compiled."},
    {&GrammarStats::refused, StatKind::kCounter, "cllm_grammars_refused_total",
     "Grammars and schemas that could not be compiled within the bounds."},
    {&GrammarStats::found, StatKind::kCounter, "cllm_grammar_cache_hits_total", "Requests whose grammar was compiled before."},
    {&GrammarStats::cache_bytes, StatKind::kGauge, "cllm_grammar_cache_bytes", "Memory of the compiled grammars that are kept."},
});
static_assert(kGrammarStats.size() == FieldCount<GrammarStats>(), "each figure has a row");

// Figures that one thread writes and others read at any time, without a lock. Each is exact by itself; together they may be from two
// writes.
template <typename Stats>
class PublishedStats {
  static_assert(std::is_trivially_copyable_v<Stats> && sizeof(Stats) == FieldCount<Stats>() * sizeof(std::uint64_t),
                "a field is a word, and so never half written");
  using Words = std::array<std::uint64_t, FieldCount<Stats>()>;

 public:
  void Write(const Stats& stats) {
    const auto words = std::bit_cast<Words>(stats);
    for (std::size_t i = 0; i < words.size(); ++i) words_[i].store(words[i], std::memory_order_relaxed);
  }
  Stats Read() const {
    Words words;
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = words_[i].load(std::memory_order_relaxed);
    return std::bit_cast<Stats>(words);
  }

 private:
  std::array<std::atomic<std::uint64_t>, FieldCount<Stats>()> words_{};
};

}  // namespace cllm
