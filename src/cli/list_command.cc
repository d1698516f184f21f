// `cllm list`: the models that are there, or the names that can be pulled.
#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/columns.h"
#include "base/escape.h"
#include "cli/commands.h"
#include "cli/models.h"
#include "cli/program.h"
#include "hub/catalogue.h"
#include "hub/progress.h"

namespace cllm {
namespace {

using TableRow = std::vector<std::string>;

// Columns as wide as they must be; the last one as it is. Names of files are whatever somebody called them.
void PrintTable(std::vector<TableRow> rows) {
  std::vector<std::size_t> widths(rows[0].size());
  for (TableRow& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = Escaped(row[i]);
      widths[i] = std::max(widths[i], Columns(row[i]));
    }
  }
  for (const TableRow& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) fmt::print("{}{:{}}", row[i], "", widths[i] - Columns(row[i]) + 2);
    fmt::print("{}\n", row.back());
  }
}

std::string LocalTime(std::int64_t unix_s) {
  const auto time = static_cast<std::time_t>(unix_s);
  std::tm parts{};
  localtime_r(&time, &parts);
  std::array<char, 32> text{};
  return std::string(text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M", &parts));
}

std::string SizeOf(const ModelEntry& entry) {
  if (!entry.unfinished) return FormatBytes(entry.size);
  if (entry.whole_size < 0) return FormatBytes(entry.size) + " (unfinished)";
  return fmt::format("{} of {} (unfinished)", FormatBytes(entry.size), FormatBytes(entry.whole_size));
}

int ListAvailable() {
  std::vector<TableRow> rows = {{"NAME", "SIZE", "MODEL"}};
  for (const KnownModel& model : KnownModels()) {
    rows.push_back({model.name, FormatBytes(static_cast<std::int64_t>(model.megabytes * 1e6)), model.about});
  }
  PrintTable(std::move(rows));
  return 0;
}

int ListModels() {
  const ModelFolder folder = DefaultModelFolder();
  const std::vector<ModelEntry> entries = folder.List();
  if (entries.empty()) {
    fmt::print(stderr, "no models in {}: `cllm pull {}` fetches one\n", Escaped(folder.root().string()), kDefaultModel);
    return 0;
  }
  std::vector<TableRow> rows = {{"NAME", "SIZE", "MODIFIED", "SOURCE"}};
  for (const ModelEntry& entry : entries) {
    rows.push_back({entry.name, SizeOf(entry), LocalTime(entry.modified_unix_s), entry.source.empty() ? "-" : entry.source});
  }
  PrintTable(std::move(rows));
  return 0;
}

}  // namespace

void AddListCommand(Program& program) {
  auto available = std::make_shared<bool>(false);
  CLI::App* list = program.AddCommand(program.root(), "list", "List the models in the folder of models.",
                                      [available] { return *available ? ListAvailable() : ListModels(); });
  list->add_flag("--available", *available, "List the built-in names that can be pulled instead.");
}

}  // namespace cllm
