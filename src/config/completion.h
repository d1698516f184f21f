// Completion scripts for shells, made from the tree of commands. Each completes commands, flags, the words that a flag or
// a place takes, and files where a file belongs; where a number or text belongs it offers nothing.
#pragma once

#include <string>

#include "config/command_tree.h"

namespace cllm {

// For bash 4 or newer; needs no bash-completion package.
std::string RenderBashCompletion(const CommandInfo& root);
// To be sourced, or to be put into a folder of $fpath as _NAME.
std::string RenderZshCompletion(const CommandInfo& root);
std::string RenderFishCompletion(const CommandInfo& root);

}  // namespace cllm
