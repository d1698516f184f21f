// `cllm serve`: settings, model, server; or a look at the settings.
#include <cstdio>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "cli/model_list.h"
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
  bool print_model_keys = false;
};

// What `serve` prints instead of serving; false where it is to serve.
bool PrintInstead(const ServeArguments& arguments, const OptionTable& table) {
  if (arguments.print_config) std::fputs(RenderPrintConfig(table).c_str(), stdout);
  if (arguments.print_markdown) std::fputs(RenderMarkdown(table).c_str(), stdout);
  if (arguments.print_example) std::fputs(RenderExampleYaml(table).c_str(), stdout);
  if (arguments.print_endpoints) std::fputs(EndpointsMarkdown().c_str(), stdout);
  if (arguments.print_model_keys) std::fputs(ModelListMarkdown().c_str(), stdout);
  return arguments.print_model_keys || arguments.print_config || arguments.print_markdown || arguments.print_example ||
         arguments.print_endpoints;
}

int RunServe(Program& program, const ServeArguments& arguments) {
  if (const Status status = program.LoadSettings(); !status) return Complain(status.error());
  if (!arguments.seed.empty()) {
    if (const Status status = program.Set("scheduler.default_seed", arguments.seed, "--seed"); !status) return Complain(status.error());
  }
  if (PrintInstead(arguments, program.table())) return 0;
  const ServeOptions& options = program.options();
  if (options.models_file.empty()) {
    if (const Status status = program.ResolveModel(arguments.model); !status) return Complain(status.error());
  } else if (!arguments.model.empty() || !options.model.path.empty() || !options.alias.empty()) {
    return Complain(
        InvalidArgument("models.list_file names the models: a model beside it (MODEL, model.path, model.alias) belongs into that file")
            .error());
  }
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
  serve->add_flag("--print-model-keys-markdown", arguments->print_model_keys,
                  "Print the table of keys of models.list_file of docs/models.md.");
  program.UseSettings(*serve);
}

}  // namespace cllm
