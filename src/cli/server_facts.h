// What a server tells of its models.
#pragma once

#include <string>

#include "api/endpoints.h"
#include "cli/options.h"
#include "cli/served_model.h"

namespace cllm {

// As clients see the model: its alias, or the file's name.
std::string ModelIdOf(const ServeOptions& options);

ServerFacts FactsOfServed(const ServeOptions& options, const ServedModel& model, const std::string& version);

// Of a model that is not loaded, as far as its file tells.
ServerFacts FactsOfFile(const ServeOptions& options, const std::string& version);

}  // namespace cllm
