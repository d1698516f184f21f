// The headers of answers, by whichever way an answer leaves: through Drogon, as a stream that ends with its connection, or as a refusal
// before Drogon sees the request.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <drogon/HttpResponse.h>

#include "base/status.h"
#include "http/cors.h"

namespace cllm {

inline constexpr const char* kServerName = "cLLM";
inline constexpr const char* kContentTypeHeader = "Content-Type";
inline constexpr const char* kRequestIdHeader = "x-request-id";
// WWW-Authenticate of a 401.
inline constexpr const char* kChallenge = "Bearer realm=\"cLLM\"";

// The client's own name for its request where it may go into headers and logs (1 … 128 visible ASCII characters), else a fresh one.
std::string RequestIdOf(std::string_view asked);

// What every answer carries; Server and Date, which Drogon writes, aside.
HeaderList CommonHeaders(const Cors& cors, std::string_view origin, std::string_view request_id);

// Status line and headers, with Server, Date and the end of the connection, up to the body.
std::string ClosingHead(int status, const HeaderList& headers);

void AddHeaders(drogon::HttpResponse& response, const HeaderList& headers);

// Seconds for Retry-After, for errors after which trying again may help.
std::optional<int> RetryAfter(const Error& error);

// The fields of a request that changed nothing, as a header's value: comma-separated, escaped like a URL's parts, cut at a bound.
std::string FieldListValue(std::span<const std::string> fields);

}  // namespace cllm
