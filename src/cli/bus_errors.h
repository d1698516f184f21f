// What happens when a mapped model file shrinks or its disk fails.
#pragma once

#include <string>

namespace cllm {

// Reading a mapped page that is gone raises SIGBUS, which would end the process without a word. From here on it ends with
// one line that names the model, and exit code 1.
void ExplainBusErrors(const std::string& model_path);

}  // namespace cllm
