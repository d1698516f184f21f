// What Ollama's clients ask of a server's models.
#pragma once

#include <string>
#include <string_view>

#include "api/endpoints.h"
#include "api/operation.h"
#include "api/work.h"
#include "base/chunked_text.h"

namespace cllm {

struct Backend;

// GET /api/version. Clients compare it with the versions of Ollama that brought what they need; `cllm` is this server's own.
std::string OllamaVersionBody(const Backend& backend);
Operation DescribeOllamaVersion();

// GET /api/tags and /api/ps: the models that there are, and those that are loaded.
std::string OllamaTagsBody(const Backend& backend);
Operation DescribeOllamaTags();
std::string OllamaRunningBody(const Backend& backend);
Operation DescribeOllamaRunning();

// POST /api/show {model} (or {name}).
Result<std::string> OllamaShowBody(const ServerFacts& facts, std::string_view body);
Operation DescribeOllamaShow();

// POST /api/pull {model} (or {name}): good news where the model is there. Else, as for the routes by which Ollama's clients change what is
// there, an error says how that is done here.
Result<std::string> OllamaPullBody(const ServerFacts& facts, std::string_view body);
Result<std::string> OllamaUnmanagedBody(const ServerFacts& facts, std::string_view body);
Operation DescribeOllamaPull();
Operation DescribeOllamaUnmanaged();

}  // namespace cllm
