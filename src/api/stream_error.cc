#include "api/stream_error.h"

#include "api/dialect.h"

namespace cllm {
namespace {

std::string EventFrame(const Json& data) { return "event: error\n" + SseFrame(Dump(data)); }

}  // namespace

std::string StreamErrorFrame(ErrorFamily family, bool is_responses, const Error& error) {
  if (is_responses) {
    return EventFrame(
        {{"type", "error"}, {"code", ErrorCodeName(error.code)}, {"message", error.message}, {"param", nullptr}, {"sequence_number", 0}});
  }
  switch (family) {
    case ErrorFamily::kCllm:
      return SseFrame(Dump({{"id", ""}, {"error", CllmErrorObject(error)}, {"done", true}}));
    case ErrorFamily::kAnthropic:
      return EventFrame({{"type", "error"}, {"error", AnthropicErrorObject(error)}});
    case ErrorFamily::kOllama:
      return OllamaErrorBody(error) + "\n";
    case ErrorFamily::kOpenAi:
    case ErrorFamily::kLlamaServer:
      break;
  }
  return SseFrame(ErrorBody(family, error));
}

}  // namespace cllm
