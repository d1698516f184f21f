// The configuration file: nested YAML maps whose paths are the keys of an option table.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "config/option_table.h"

namespace cllm {

// One thing that is wrong with a file. `error.message` is one line that begins with "<path>:<line>: " where a line is to
// blame (for syntax "<path>:<line>:<column>: "), else with "<path>: "; `error.field` is the key, where there is one.
struct ConfigProblem {
  int line = 0;  // from 1; 0 where it is the file as a whole
  Error error;
};

// Reads the file and sets every option it names, with the file and the key's line as source. Dotted keys
// ("server.port: 80") mean the same as nested ones; a section without content is fine, and so is an empty file.
//
// Returns everything that is wrong, in the order of the lines: unknown or duplicate keys, wrong types (also a quoted
// number, or an unquoted number where text belongs), null values, anchors, aliases, tags, a second document, text that
// is not YAML or not UTF-8, a file that is missing, a directory or larger than 1 MiB. After a syntax error it goes on at
// the next known section that begins a line. At most kMostConfigProblems and one that says that there are more. Options
// whose values are right are set even where others are wrong.
inline constexpr std::size_t kMostConfigProblems = 100;
std::vector<ConfigProblem> ReadYamlFile(const std::string& path, OptionTable& table);

// The same for text in memory; `name` stands for the file in messages and sources.
std::vector<ConfigProblem> ReadYamlText(std::string_view text, const std::string& name, OptionTable& table);

// Reads a file whose outermost node is a list of maps, each with the keys of one section of a table. `begin_item` is called for each map
// and gives the table that it is read into, which has to outlive the call. What is wrong is told as ReadYamlFile tells it, but that
// nothing is looked at after an error in the syntax.
struct YamlItem {
  OptionTable* table;
  std::string section;  // of the keys: "model" makes "name: x" set model.name
};
std::vector<ConfigProblem> ReadYamlList(const std::string& path, const std::function<YamlItem()>& begin_item);
// The same for text in memory.
std::vector<ConfigProblem> ReadYamlListText(std::string_view text, const std::string& name, const std::function<YamlItem()>& begin_item);

// As ReadYamlText, with all problems as the lines of one error.
Status ApplyYamlText(std::string_view text, const std::string& name, OptionTable& table);

}  // namespace cllm
