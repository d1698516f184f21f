// Files with keys: who else may read or write them.
#pragma once

#include <string>

#include "base/status.h"

namespace cllm {

// An error where others may write the file of `option`: they could add a key of theirs. A warning where others may read it; the group only
// where the file is ours, since a service often reads its keys through a group of its own. Files that aren't there are nothing to say
// about.
Status CheckSecretFile(const std::string& path, const char* option);

}  // namespace cllm
