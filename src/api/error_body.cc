#include "api/error_body.h"

#include "api/schema_words.h"

namespace cllm {
namespace {

struct ErrorNames {
  int status;
  std::string_view name;
  std::string_view openai_type;
  std::string_view anthropic_type;
  std::string_view llama_server_type;
};

ErrorNames NamesOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return {400, "invalid_argument", "invalid_request_error", "invalid_request_error", "invalid_request_error"};
    case ErrorCode::kContextLength:
      return {400, "context_length_exceeded", "invalid_request_error", "invalid_request_error", "exceed_context_size_error"};
    case ErrorCode::kUnauthorized:
      return {401, "invalid_api_key", "invalid_request_error", "authentication_error", "authentication_error"};
    case ErrorCode::kForbidden:
      return {403, "forbidden", "permission_error", "permission_error", "permission_error"};
    case ErrorCode::kNotFound:
      return {404, "not_found", "invalid_request_error", "not_found_error", "not_found_error"};
    case ErrorCode::kModelNotFound:
      return {404, "model_not_found", "invalid_request_error", "not_found_error", "not_found_error"};
    case ErrorCode::kPreviousNotFound:
      return {400, "previous_response_not_found", "invalid_request_error", "invalid_request_error", "invalid_request_error"};
    case ErrorCode::kMethodNotAllowed:
      return {405, "method_not_allowed", "invalid_request_error", "invalid_request_error", "invalid_request_error"};
    case ErrorCode::kTimedOut:
      return {408, "timed_out", "timeout_error", "timeout_error", "server_error"};
    case ErrorCode::kTooLarge:
      return {413, "too_large", "invalid_request_error", "request_too_large", "invalid_request_error"};
    case ErrorCode::kQueueFull:
      return {429, "queue_full", "rate_limit_error", "rate_limit_error", "unavailable_error"};
    case ErrorCode::kCancelled:
      return {499, "cancelled", "cancelled_error", "api_error", "server_error"};
    case ErrorCode::kUnavailable:
      return {503, "unavailable", "service_unavailable_error", "overloaded_error", "unavailable_error"};
    case ErrorCode::kNotSupported:
      return {501, "not_supported", "invalid_request_error", "invalid_request_error", "not_supported_error"};
    case ErrorCode::kInternal:
      break;
  }
  return {500, "internal", "server_error", "api_error", "server_error"};
}

Json FieldOrNull(const Error& error) { return error.field.empty() ? Json(nullptr) : Json(error.field); }

}  // namespace

int HttpStatus(ErrorCode code) { return NamesOf(code).status; }

std::string_view ErrorCodeName(ErrorCode code) { return NamesOf(code).name; }

Json CllmErrorObject(const Error& error) {
  return {{"code", ErrorCodeName(error.code)}, {"message", error.message}, {"field", FieldOrNull(error)}};
}

std::string CllmErrorBody(const Error& error) { return Dump({{"success", false}, {"error", CllmErrorObject(error)}}); }

std::string OpenAiErrorBody(const Error& error) {
  const ErrorNames names = NamesOf(error.code);
  return Dump({{"error", {{"message", error.message}, {"type", names.openai_type}, {"param", FieldOrNull(error)}, {"code", names.name}}}});
}

Json AnthropicErrorObject(const Error& error) { return {{"type", NamesOf(error.code).anthropic_type}, {"message", error.message}}; }

// The id of a request is in the header X-Request-Id.
std::string AnthropicErrorBody(const Error& error) {
  return Dump({{"type", "error"}, {"error", AnthropicErrorObject(error)}, {"request_id", nullptr}});
}

std::string OllamaErrorBody(const Error& error) { return Dump(Json{{"error", error.message}}); }

std::string LlamaServerErrorBody(const Error& error) {
  const ErrorNames names = NamesOf(error.code);
  // Its clients know a prompt that is too long by these words, too.
  const char* words = error.code == ErrorCode::kContextLength ? "the request exceeds the available context size. " : "";
  return Dump({{"error", {{"code", names.status}, {"message", words + error.message}, {"type", names.llama_server_type}}}});
}

std::string ErrorBody(ErrorFamily family, const Error& error) {
  switch (family) {
    case ErrorFamily::kCllm:
      return CllmErrorBody(error);
    case ErrorFamily::kOpenAi:
      return OpenAiErrorBody(error);
    case ErrorFamily::kAnthropic:
      return AnthropicErrorBody(error);
    case ErrorFamily::kOllama:
      return OllamaErrorBody(error);
    case ErrorFamily::kLlamaServer:
      break;
  }
  return LlamaServerErrorBody(error);
}

Json CllmErrorSchema() {
  return words::Record({{"code", words::String()}, {"message", words::String()}, {"field", words::OrNull(words::String())}});
}

Json ErrorBodySchema(ErrorFamily family) {
  const Json text = words::String();
  switch (family) {
    case ErrorFamily::kCllm:
      return words::Record({{"success", words::Const(false)}, {"error", CllmErrorSchema()}});
    case ErrorFamily::kOpenAi:
      return words::Record({{"error", words::Record({{"message", text}, {"type", text}, {"param", words::OrNull(text)}, {"code", text}})}});
    case ErrorFamily::kAnthropic:
      return words::Record(
          {{"type", words::Const("error")}, {"error", words::Record({{"type", text}, {"message", text}})}, {"request_id", words::Null()}});
    case ErrorFamily::kOllama:
      return words::Record({{"error", text}});
    case ErrorFamily::kLlamaServer:
      break;
  }
  return words::Record({{"error", words::Record({{"code", words::Integer()}, {"message", text}, {"type", text}})}});
}

}  // namespace cllm
