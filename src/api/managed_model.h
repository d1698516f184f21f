// What an administrator asks of a server's models.
#pragma once

#include <string>
#include <string_view>

#include "api/endpoints.h"
#include "api/operation.h"

namespace cllm {

// The name in POST /models/load and /models/unload {model}.
Result<std::string> ReadManagedModel(std::string_view body);

// What became of it.
std::string ManagedModelBody(const ListedModel& model);
Operation DescribeManagedModel();

}  // namespace cllm
