// simulate SEED REQUESTS [CHECK_EVERY]: one run of the simulation, with its report.
#include <chrono>
#include <cstdlib>

#include <fmt/format.h>

#include "simulation/simulation.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: simulate SEED REQUESTS [CHECK_EVERY]\n");
    return 2;
  }
  const cllm::SimulationOptions options{.seed = std::strtoull(argv[1], nullptr, 10),
                                        .requests = std::atoll(argv[2]),
                                        .check_every = argc > 3 ? std::max(1, std::atoi(argv[3])) : 1};
  const auto start = std::chrono::steady_clock::now();
  const cllm::Result<cllm::SimulationReport> report = cllm::Simulate(options);
  if (!report) {
    fmt::print(stderr, "seed {}: {}\nagain: {}\n", options.seed, report.error().message, cllm::ReplayCommand(options));
    return 1;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print("seed {}: {} requests accepted, {} refused, in {:.1f} s\n", options.seed, report->accepted, report->refused, seconds.count());
  fmt::print("ends: {} finished ({} compared with an undisturbed run), {} cancelled, {} timed out, {} failed\n", report->ends[0],
             report->compared, report->ends[1], report->ends[2], report->ends[3]);
  fmt::print("{} steps, {} tokens, {} prompt tokens from the cache, {} preemptions, {:.0f} s of virtual time\n", report->steps,
             report->tokens, report->cached_tokens, report->preemptions, report->seconds);
  fmt::print("{} embeddings and {} scored prompts, all compared with an undisturbed run\n", report->embeddings, report->scored);
  fmt::print("at most {} waited, the longest {:.2f} s\n", report->most_queued, report->longest_wait_s);
  return 0;
}
