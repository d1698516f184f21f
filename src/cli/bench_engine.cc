#include "cli/bench_engine.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include <unistd.h>

#include <fmt/format.h>

#include "base/rng.h"
#include "cli/bench_table.h"
#include "cli/loaded_engine.h"
#include "cli/program.h"

namespace cllm {
namespace {

using Clock = std::chrono::steady_clock;

// Tokens a second over all streams, one figure for each repetition.
struct Rates {
  std::vector<double> prompt;
  std::vector<double> generate;
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
                               .output = wants_logits ? RowOutput::kLogits : RowOutput::kNothing});
    for (int row = 0; row < rows; ++row) plan_.tokens.push_back(TokenAt(vocab_size_, stream, position + row));
  }

  void Step() { engine_.Wait(engine_.Submit(plan_), result_); }

  Engine& engine_;
  int vocab_size_;
  StepPlan plan_;
  StepResult result_;
};

// One line that is overwritten, on a terminal; a log keeps nothing of it.
class Progress {
 public:
  Progress() : shown_(isatty(STDERR_FILENO) == 1) {}
  ~Progress() { Show(""); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(const std::string& text) {
    if (shown_) fmt::print(stderr, "\r\x1b[K{}", text);
  }

 private:
  bool shown_;
};

Rates Measure(Runner& runner, int streams, const BenchEngineOptions& bench, Progress& progress) {
  Rates rates;
  for (int i = 0; i < bench.repetitions; ++i) {
    progress.Show(fmt::format("{} streams: run {} of {}", streams, i + 1, bench.repetitions));
    rates.prompt.push_back(streams * bench.prompt_tokens / runner.PromptSeconds(streams, bench.prompt_tokens));
    rates.generate.push_back(streams * bench.generate_tokens / runner.GenerateSeconds(streams, bench.prompt_tokens, bench.generate_tokens));
    runner.Drop(streams);
  }
  progress.Show("");
  return rates;
}

}  // namespace

int BenchEngine(const ServeOptions& options, const BenchEngineOptions& bench) {
  ServeOptions wanted = options;
  wanted.llama_cpp.n_seq_max = *std::ranges::max_element(bench.streams);
  wanted.model.max_context_length = bench.prompt_tokens + bench.generate_tokens;
  if (const Status status = ConfigureLog(options.log); !status) return Complain(status.error());
  auto loaded = LoadEngine(wanted);
  if (!loaded) return Complain(loaded.error());
  if (!loaded->engine->capabilities().generates) {
    return Complain(
        {ErrorCode::kInvalidArgument, "the model gives embeddings and generates no text: there is nothing to measure here", {}});
  }
  if (const Status warm = loaded->engine->WarmUp(); !warm) return Complain(warm.error());
  const BenchFacts facts{.model = loaded->model->facts(),
                         .backend = Model::HasGpuSupport() && options.llama_cpp.weights.n_gpu_layers != 0 ? "GPU" : "CPU",
                         .threads = loaded->engine->compute_threads()};
  Progress progress;
  Runner runner(*loaded->engine);
  // Not counted: the first long step touches its buffers for the first time.
  progress.Show("warming up");
  runner.PromptSeconds(1, bench.prompt_tokens);
  runner.Drop(1);
  progress.Show("");
  if (!bench.json) fmt::print("{}", BenchTableHead());
  for (const int streams : bench.streams) {
    if (streams > loaded->engine->capabilities().max_sequences) {
      std::fprintf(stderr, "cllm: the KV cache has no room for %d streams\n", streams);
      return 1;
    }
    const Rates rates = Measure(runner, streams, bench, progress);
    const BenchRow row{streams, bench.prompt_tokens, bench.generate_tokens, Summarise(rates.prompt), Summarise(rates.generate)};
    fmt::print("{}", bench.json ? BenchJsonLine(facts, row) : BenchTableRows(facts, row));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace cllm
