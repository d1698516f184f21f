#include "cli/model_list.h"

#include <limits>
#include <memory>

#include <fmt/format.h>

#include "api/sampling_fields.h"
#include "config/yaml_config.h"

namespace cllm {
namespace {

constexpr const char* kSection = "model";

void DeclareItem(ListedSettings& item, OptionTable& table) {
  RequestDefaults& defaults = item.options.defaults;
  table.Section(kSection, "Model");
  table.String("model.name", &item.name, {.help = "What requests and lists call the model. Needed.", .placeholder = "NAME"});
  table.String(
      "model.path", &item.options.model.path,
      {.help = "As model.path: a file, or a name, hf:owner/repo or address, which is pulled when the server starts. Empty: the name.",
       .placeholder = "FILE"});
  table.StringList("model.aliases", &item.aliases,
                   {.help = "Further names, or patterns in which * stands for any text, such as \"claude-*\".", .placeholder = "NAME,..."});
  table.Int("model.max_context_length", &item.options.model.max_context_length,
            {.min = 1,
             .max = 1 << 24,
             .help = "As model.max_context_length.",
             .unit = "tokens",
             .value_names = {{"trained", kTrainedContext}, {"auto", kAutoContext}}});
  table.Int("model.n_seq_max", &item.options.llama_cpp.n_seq_max, {.min = 1, .max = 256, .help = "As backend.llama_cpp.n_seq_max."});
  table.Double("model.default_temperature", &defaults.sampling.temperature,
               {.min = 0, .max = kMostTemperature, .help = "As scheduler.default_temperature."});
  table.Double("model.default_top_p", &defaults.sampling.top_p, {.min = 0, .max = 1, .help = "As scheduler.default_top_p."});
  table.Int("model.default_top_k", &defaults.sampling.top_k,
            {.min = 0, .max = std::numeric_limits<int>::max(), .help = "As scheduler.default_top_k."});
  table.Double("model.keep_alive_s", &item.keep_alive_s, {.min = 0, .max = 1e9, .help = "As models.keep_alive_s.", .unit = "s"});
  table.Bool("model.preload", &item.preload, {.help = "Load it when the server starts, after the first model, if there is room."});
  table.Bool("model.pinned", &item.pinned, {.help = "Once it is loaded it stays."});
}

// An item with the table that reads it.
struct Item {
  ListedSettings settings;
  OptionTable table;
};

}  // namespace

Result<std::vector<ListedSettings>> ReadModelList(const std::string& path, const ServeOptions& options) {
  std::vector<std::unique_ptr<Item>> items;
  const std::vector<ConfigProblem> problems = ReadYamlList(path, [&]() -> YamlItem {
    Item& item = *items.emplace_back(std::make_unique<Item>());
    item.settings.options = options;
    item.settings.options.model.path.clear();
    item.settings.keep_alive_s = options.keep_alive_s;
    DeclareItem(item.settings, item.table);
    return {&item.table, kSection};
  });
  std::string wrong;
  for (const ConfigProblem& problem : problems) wrong += (wrong.empty() ? "" : "\n") + problem.error.message;
  if (!wrong.empty()) return InvalidArgument(wrong, "models.list_file");
  if (items.empty()) return InvalidArgument(fmt::format("{}: there is no model in it", path), "models.list_file");
  std::vector<ListedSettings> list;
  for (const auto& item : items) {
    ListedSettings& settings = list.emplace_back(std::move(item->settings));
    if (settings.name.empty())
      return InvalidArgument(fmt::format("{}: model {} of the list has no name", path, list.size()), "models.list_file");
    if (settings.options.model.path.empty()) settings.options.model.path = settings.name;
    settings.options.alias = settings.name;
  }
  return list;
}

std::string ModelListMarkdown() {
  Item item;
  DeclareItem(item.settings, item.table);
  std::string text = "| key | what it is |\n|---|---|\n";
  for (const ConfigOption& option : item.table.options()) {
    text += fmt::format("| `{}` | {} |\n", option.key.substr(std::string(kSection).size() + 1), option.help);
  }
  return text;
}

}  // namespace cllm
