// What sampling costs a row of the widest usual vocabulary, on one core.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <vector>

#include "sampling/sampler.h"

namespace cllm {
namespace {

constexpr std::size_t kVocabulary = 151'936;

std::vector<float> NormalRow(std::uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, 3.0F);
  std::vector<float> row(kVocabulary);
  for (float& logit : row) logit = normal(generator);
  return row;
}

void Run(benchmark::State& state, const SamplingParams& params) {
  // Several rows, so that they come from where an engine's rows come from rather than from the nearest cache.
  std::vector<std::vector<float>> rows;
  for (std::uint32_t seed = 0; seed < 8; ++seed) rows.push_back(NormalRow(seed));
  Sampler sampler(params, /*choice=*/0);
  for (std::int32_t token = 0; token < 64; ++token) sampler.Accept(token * 2'221 % 151'936);
  SamplerScratch scratch;
  std::uint64_t position = 64;
  for (auto _ : state) {
    const auto sampled = sampler.Sample(rows[position % rows.size()], position, scratch);
    ++position;
    benchmark::DoNotOptimize(sampled->token);
    sampler.Accept(sampled->token);
  }
}

SamplingParams Greedy() { return {.temperature = 0.0}; }

SamplingParams WithPenalties(SamplingParams params) {
  params.repetition_penalty = 1.1;
  params.presence_penalty = 0.1;
  params.frequency_penalty = 0.1;
  return params;
}

SamplingParams WithoutTopK(double top_p, double min_p) { return {.top_k = 0, .top_p = top_p, .min_p = min_p}; }

SamplingParams WithLogprobs(SamplingParams params) {
  params.top_logprobs = 20;
  return params;
}

BENCHMARK_CAPTURE(Run, greedy, Greedy())->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Run, greedy_penalties, WithPenalties(Greedy()))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Run, usual_chain, SamplingParams{})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Run, usual_chain_penalties, WithPenalties({}))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Run, min_p_alone, WithoutTopK(1.0, 0.05))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Run, top_p_half_alone, WithoutTopK(0.5, 0.0))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Run, whole_vocabulary, WithoutTopK(1.0, 0.0))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Run, greedy_logprobs, WithLogprobs(Greedy()))->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace cllm

BENCHMARK_MAIN();
