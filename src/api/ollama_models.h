// What Ollama's clients ask of a server's models.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "api/endpoints.h"
#include "api/operation.h"
#include "api/work.h"
#include "base/chunked_text.h"

namespace cllm {

// GET /api/version. Clients compare it with the versions of Ollama that brought what they need; `cllm` is this server's own.
std::string OllamaVersionBody(const ModelList& models);
Operation DescribeOllamaVersion();

// GET /api/tags and /api/ps: the models that there are, and those that are loaded.
std::string OllamaTagsBody(const ModelList& models);
Operation DescribeOllamaTags();
std::string OllamaRunningBody(const ModelList& models);
Operation DescribeOllamaRunning();

// The model that a name means, or why there is none.
using FindModel = std::function<Result<ListedModel>(std::string_view name)>;

// POST /api/show {model} (or {name}).
Result<std::string> OllamaShowBody(const FindModel& find, std::string_view body);
Operation DescribeOllamaShow();

// POST /api/pull {model} (or {name}): good news where the model is there. Else, as for the routes by which Ollama's clients change what is
// there, an error says how that is done here.
Result<std::string> OllamaPullBody(const FindModel& find, std::string_view body);
Result<std::string> OllamaUnmanagedBody(const FindModel& find, std::string_view body);
Operation DescribeOllamaPull();
Operation DescribeOllamaUnmanaged();

}  // namespace cllm
