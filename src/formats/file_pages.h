// The pages of a large file: in the system's cache, and in the mappings of this process.
#pragma once

#include <string>

#include "base/work_watch.h"

namespace cllm {

// Brings the whole file into the system's cache, in pieces: a mapping that is filled as it is made can't be interrupted and says nothing.
Status ReadAhead(const std::string& path, const WorkWatch& watch);

// The mappings of the file in this process let go of its pages, whoever made them; whoever reads one gets it again.
void DropMappedPages(const std::string& path);

}  // namespace cllm
