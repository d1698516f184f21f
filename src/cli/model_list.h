// The file of models.list_file: what several models of one server are called and what is different of each.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/options.h"

namespace cllm {

// A model of the file, with all settings that hold for it.
struct ListedSettings {
  std::string name;
  std::vector<std::string> aliases;
  double keep_alive_s = 0;
  bool pinned = false;
  bool preload = false;
  ServeOptions options;  // model.path is as it stands in the file
};

// `options` hold for what the file does not say. An error is all that is wrong with the file, a line each.
Result<std::vector<ListedSettings>> ReadModelList(const std::string& path, const ServeOptions& options);

// The keys of an item of the list, as a table for the docs.
std::string ModelListMarkdown();

}  // namespace cllm
