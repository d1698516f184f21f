// Every text that is made from an option table: --help, the documentation, the example file, --print-config.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "config/option_table.h"

namespace cllm {

// The part of --help that lists the table's flags by section, with meaning, bounds and default; lines of at most 100
// bytes unless a word is longer.
std::string RenderHelp(const OptionTable& table);

// A whole Markdown page: how the sources rank, then one table per section with key, flags, values, default, meaning.
// Depends on declarations only, never on present values.
std::string RenderMarkdown(const OptionTable& table);

// A configuration file with every key at its default and its meaning as a comment above it. Read back it changes no
// value.
std::string RenderExampleYaml(const OptionTable& table);

// A value that was chosen for one machine, and the sentences that say why.
struct ChosenValue {
  std::string key;
  std::string text;  // as a YAML value
  std::string why;
};

// A file to begin with: `head` as a comment, the chosen values with their reasons, and every other key commented out at its
// default ("#port: 8080"). Read back it sets the chosen values and nothing else.
std::string RenderStarterYaml(const OptionTable& table, std::string_view head, std::span<const ChosenValue> chosen);

// The present values as a YAML file that reads back to the same values, each with its source:
// "port: 8080  # from config.yaml:7".
std::string RenderPrintConfig(const OptionTable& table);

}  // namespace cllm
