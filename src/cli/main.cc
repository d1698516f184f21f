// The program: commands, options, configuration file; everything else is built from here.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/bench_engine.h"
#include "cli/loaded_engine.h"
#include "cli/options.h"
#include "cli/serve.h"
#include "config/command_line.h"
#include "config/render.h"
#include "config/yaml_config.h"

namespace cllm {
namespace {

constexpr const char* kVersion = CLLM_VERSION;

struct Arguments {
  std::string model;
  std::string config;
  bool print_config = false;
  bool print_markdown = false;
  bool print_example = false;
  BenchEngineOptions bench;
};

int Complain(const Error& error) {
  std::fprintf(stderr, "cllm: %s\n", error.message.c_str());
  return 1;
}

// --config, else config.yaml or config/config.yaml in the working folder, else none.
std::string ConfigFile(const Arguments& arguments) {
  if (!arguments.config.empty()) return arguments.config;
  for (const char* path : {"config.yaml", "config/config.yaml"}) {
    if (std::filesystem::exists(path)) return path;
  }
  return {};
}

// MODEL on the command line beats --model and the configuration; without any of them it is the default model.
Status ResolveModel(const Arguments& arguments, ServeOptions& options) {
  if (!arguments.model.empty()) options.model.path = arguments.model;
  if (!options.model.path.empty()) return {};
  options.model.path = DefaultModelPath();
  if (std::filesystem::exists(options.model.path)) return {};
  return InvalidArgument(fmt::format("no model is named and the default one is not at {}: run `make model`, or name a GGUF file",
                                     options.model.path),
                         "model.path");
}

void AddServe(CLI::App& root, Arguments& arguments) {
  CLI::App* serve = root.add_subcommand("serve", "Serve a model over HTTP.");
  serve->add_option("MODEL", arguments.model, "GGUF file; beats the configuration. Default: the model of the configuration.");
  serve->add_option("--config", arguments.config, "Configuration file. Default: config.yaml or config/config.yaml, if there is one.");
  serve->add_flag("--print-config", arguments.print_config, "Print the outcome of all settings and where each comes from.");
  serve->add_flag("--print-config-markdown", arguments.print_markdown, "Print docs/configuration.md.");
  serve->add_flag("--print-config-example", arguments.print_example, "Print a commented configuration file with all defaults.");
}

void AddBench(CLI::App& root, Arguments& arguments) {
  CLI::App* bench = root.add_subcommand("bench", "Measure speed.");
  bench->require_subcommand(1);
  CLI::App* engine = bench->add_subcommand("engine", "The engine alone, in process: prompt and generation speed by streams.");
  engine->add_option("MODEL", arguments.model, "GGUF file.");
  engine->add_option("--config", arguments.config, "Configuration file.");
  engine->add_option("--prompt-tokens", arguments.bench.prompt_tokens, "Tokens of each prompt.")->check(CLI::Range(1, 1 << 20));
  engine->add_option("--generate-tokens", arguments.bench.generate_tokens, "Tokens that each stream generates.")
      ->check(CLI::Range(1, 1 << 20));
  engine->add_option("--streams", arguments.bench.streams, "Numbers of streams, with commas.")
      ->delimiter(',')
      ->check(CLI::Range(1, 256));
  engine->add_option("--repetitions", arguments.bench.repetitions, "Runs of each; the median is shown.")->check(CLI::Range(1, 1000));
  engine->add_flag("--json", arguments.bench.json, "One JSON object a line instead of a table.");
}

// What `serve` prints instead of serving; false where it is to serve.
bool PrintInstead(const Arguments& arguments, const OptionTable& table) {
  if (arguments.print_config) std::fputs(RenderPrintConfig(table).c_str(), stdout);
  if (arguments.print_markdown) std::fputs(RenderMarkdown(table).c_str(), stdout);
  if (arguments.print_example) std::fputs(RenderExampleYaml(table).c_str(), stdout);
  return arguments.print_config || arguments.print_markdown || arguments.print_example;
}

int Main(const std::vector<std::string>& words) {
  ServeOptions options;
  OptionTable table;
  DeclareOptions(options, table);
  Arguments arguments;
  CLI::App root("cLLM serves a GGUF model over HTTP to many clients at once.", "cllm");
  root.require_subcommand(1);
  AddServe(root, arguments);
  AddBench(root, arguments);
  root.add_subcommand("version", "Print the version.");
  CommandLine command_line(root);
  command_line.Bind(*root.get_subcommand("serve"), table);
  command_line.Bind(*root.get_subcommand("bench")->get_subcommand("engine"), table);

  const auto text = command_line.Parse(words);
  if (!text) return Complain(text.error());
  if (*text) {
    std::fputs((*text)->c_str(), stdout);
    return 0;
  }
  if (root.got_subcommand("version")) {
    fmt::print("cllm {}\n", kVersion);
    return 0;
  }
  if (const std::string file = ConfigFile(arguments); !file.empty()) {
    if (const Status status = ApplyYamlFile(file, table); !status) return Complain(status.error());
  }
  if (const Status status = command_line.Apply(); !status) return Complain(status.error());
  if (PrintInstead(arguments, table)) return 0;
  if (const Status status = ResolveModel(arguments, options); !status) return Complain(status.error());
  return root.got_subcommand("bench") ? BenchEngine(options, arguments.bench) : Serve(options, kVersion);
}

}  // namespace
}  // namespace cllm

int main(int argc, char** argv) { return cllm::Main({argv + 1, argv + argc}); }
