// The configuration file: nested YAML maps whose paths are the keys of an option table.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "config/option_table.h"

namespace cllm {

// Reads the file and sets every option it names, with the file and the key's line as source. Dotted keys
// ("server.port: 80") mean the same as nested ones; a section without content is fine, and so is an empty file.
//
// Errors begin with "<path>:<line>: " where a line is to blame, and stop at the first: unknown or duplicate keys,
// wrong types (also a quoted number, or an unquoted number where text belongs), null values, anchors, aliases, tags,
// a second document, text that is not YAML or not UTF-8, a file that is missing, a directory or larger than 1 MiB.
// After an error the options set before it keep their new values.
Status ApplyYamlFile(const std::string& path, OptionTable& table);

// The same for text in memory; `name` stands for the file in messages and sources.
Status ApplyYamlText(std::string_view text, const std::string& name, OptionTable& table);

}  // namespace cllm
