#include "http/metrics_page.h"

#include <algorithm>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace cllm {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double kSecondsPerNanosecond = 1e-9;

class Page {
 public:
  void Counter(const char* name, const char* help, double value) {
    ClientMetric& metric = Family(name, help, MetricType::Counter).metric.emplace_back();
    metric.counter.value = value;
  }

  void Gauge(const char* name, const char* help, double value) {
    ClientMetric& metric = Family(name, help, MetricType::Gauge).metric.emplace_back();
    metric.gauge.value = value;
  }

  void Histogram(const char* name, const char* help, const HistogramCounts& counts) {
    ClientMetric& metric = Family(name, help, MetricType::Histogram).metric.emplace_back();
    metric.histogram.sample_count = static_cast<std::uint64_t>(counts.count());
    metric.histogram.sample_sum = counts.sum;
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < counts.upper_bounds.size(); ++i) {
      cumulative += static_cast<std::uint64_t>(counts.bucket_counts[i]);
      metric.histogram.bucket.push_back({cumulative, counts.upper_bounds[i]});
    }
  }

  MetricFamily& Family(const char* name, const char* help, MetricType type) {
    MetricFamily& family = families_.emplace_back();
    family.name = name;
    family.help = help;
    family.type = type;
    return family;
  }

  std::string Text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  std::vector<MetricFamily> families_;
};

void AddFacts(Page& page, const ServerFacts& facts) {
  ClientMetric& metric = page.Family("cllm_build_info", "Version, engine and model; always 1.", MetricType::Gauge).metric.emplace_back();
  metric.gauge.value = 1;
  metric.label = {{"version", facts.version}, {"engine", facts.engine_name}, {"model", facts.card.id}};
}

void AddRequests(Page& page, const ServiceStats& stats, const RequestMetrics& metrics) {
  MetricFamily& ended = page.Family("cllm_requests_total", "Accepted requests that have ended, by outcome.", MetricType::Counter);
  for (std::size_t i = 0; i < kRequestOutcomes; ++i) {
    const auto outcome = static_cast<RequestOutcome>(i);
    ClientMetric& metric = ended.metric.emplace_back();
    metric.label = {{"outcome", std::string(RequestOutcomeName(outcome))}};
    metric.counter.value = static_cast<double>(metrics.ended(outcome));
  }
  page.Counter("cllm_requests_accepted_total", "Requests that were accepted.", static_cast<double>(stats.accepted));
  page.Counter("cllm_requests_refused_total", "Requests that were refused because the queue was full or the server stops.",
               static_cast<double>(stats.refused));
  page.Gauge("cllm_requests_running", "Requests that compute.", stats.loop.running);
  page.Gauge("cllm_requests_waiting", "Accepted requests that wait to compute.", std::max(0, stats.open_requests - stats.loop.running));
  page.Histogram("cllm_request_queue_time_seconds", "From acceptance to the start of computing.", metrics.queue_seconds.Read());
  page.Histogram("cllm_time_to_first_token_seconds", "From acceptance to the first token.", metrics.first_token_seconds.Read());
  page.Histogram("cllm_inter_token_latency_seconds", "Between two tokens of one answer.", metrics.inter_token_seconds.Read());
  page.Histogram("cllm_e2e_request_latency_seconds", "From acceptance to the end of finished requests.", metrics.response_seconds.Read());
  page.Histogram("cllm_request_prompt_tokens", "Prompt tokens of finished requests.", metrics.prompt_tokens.Read());
  page.Histogram("cllm_request_generation_tokens", "Generated tokens of finished requests.", metrics.generated_tokens.Read());
}

void AddEngine(Page& page, const ServerFacts& facts, const EngineLoopStats& loop, const StepMetrics& metrics) {
  page.Counter("cllm_prompt_tokens_total", "Prompt tokens computed.", static_cast<double>(loop.prompt_tokens));
  page.Counter("cllm_prefix_cached_tokens_total", "Prompt tokens whose keys and values were there already.",
               static_cast<double>(loop.cached_prompt_tokens));
  page.Counter("cllm_generation_tokens_total", "Tokens generated.", static_cast<double>(loop.generated_tokens));
  page.Counter("cllm_steps_total", "Steps of the engine.", static_cast<double>(loop.steps));
  page.Counter("cllm_computing_seconds_total", "Time inside the engine.", static_cast<double>(loop.computing_ns) * kSecondsPerNanosecond);
  page.Counter("cllm_idle_with_work_seconds_total", "Time in which there was work and no step was computing.",
               static_cast<double>(loop.idle_with_work_ns) * kSecondsPerNanosecond);
  page.Histogram("cllm_step_duration_seconds", "Time of a step inside the engine.", metrics.seconds.Read());
  page.Histogram("cllm_step_sequences", "Sequences that computed in a step.", metrics.sequences.Read());
  page.Histogram("cllm_step_tokens", "Tokens computed in a step, prompts and answers.", metrics.tokens.Read());
  page.Histogram("cllm_step_duration_over_prediction", "Time of a step over what the scheduler thought it would be.",
                 metrics.over_prediction.Read());
  page.Gauge("cllm_step_target_seconds", "How long the last step might take; 0 where nothing bounded it.", loop.target_step_s);
  page.Gauge("cllm_queue_seconds_per_start", "Time between two requests that leave the queue.", loop.seconds_per_start);
  page.Gauge("cllm_kv_tokens", "Tokens whose keys and values the engine holds for running requests.", static_cast<double>(loop.kv_tokens));
  page.Gauge("cllm_kv_idle_tokens", "Tokens whose keys and values are kept for requests to come.",
             static_cast<double>(loop.kv_idle_tokens));
  page.Gauge("cllm_kv_capacity_tokens", "Tokens that the KV cache has room for.", static_cast<double>(facts.kv_tokens_capacity));
}

void AddResultCache(Page& page, const ResultCacheStats& stats) {
  page.Counter("cllm_result_cache_hits_total", "Requests answered from the result cache.", static_cast<double>(stats.hits));
  page.Counter("cllm_result_cache_misses_total", "Repeatable requests that were not in the result cache.",
               static_cast<double>(stats.misses));
  page.Counter("cllm_result_cache_evictions_total", "Answers that made room or grew too old.", static_cast<double>(stats.evictions));
  page.Gauge("cllm_result_cache_entries", "Answers in the result cache.", static_cast<double>(stats.entries));
  page.Gauge("cllm_result_cache_bytes", "Memory of the result cache.", static_cast<double>(stats.bytes));
}

}  // namespace

std::string MetricsPage(const Backend& backend) {
  const ServerFacts& facts = backend.facts;
  const Service& service = backend.service;
  const ServiceStats stats = service.stats();
  Page page;
  AddFacts(page, facts);
  AddRequests(page, stats, service.request_metrics());
  AddEngine(page, facts, stats.loop, service.step_metrics());
  AddResultCache(page, service.result_cache_stats());
  return page.Text();
}

}  // namespace cllm
