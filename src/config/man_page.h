// The manual page in roff, made from the tree of commands and the option table.
#pragma once

#include <string>

#include "config/command_tree.h"

namespace cllm {

// A page for section 1. `about` is the sentence behind the name. Commands come with their own flags; those of the table
// that is bound to them stand once, by section. The outcome depends on declarations only, never on a date or on values.
std::string RenderManPage(const CommandInfo& root, const std::string& version, const std::string& about);

}  // namespace cllm
