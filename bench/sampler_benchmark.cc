// What sampling costs a row of the widest usual vocabulary, on one core; beside it llama.cpp's chain with the same settings,
// as its server uses it (llama_sampler_sample: a list of all candidates for each token).
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <vector>

#include "llama.h"
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

class LlamaChain {
 public:
  explicit LlamaChain(const SamplingParams& params) {
    const auto add = [this](llama_sampler* sampler) { llama_sampler_chain_add(chain_, sampler); };
    add(llama_sampler_init_penalties(static_cast<std::int32_t>(kVocabulary), params.penalty_last_n,
                                     static_cast<float>(params.repetition_penalty), static_cast<float>(params.frequency_penalty),
                                     static_cast<float>(params.presence_penalty)));
    if (params.temperature == 0) {
      add(llama_sampler_init_greedy());
      return;
    }
    add(llama_sampler_init_top_k(params.top_k));
    add(llama_sampler_init_top_p(static_cast<float>(params.top_p), 1));
    add(llama_sampler_init_min_p(static_cast<float>(params.min_p), 1));
    add(llama_sampler_init_temp(static_cast<float>(params.temperature)));
    add(llama_sampler_init_dist(1));
  }
  ~LlamaChain() { llama_sampler_free(chain_); }
  LlamaChain(const LlamaChain&) = delete;
  LlamaChain& operator=(const LlamaChain&) = delete;

  llama_token Sample(const std::vector<float>& row) {
    candidates_.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) candidates_[i] = {static_cast<llama_token>(i), row[i], 0.0F};
    llama_token_data_array array{candidates_.data(), candidates_.size(), -1, false};
    llama_sampler_apply(chain_, &array);
    return array.data[array.selected].id;
  }
  void Accept(llama_token token) { llama_sampler_accept(chain_, token); }

 private:
  llama_sampler* chain_ = llama_sampler_chain_init(llama_sampler_chain_default_params());
  std::vector<llama_token_data> candidates_;
};

void RunLlama(benchmark::State& state, const SamplingParams& params) {
  std::vector<std::vector<float>> rows;
  for (std::uint32_t seed = 0; seed < 8; ++seed) rows.push_back(NormalRow(seed));
  LlamaChain chain(params);
  for (std::int32_t token = 0; token < 64; ++token) chain.Accept(token * 2'221 % 151'936);
  std::size_t next = 0;
  for (auto _ : state) {
    const llama_token token = chain.Sample(rows[next++ % rows.size()]);
    benchmark::DoNotOptimize(token);
    chain.Accept(token);
  }
}

BENCHMARK_CAPTURE(RunLlama, greedy_penalties, WithPenalties(Greedy()))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(RunLlama, usual_chain, SamplingParams{})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(RunLlama, usual_chain_penalties, WithPenalties({}))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(RunLlama, min_p_alone, WithoutTopK(1.0, 0.05))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(RunLlama, whole_vocabulary, WithoutTopK(1.0, 0.0))->Unit(benchmark::kMicrosecond);

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
