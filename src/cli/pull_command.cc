// `cllm pull`: fetches a model into the folder of models.
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "base/escape.h"
#include "cli/commands.h"
#include "cli/models.h"
#include "cli/program.h"
#include "hub/sha256.h"

namespace cllm {
namespace {

struct PullArguments {
  std::string model;
  std::string sha256;
  double retry_delay_s = 1;
  std::string max_model_gb;
  PullSettings settings;
};

int RunPull(Program& program, PullArguments arguments) {
  if (const Status status = program.LoadSettings(); !status) return Complain(status.error());
  if (!arguments.max_model_gb.empty()) {
    const Status status = program.Set("hub.max_model_gb", arguments.max_model_gb, "--max-model-gb");
    if (!status) return Complain(status.error());
  }
  PullSettings& settings = arguments.settings;
  settings.policy.max_model_gb = program.options().pull.max_model_gb;
  settings.sha256 = NormalisedSha256(arguments.sha256);
  if (!arguments.sha256.empty() && settings.sha256.empty()) {
    return Complain({ErrorCode::kInvalidArgument, "--sha256 takes 64 hexadecimal digits", {}});
  }
  settings.policy.retry_delay = std::chrono::milliseconds(std::llround(arguments.retry_delay_s * 1000));
  const auto pulled = PullModel(arguments.model, settings);
  if (!pulled) return Complain(pulled.error());
  if (pulled->was_there && !settings.quiet) fmt::print(stderr, "{} is there already\n", Escaped(arguments.model));
  // A script gets the path itself.
  const std::string path = pulled->file.string();
  fmt::print("{}\n", isatty(STDOUT_FILENO) == 1 ? Escaped(path) : path);
  return 0;
}

}  // namespace

void AddPullCommand(Program& program) {
  auto arguments = std::make_shared<PullArguments>();
  CLI::App* pull = program.AddCommand(program.root(), "pull", "Fetch a model. Prints the path of its file.",
                                      [&program, arguments] { return RunPull(program, *arguments); });
  pull->add_option("MODEL", arguments->model,
                   "A built-in name (cllm list --available), hf:owner/repo[:file or quantisation], or the address of a GGUF file.")
      ->required();
  pull->add_option("--sha256", arguments->sha256, "What the SHA-256 of the file must be.");
  pull->add_flag("-q,--quiet", arguments->settings.quiet, "Say nothing but errors on standard error.");
  pull->add_option("--retries", arguments->settings.policy.retries, "Tries after the first that bring next to nothing.")
      ->check(CLI::Range(0, 100));
  pull->add_option("--retry-delay", arguments->retry_delay_s, "Seconds before the second try; doubled each time, up to 30.")
      ->check(CLI::Range(0.0, 30.0));
  pull->add_option("--stall-timeout", arguments->settings.curl.stall_timeout_s,
                   "Seconds below --min-rate after which a transfer counts as broken.")
      ->check(CLI::Range(1, 3600));
  pull->add_option("--min-rate", arguments->settings.curl.min_rate, "Bytes a second.")->check(CLI::Range(1, 1 << 30));
  pull->add_option("--max-model-gb", arguments->max_model_gb,
                   "Largest file that is fetched, in GiB: hub.max_model_gb of the configuration.");
  program.UseConfigFile(*pull);
}

}  // namespace cllm
