#include "http/metrics_page.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "api/schema_words.h"
#include "base/escape.h"
#include "http/joined_pages.h"

namespace cllm {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

class Page {
 public:
  // Of the figures that are added next; empty: none.
  void SetModel(const std::string& name) { model_ = Escaped(name); }

  void Counter(std::string_view name, std::string_view help, double value) {
    ClientMetric& metric = Add(name, help, MetricType::Counter);
    metric.counter.value = value;
  }

  void Gauge(std::string_view name, std::string_view help, double value) { Add(name, help, MetricType::Gauge).gauge.value = value; }

  void Histogram(std::string_view name, std::string_view help, const HistogramCounts& counts) {
    ClientMetric& metric = Add(name, help, MetricType::Histogram);
    metric.histogram.sample_count = static_cast<std::uint64_t>(counts.count());
    metric.histogram.sample_sum = counts.sum;
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < counts.upper_bounds.size(); ++i) {
      cumulative += static_cast<std::uint64_t>(counts.bucket_counts[i]);
      metric.histogram.bucket.push_back({cumulative, counts.upper_bounds[i]});
    }
  }

  ClientMetric& Add(std::string_view name, std::string_view help, MetricType type) {
    ClientMetric& metric = FamilyOf(name, help, type).metric.emplace_back();
    if (!model_.empty()) metric.label = {{"model", model_}};
    return metric;
  }

  std::string Text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  // Figures of one name are one family, whoever has them.
  MetricFamily& FamilyOf(std::string_view name, std::string_view help, MetricType type) {
    const auto found = std::ranges::find(families_, name, &MetricFamily::name);
    if (found != families_.end()) return *found;
    MetricFamily& family = families_.emplace_back();
    family.name = name;
    family.help = help;
    family.type = type;
    return family;
  }

  std::vector<MetricFamily> families_;
  std::string model_;
};

void AddFacts(Page& page, const ServerFacts& facts) {
  ClientMetric& metric = page.Add("cllm_build_info", "Version, engine and model; always 1.", MetricType::Gauge);
  metric.gauge.value = 1;
  // The serialiser escapes what the format needs; control characters and bytes that are no UTF-8 would reach the scraper.
  metric.label = {{"version", facts.version}, {"engine", Escaped(facts.engine_name)}, {"model", Escaped(facts.card.id)}};
  page.Gauge("cllm_kv_capacity_tokens", "Tokens that the KV cache has room for.", static_cast<double>(facts.kv_tokens_capacity));
}

void AddOutcomes(Page& page, const RequestMetrics& metrics) {
  for (std::size_t i = 0; i < kRequestOutcomes; ++i) {
    const auto outcome = static_cast<RequestOutcome>(i);
    ClientMetric& metric = page.Add("cllm_requests_total", "Accepted requests that have ended, by outcome.", MetricType::Counter);
    metric.label.push_back({"outcome", std::string(RequestOutcomeName(outcome))});
    metric.counter.value = static_cast<double>(metrics.ended(outcome));
  }
}

template <typename Fields, typename Stats>
void AddStats(Page& page, const Fields& fields, const Stats& stats) {
  for (const auto& field : fields) {
    if (field.metric.empty()) continue;
    if (field.kind == StatKind::kCounter) page.Counter(field.metric, field.help, field.Value(stats));
    if (field.kind == StatKind::kGauge) page.Gauge(field.metric, field.help, field.Value(stats));
  }
}

template <typename Fields, typename Metrics>
void AddHistograms(Page& page, const Fields& fields, const Metrics& metrics) {
  for (const auto& field : fields) page.Histogram(field.metric, field.help, (metrics.*field.field).Read());
}

void AddKeptResponses(Page& page, const ResponseStore& store) {
  page.Gauge("cllm_kept_responses", "Answers of /v1/responses that are kept.", static_cast<double>(store.size()));
  page.Gauge("cllm_kept_response_bytes", "Memory of kept answers and their conversations.", static_cast<double>(store.bytes()));
}

void AddModel(Page& page, const Backend& backend) {
  const Service& service = backend.service;
  const ServiceStats stats = service.stats();
  AddFacts(page, backend.facts);
  AddOutcomes(page, service.request_metrics());
  AddStats(page, kServiceStats, stats);
  AddStats(page, kEngineLoopStats, stats.loop);
  AddStats(page, kResultCacheStats, service.result_cache_stats());
  AddStats(page, kGrammarStats, service.grammar_stats());
  if (const Histogram* masks = service.mask_seconds()) {
    page.Histogram("cllm_grammar_mask_seconds", "Time to work out which tokens a grammar lets come next.", masks->Read());
  }
  AddHistograms(page, kRequestHistograms, service.request_metrics());
  AddHistograms(page, kStepHistograms, service.step_metrics());
}

}  // namespace

std::string MetricsPage(std::span<const ModelLease> models, bool with_names) {
  Page page;
  JoinedPages processes;
  const Backend* last = nullptr;
  for (const ModelLease& model : models) {
    if (model.remote()) {
      processes.Add(model.remote()->figures().metrics, model.remote()->id());
      continue;
    }
    if (with_names) page.SetModel(model->facts.card.id);
    AddModel(page, *model);
    last = &*model;
  }
  page.SetModel({});
  if (last != nullptr) AddKeptResponses(page, *last->kept_responses);
  return page.Text() + processes.Text();
}

Operation DescribeMetrics() { return {.answer = words::String()}; }

}  // namespace cllm
