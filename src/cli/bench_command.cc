// `cllm bench`: measurements in process.
#include <memory>
#include <string>

#include "cli/bench_engine.h"
#include "cli/commands.h"
#include "cli/program.h"

namespace cllm {
namespace {

struct BenchArguments {
  std::string model;
  BenchEngineOptions bench;
};

int RunBench(Program& program, const BenchArguments& arguments) {
  if (const Status status = program.LoadSettings(); !status) return Complain(status.error());
  // The table is what was asked for; how the model was loaded is said only where somebody wants to know.
  if (program.table().Find("logging.level")->source.kind == ValueSource::Kind::kDefault) program.options().log.level = "warn";
  if (const Status status = program.ResolveModel(arguments.model); !status) return Complain(status.error());
  return BenchEngine(program.options(), arguments.bench);
}

}  // namespace

void AddBenchCommand(Program& program) {
  CLI::App* bench = program.root().add_subcommand("bench", "Measure speed.");
  bench->require_subcommand(1);
  auto arguments = std::make_shared<BenchArguments>();
  CLI::App* engine = program.AddCommand(*bench, "engine", "The engine alone, in process: prompt and generation speed by streams.",
                                        [&program, arguments] { return RunBench(program, *arguments); });
  BenchEngineOptions& options = arguments->bench;
  engine->add_option("MODEL", arguments->model, "GGUF file, name, hf:owner/repo or address.");
  engine->add_option("--prompt-tokens", options.prompt_tokens, "Tokens of each prompt.")->check(CLI::Range(1, 1 << 20));
  engine->add_option("--generate-tokens", options.generate_tokens, "Tokens that each stream generates.")->check(CLI::Range(1, 1 << 20));
  engine->add_option("--streams", options.streams, "Numbers of streams, with commas.")->delimiter(',')->check(CLI::Range(1, 256));
  engine->add_option("--repetitions", options.repetitions, "Runs of each; mean and deviation are shown.")->check(CLI::Range(1, 1000));
  engine->add_flag("--json", options.json, "One JSON object for each number of streams, one a line, instead of a table.");
  program.UseSettings(*engine);
}

}  // namespace cllm
