// `cllm serve`: settings, model, server; or a look at the settings.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/model_list.h"
#include "cli/model_process.h"
#include "cli/models.h"
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
  if (options.isolate && options.models_file.empty()) {
    return Complain(InvalidArgument("models.isolate is for the models of models.list_file, and there is none").error());
  }
  if (options.models_file.empty()) {
    if (const Status status = program.ResolveModel(arguments.model); !status) return Complain(status.error());
  } else if (!arguments.model.empty() || !options.model.path.empty() || !options.alias.empty()) {
    return Complain(
        InvalidArgument("models.list_file names the models: a model beside it (MODEL, model.path, model.alias) belongs into that file")
            .error());
  }
  program.options().arguments = program.arguments();
  return Serve(program.options(), program.version());
}

// What the server has planned for the model.
struct IsolatedArguments {
  std::string name;
  int context = 0;
  int sequences = 0;
  int threads = 0;
};

// The settings of a server of this model alone, which asks nobody for keys.
Status BecomeProcessOf(const IsolatedArguments& isolated, ServeOptions& options) {
  auto list = ReadModelList(options.models_file, options);
  if (!list) return std::unexpected(list.error());
  const auto found = std::ranges::find(*list, isolated.name, &ListedSettings::name);
  if (found == list->end()) return InvalidArgument(fmt::format("the model {} is not in the list any more", isolated.name));
  options = std::move(found->options);
  options.models_file.clear();
  options.keep_alive_s = 0;
  options.isolate = false;
  auto path = FindOrPullModel(options.model.path, options.pull);
  if (!path) return std::unexpected(path.error());
  options.model.path = std::move(*path);
  options.model.max_context_length = isolated.context;
  options.llama_cpp.n_seq_max = isolated.sequences;
  options.llama_cpp.n_threads = isolated.threads;
  options.memory_limit_mb = 0;  // kept by the server
  options.http.listener = kListenerDescriptor;
  options.http.num_threads = options.http.min_threads = 1;
  options.http.max_connections_per_address = 0;  // all come from the server
  options.http.shutdown_delay_s = 0;
  return {};
}

int RunServeModel(Program& program, const ServeArguments& arguments, const IsolatedArguments& isolated) {
  if (const Status status = program.LoadSettings(); !status) return Complain(status.error());
  if (!arguments.seed.empty()) {
    if (const Status status = program.Set("scheduler.default_seed", arguments.seed, "--seed"); !status) return Complain(status.error());
  }
  if (const Status status = BecomeProcessOf(isolated, program.options()); !status) return Complain(status.error());
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

void AddServeModelCommand(Program& program) {
  auto arguments = std::make_shared<ServeArguments>();
  auto isolated = std::make_shared<IsolatedArguments>();
  CLI::App* serve = program.AddCommand(program.root(), kServeModelCommand, "Serve one model of a list to the server that has started it.",
                                       [&program, arguments, isolated] { return RunServeModel(program, *arguments, *isolated); });
  serve->group("");
  serve->add_option("--seed", arguments->seed, "As of serve.");
  serve->add_option("--isolated-name", isolated->name, "The model.")->required();
  serve->add_option("--isolated-context", isolated->context, "Tokens of a request.")->required();
  serve->add_option("--isolated-sequences", isolated->sequences, "Requests at a time.")->required();
  serve->add_option("--isolated-threads", isolated->threads, "Threads that compute.")->required();
  program.UseSettings(*serve);
}

}  // namespace cllm
