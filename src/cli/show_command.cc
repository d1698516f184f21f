// `cllm show`: what a model is and what it needs, without loading it.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/model_report.h"
#include "cli/program.h"
#include "formats/gguf_file.h"
#include "model/chat_template.h"
#include "model/layer_memory.h"
#include "model/model_facts.h"

namespace cllm {
namespace {

struct Arguments {
  std::string model;
  bool json = false;
  bool chat_template = false;
};

// A file may claim anything. A context: the option's own bound is the most that a request can have.
constexpr std::int64_t kMostContext = 1 << 24;
constexpr std::int64_t kMostLayers = 1 << 16;

Result<MemoryNeed> NeededMemory(const ServeOptions& options, const ModelFacts& facts) {
  const int wanted = options.model.max_context_length;
  MemoryNeed need{.context = wanted > 0 ? wanted : static_cast<int>(std::clamp<std::int64_t>(facts.trained_context, 1, kMostContext)),
                  .sequences = options.llama_cpp.n_seq_max,
                  .kv_type = options.llama_cpp.kv_type};
  const LayerMemory memory = FindLayerMemory(options.llama_cpp.weights, static_cast<int>(std::min(facts.layers, kMostLayers)));
  need.available_bytes = memory.available_bytes();
  need.available_where = memory.all_on_gpu() ? memory.gpu_name : "this machine";
  constexpr std::int64_t kAnyBudgetMb = std::int64_t{1} << 42;
  const auto sizing = SizeKvCache(facts, options.llama_cpp, need.context, kAnyBudgetMb, 0);
  if (!sizing) return std::unexpected(sizing.error());
  need.kv_bytes_per_sequence = sizing->bytes_per_sequence;
  return need;
}

Status Show(const ServeOptions& options, const Arguments& arguments) {
  const auto file = GgufFile::Open(options.model.path);
  if (!file) return std::unexpected(file.error());
  auto facts = ReadModelFacts(*file);
  if (!facts) return std::unexpected(facts.error());
  if (arguments.chat_template) {
    if (facts->chat_template.empty()) return InvalidArgument(options.model.path + " has no chat template");
    std::fputs((Printable(facts->chat_template, "\n\r\t") + "\n").c_str(), stdout);
    return {};
  }
  const auto memory = NeededMemory(options, *facts);
  if (!memory) return std::unexpected(memory.error());
  const std::string chat_template = facts->chat_template;
  const ModelReport report{.path = options.model.path,
                           .facts = std::move(*facts),
                           .memory = *memory,
                           .engine = "llama_cpp",
                           .engine_why = "runs every architecture that llama.cpp knows; this build has no other engine",
                           .servable = CheckModelMetadata(*file),
                           .chat_template = ChatTemplate::FromText(chat_template)->status()};
  std::fputs((arguments.json ? RenderReportJson(report) : RenderReportText(report)).c_str(), stdout);
  return {};
}

int Run(Program& program, const Arguments& arguments) {
  if (const Status status = program.LoadSettings(); !status) return Complain(status.error());
  if (const Status status = program.ResolveModel(arguments.model); !status) return Complain(status.error());
  const Status status = Show(program.options(), arguments);
  return status ? 0 : Complain(status.error());
}

}  // namespace

void AddShowCommand(Program& program) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* show = program.AddCommand(program.root(), "show", "Show what a model is and what it needs.",
                                      [&program, arguments] { return Run(program, *arguments); });
  show->add_option("MODEL", arguments->model, "GGUF file. Default: the model of the configuration.");
  show->add_flag("--json", arguments->json, "Print one JSON object; sizes in bytes.");
  show->add_flag("--template", arguments->chat_template, "Print the chat template alone.");
  program.UseSettings(*show);
}

}  // namespace cllm
