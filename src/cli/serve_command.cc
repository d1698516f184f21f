// `cllm serve`: settings, model, server; or a look at the settings.
#include <cstdio>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "cli/program.h"
#include "cli/serve.h"
#include "config/render.h"
#include "http/route_table.h"

namespace cllm {
namespace {

struct ServeArguments {
  std::string model;
  std::string seed;
  bool print_config = false;
  bool print_markdown = false;
  bool print_example = false;
  bool print_endpoints = false;
};

// What `serve` prints instead of serving; false where it is to serve.
bool PrintInstead(const ServeArguments& arguments, const OptionTable& table) {
  if (arguments.print_config) std::fputs(RenderPrintConfig(table).c_str(), stdout);
  if (arguments.print_markdown) std::fputs(RenderMarkdown(table).c_str(), stdout);
  if (arguments.print_example) std::fputs(RenderExampleYaml(table).c_str(), stdout);
  if (arguments.print_endpoints) std::fputs(EndpointsMarkdown().c_str(), stdout);
  return arguments.print_config || arguments.print_markdown || arguments.print_example || arguments.print_endpoints;
}

int RunServe(Program& program, const ServeArguments& arguments) {
  if (const Status status = program.LoadSettings(); !status) return Complain(status.error());
  if (!arguments.seed.empty()) {
    if (const Status status = program.Set("scheduler.default_seed", arguments.seed, "--seed"); !status) return Complain(status.error());
  }
  if (PrintInstead(arguments, program.table())) return 0;
  if (const Status status = program.ResolveModel(arguments.model); !status) return Complain(status.error());
  return Serve(program.options(), program.version());
}

}  // namespace

void AddServeCommand(Program& program) {
  auto arguments = std::make_shared<ServeArguments>();
  CLI::App* serve = program.AddCommand(program.root(), "serve", "Serve a model over HTTP.",
                                       [&program, arguments] { return RunServe(program, *arguments); });
  serve->add_option("MODEL", arguments->model,
                    "GGUF file, name, hf:owner/repo or address; beats the configuration. What is missing is pulled.");
  serve->add_option("--seed", arguments->seed, "Seed where a request names none: scheduler.default_seed.");
  serve->add_flag("--print-config", arguments->print_config, "Print the outcome of all settings and where each comes from.");
  serve->add_flag("--print-config-markdown", arguments->print_markdown, "Print docs/configuration.md.");
  serve->add_flag("--print-config-example", arguments->print_example, "Print a commented configuration file with all defaults.");
  serve->add_flag("--print-endpoints-markdown", arguments->print_endpoints, "Print the table of endpoints of docs/api.md.");
  program.UseSettings(*serve);
}

}  // namespace cllm
