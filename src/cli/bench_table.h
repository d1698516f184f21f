// What `cllm bench engine` prints: the table that llama-bench prints, with the number of streams in the test's name.
#pragma once

#include <span>
#include <string>

#include "model/model_facts.h"

namespace cllm {

struct BenchFacts {
  ModelFacts model;
  std::string backend;  // "CPU" or "GPU"
  int threads = 0;
};

// Of the repetitions of one measurement.
struct Spread {
  double mean = 0;
  double deviation = 0;  // of the sample, so divided by n − 1; 0 for a single one
};
Spread Summarise(std::span<const double> samples);

// Rates in tokens a second over all streams.
struct BenchRow {
  int streams = 0;
  int prompt_tokens = 0;    // of each stream
  int generate_tokens = 0;  // of each stream
  Spread prompt;
  Spread generate;
};

std::string BenchTableHead();
// Two lines: "pp128 x4" for the prompts, "tg128 x4" for the answers of four streams; one stream has no "x".
std::string BenchTableRows(const BenchFacts& facts, const BenchRow& row);
// One line: streams, prompt_tokens_per_second, generated_tokens_per_second, their deviations, and what was measured.
std::string BenchJsonLine(const BenchFacts& facts, const BenchRow& row);

}  // namespace cllm
