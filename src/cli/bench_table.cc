#include "cli/bench_table.h"

#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "api/json_object.h"
#include "base/escape.h"

namespace cllm {
namespace {

std::string ModelSize(std::int64_t bytes) {
  const double mebibytes = static_cast<double>(bytes) / (1 << 20);
  return mebibytes < 1024 ? fmt::format("{:.2f} MiB", mebibytes) : fmt::format("{:.2f} GiB", mebibytes / 1024);
}

std::string Parameters(std::int64_t parameters) {
  const double millions = static_cast<double>(parameters) / 1e6;
  return millions < 1000 ? fmt::format("{:.2f} M", millions) : fmt::format("{:.2f} B", millions / 1000);
}

std::string Test(const char* kind, int tokens, int streams) {
  return streams == 1 ? fmt::format("{}{}", kind, tokens) : fmt::format("{}{} x{}", kind, tokens, streams);
}

std::string TableRow(const BenchFacts& facts, const std::string& test, const Spread& rate) {
  return fmt::format("| {:<30} | {:>10} | {:>10} | {:<10} | {:>7} | {:>15} | {:>20} |\n",
                     Escaped(fmt::format("{} {}", facts.model.architecture, facts.model.quantization)), ModelSize(facts.model.weight_bytes),
                     Parameters(facts.model.parameters), facts.backend, facts.threads, test,
                     fmt::format("{:.2f} ± {:.2f}", rate.mean, rate.deviation));
}

}  // namespace

Spread Summarise(std::span<const double> samples) {
  if (samples.empty()) return {};
  const double count = static_cast<double>(samples.size());
  const double mean = std::accumulate(samples.begin(), samples.end(), 0.0) / count;
  double squares = 0;
  for (const double sample : samples) squares += (sample - mean) * (sample - mean);
  return {mean, samples.size() > 1 ? std::sqrt(squares / (count - 1)) : 0};
}

std::string BenchTableHead() {
  return "| model                          |       size |     params | backend    | threads |            test |                  t/s |\n"
         "| ------------------------------ | ---------: | ---------: | ---------- | ------: | --------------: | -------------------: |\n";
}

std::string BenchTableRows(const BenchFacts& facts, const BenchRow& row) {
  return TableRow(facts, Test("pp", row.prompt_tokens, row.streams), row.prompt) +
         TableRow(facts, Test("tg", row.generate_tokens, row.streams), row.generate);
}

std::string BenchJsonLine(const BenchFacts& facts, const BenchRow& row) {
  return fmt::format(
      "{{\"streams\":{},\"prompt_tokens_per_second\":{:.2f},\"generated_tokens_per_second\":{:.2f},"
      "\"prompt_deviation\":{:.2f},\"generated_deviation\":{:.2f},\"prompt_tokens\":{},\"generated_tokens\":{},"
      "\"model\":{},\"model_bytes\":{},\"model_parameters\":{},\"backend\":\"{}\",\"threads\":{}}}\n",
      row.streams, row.prompt.mean, row.generate.mean, row.prompt.deviation, row.generate.deviation, row.prompt_tokens, row.generate_tokens,
      EscapedJson(Dump(facts.model.architecture + " " + facts.model.quantization)), facts.model.weight_bytes, facts.model.parameters,
      facts.backend, facts.threads);
}

}  // namespace cllm
