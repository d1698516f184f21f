// GET /openapi.json: what this server answers, in OpenAPI 3.1. It is made of the table of routes and of what each route's readers and
// writers say of themselves.
#pragma once

#include <string>

#include "api/backend.h"

namespace cllm {

// `asks_for_keys`: whether a key is needed at all.
std::string OpenApiDocument(const Backend& backend, bool asks_for_keys);
Operation DescribeOpenApi();

}  // namespace cllm
