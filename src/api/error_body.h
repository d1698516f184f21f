// Errors on the wire.
#pragma once

#include <string>
#include <string_view>

#include "api/json_object.h"
#include "base/status.h"

namespace cllm {

// The HTTP status of an error.
int HttpStatus(ErrorCode code);
// Its name in error bodies: "invalid_argument", "queue_full" …
std::string_view ErrorCodeName(ErrorCode code);

// {"code","message","field"}: the error object of cLLM's own dialect.
Json CllmErrorObject(const Error& error);

// The error bodies of the two families: {"success":false,"error":{…}} and OpenAI's {"error":{…}}.
std::string CllmErrorBody(const Error& error);
std::string OpenAiErrorBody(const Error& error);

// The schemas of the error object of cLLM's dialect and of both bodies.
Json CllmErrorSchema();
Json CllmErrorBodySchema();
Json OpenAiErrorBodySchema();

}  // namespace cllm
