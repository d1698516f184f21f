// How a stream ends whose writer is gone.
#pragma once

#include <string>
#include <string_view>

#include "api/error_body.h"

namespace cllm {

// The last frame of a stream of this type on a path with these errors; `is_responses`: OpenAI's Responses, whose events have types.
std::string StreamErrorFrame(ErrorFamily family, bool is_responses, const Error& error);

}  // namespace cllm
