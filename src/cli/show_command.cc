// `cllm show`: what a model is and what it needs, without loading it.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "base/escape.h"
#include "cli/commands.h"
#include "cli/context_choice.h"
#include "cli/model_report.h"
#include "cli/program.h"
#include "formats/gguf_file.h"
#include "model/chat_template.h"
#include "model/layer_memory.h"
#include "model/model_facts.h"
#include "model/pooling.h"

namespace cllm {
namespace {

struct ShowArguments {
  std::string model;
  bool json = false;
  bool chat_template = false;
};

// A file may claim anything.
constexpr std::int64_t kMostLayers = 1 << 16;

Result<MemoryNeed> NeededMemory(const ServeOptions& options, const ModelFacts& facts) {
  const LayerMemory memory = FindLayerMemory(options.llama_cpp.weights, static_cast<int>(std::min(facts.layers, kMostLayers)));
  // What is set is shown whether it fits or not, and so is what would be chosen if it fitted.
  constexpr std::int64_t kAnyBudgetMb = std::int64_t{1} << 42;
  const std::int64_t left = std::max<std::int64_t>(0, memory.available_bytes() - facts.weight_bytes);
  const bool is_set = options.model.max_context_length != kAutoContext;
  auto choice = ChooseContext(options, facts, is_set ? kAnyBudgetMb : options.kv_cache_max_memory_mb, left);
  if (!choice) choice = ChooseContext(options, facts, kAnyBudgetMb, left);
  if (!choice) return std::unexpected(choice.error());
  return MemoryNeed{.context = choice->context,
                    .sequences = choice->kv.sequences,
                    .kv_type = options.llama_cpp.kv_type,
                    .kv_bytes_per_sequence = choice->kv.bytes_per_sequence,
                    .available_bytes = memory.available_bytes(),
                    .available_where = memory.all_on_gpu() ? memory.gpu_name : "this machine"};
}

Status Show(const ServeOptions& options, const ShowArguments& arguments) {
  const auto file = GgufFile::Open(options.model.path);
  if (!file) return std::unexpected(file.error());
  auto facts = ReadModelFacts(*file);
  if (!facts) return std::unexpected(facts.error());
  if (arguments.chat_template) {
    if (facts->chat_template.empty()) return InvalidArgument(options.model.path + " has no chat template");
    std::fputs((Escaped(facts->chat_template, "\n\t") + "\n").c_str(), stdout);
    return {};
  }
  const auto memory = NeededMemory(options, *facts);
  if (!memory) return std::unexpected(memory.error());
  const auto parsed_template = ChatTemplate::FromText(facts->chat_template);
  const auto pooling = ChoosePooling(*facts, options.model.pooling);
  if (!pooling) return std::unexpected(pooling.error());
  const ModelReport report{.path = options.model.path,
                           .facts = *facts,
                           .memory = *memory,
                           .capabilities = CapabilityNames(*facts, *pooling),
                           .pooling = *pooling == Pooling::kNone ? std::string() : std::string(PoolingName(*pooling)),
                           .engine = "llama_cpp",
                           .engine_why = "runs every architecture that llama.cpp knows; this build has no other engine",
                           .servable = CheckModelMetadata(*file),
                           .chat_template = parsed_template->status(),
                           .answers = parsed_template->status() ? parsed_template->FormatName() : std::string()};
  std::fputs((arguments.json ? RenderReportJson(report) : RenderReportText(report)).c_str(), stdout);
  return {};
}

int RunShow(Program& program, const ShowArguments& arguments) {
  if (const Status status = program.LoadSettings(); !status) return Complain(status.error());
  if (const Status status = program.ResolveModel(arguments.model); !status) return Complain(status.error());
  const Status status = Show(program.options(), arguments);
  return status ? 0 : Complain(status.error());
}

}  // namespace

void AddShowCommand(Program& program) {
  auto arguments = std::make_shared<ShowArguments>();
  CLI::App* show = program.AddCommand(program.root(), "show", "Show what a model is and what it needs.",
                                      [&program, arguments] { return RunShow(program, *arguments); });
  show->add_option("MODEL", arguments->model, "GGUF file. Default: the model of the configuration.");
  show->add_flag("--json", arguments->json, "Print one JSON object; sizes in bytes.");
  show->add_flag("--template", arguments->chat_template, "Print the chat template alone.");
  program.UseSettings(*show);
}

}  // namespace cllm
