#include "cli/bench_engine.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include <fmt/format.h>

#include "base/rng.h"
#include "cli/loaded_engine.h"

namespace cllm {
namespace {

using Clock = std::chrono::steady_clock;

struct Row {
  int streams = 0;
  double prompt_rate = 0;    // tokens a second over all streams
  double generate_rate = 0;  // likewise
};

// Token ids that no cache has seen: a function of the place alone.
TokenId TokenAt(int vocab_size, int stream, int position) {
  return static_cast<TokenId>(UniformAt(1, static_cast<std::uint32_t>(stream), static_cast<std::uint64_t>(position)) * vocab_size);
}

class Runner {
 public:
  explicit Runner(Engine& engine) : engine_(engine), vocab_size_(engine.capabilities().vocab_size) {}

  // All prompts, stream after stream, in steps that are as full as the engine takes.
  double PromptSeconds(int streams, int tokens) {
    const Clock::time_point start = Clock::now();
    const int most = engine_.capabilities().max_step_tokens;
    plan_.Clear();
    for (int stream = 0; stream < streams; ++stream) {
      for (int done = 0; done < tokens;) {
        const int rows = std::min(most - static_cast<int>(plan_.tokens.size()), tokens - done);
        Add(stream, done, rows, done + rows == tokens);
        done += rows;
        if (static_cast<int>(plan_.tokens.size()) < most) continue;
        Step();
        plan_.Clear();
      }
    }
    if (!plan_.empty()) Step();
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  double GenerateSeconds(int streams, int prompt_tokens, int tokens) {
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < tokens; ++i) {
      plan_.Clear();
      for (int stream = 0; stream < streams; ++stream) Add(stream, prompt_tokens + i, 1, true);
      Step();
    }
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  void Drop(int streams) {
    plan_.Clear();
    for (int stream = 0; stream < streams; ++stream) {
      plan_.operations.push_back({.kind = KvOperation::Kind::kDrop, .slot = stream});
    }
    Step();
  }

 private:
  void Add(int stream, int position, int rows, bool wants_logits) {
    plan_.sequences.push_back({.slot = stream,
                               .computed = position,
                               .first_row = static_cast<int>(plan_.tokens.size()),
                               .rows = rows,
                               .wants_logits = wants_logits});
    for (int row = 0; row < rows; ++row) plan_.tokens.push_back(TokenAt(vocab_size_, stream, position + row));
  }

  void Step() { engine_.Wait(engine_.Submit(plan_), result_); }

  Engine& engine_;
  int vocab_size_;
  StepPlan plan_;
  StepResult result_;
};

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

Row Measure(Runner& runner, int streams, const BenchEngineOptions& bench) {
  std::vector<double> prompt;
  std::vector<double> generate;
  for (int i = 0; i < bench.repetitions; ++i) {
    prompt.push_back(runner.PromptSeconds(streams, bench.prompt_tokens));
    generate.push_back(runner.GenerateSeconds(streams, bench.prompt_tokens, bench.generate_tokens));
    runner.Drop(streams);
  }
  return {.streams = streams,
          .prompt_rate = streams * bench.prompt_tokens / Median(prompt),
          .generate_rate = streams * bench.generate_tokens / Median(generate)};
}

void PrintRow(const Row& row, bool json) {
  if (json) {
    fmt::print("{{\"streams\":{},\"prompt_tokens_per_second\":{:.2f},\"generated_tokens_per_second\":{:.2f}}}\n", row.streams,
               row.prompt_rate, row.generate_rate);
  } else {
    fmt::print("| {:>7} | {:>12.1f} | {:>14.1f} |\n", row.streams, row.prompt_rate, row.generate_rate);
  }
  std::fflush(stdout);
}

}  // namespace

int BenchEngine(const ServeOptions& options, const BenchEngineOptions& bench) {
  ServeOptions wanted = options;
  wanted.llama_cpp.n_seq_max = *std::ranges::max_element(bench.streams);
  wanted.model.max_context_length = bench.prompt_tokens + bench.generate_tokens;
  if (const Status status = ConfigureLog(options.log); !status) {
    std::fprintf(stderr, "cllm: %s\n", status.error().message.c_str());
    return 1;
  }
  auto loaded = LoadEngine(wanted);
  if (!loaded) {
    std::fprintf(stderr, "cllm: %s\n", loaded.error().message.c_str());
    return 1;
  }
  if (const Status warm = loaded->engine->WarmUp(); !warm) {
    std::fprintf(stderr, "cllm: %s\n", warm.error().message.c_str());
    return 1;
  }
  Runner runner(*loaded->engine);
  // Not counted: the first long step touches its buffers for the first time.
  runner.PromptSeconds(1, bench.prompt_tokens);
  runner.Drop(1);
  if (!bench.json) {
    fmt::print("{} prompt and {} generated tokens a stream, median of {}\n\n", bench.prompt_tokens, bench.generate_tokens,
               bench.repetitions);
    fmt::print("| streams | prompt tok/s | generate tok/s |\n|--------:|-------------:|---------------:|\n");
  }
  for (const int streams : bench.streams) {
    if (streams > loaded->engine->capabilities().max_sequences) {
      std::fprintf(stderr, "cllm: the KV cache has no room for %d streams\n", streams);
      return 1;
    }
    PrintRow(Measure(runner, streams, bench), bench.json);
  }
  return 0;
}

}  // namespace cllm
