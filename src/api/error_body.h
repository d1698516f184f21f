// Errors on the wire.
#pragma once

#include <cstdint>
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

// {"type","message"}: Anthropic's.
Json AnthropicErrorObject(const Error& error);

std::string CllmErrorBody(const Error& error);         // {"success":false,"error":{…}}
std::string OpenAiErrorBody(const Error& error);       // {"error":{"message","type","param","code"}}
std::string AnthropicErrorBody(const Error& error);    // {"type":"error","error":{…}}
std::string OllamaErrorBody(const Error& error);       // {"error":"…"}
std::string LlamaServerErrorBody(const Error& error);  // {"error":{"code","message","type"}}, the code being HTTP's

// How a path says that something is wrong.
enum class ErrorFamily : std::uint8_t { kCllm, kOpenAi, kAnthropic, kOllama, kLlamaServer };
inline constexpr ErrorFamily kErrorFamilies[] = {ErrorFamily::kCllm, ErrorFamily::kOpenAi, ErrorFamily::kAnthropic, ErrorFamily::kOllama,
                                                 ErrorFamily::kLlamaServer};
std::string ErrorBody(ErrorFamily family, const Error& error);
Json ErrorBodySchema(ErrorFamily family);

// The schemas of the error object of cLLM's dialect and of both bodies.
Json CllmErrorSchema();

}  // namespace cllm
