// The chat template that the user gives instead of the file's.
#pragma once

#include <string>

#include "base/status.h"
#include "model/model.h"

namespace cllm {

// model.chat_template, or what the file of model.chat_template_file holds; empty where neither is set. A name must be one of
// llama.cpp's.
Result<std::string> ChatTemplateSetting(const ModelOptions& options);

}  // namespace cllm
