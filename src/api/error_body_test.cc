#include "api/error_body.h"

#include <string>

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(ErrorBodyTest, EachCodeHasItsStatusAndName) {
  struct Case {
    ErrorCode code;
    int status;
    const char* name;
    const char* openai_type;
  };
  for (const auto& [code, status, name, type] :
       {Case{ErrorCode::kInvalidArgument, 400, "invalid_argument", "invalid_request_error"},
        {ErrorCode::kContextLength, 400, "context_length_exceeded", "invalid_request_error"},
        {ErrorCode::kUnauthorized, 401, "invalid_api_key", "invalid_request_error"},
        {ErrorCode::kNotFound, 404, "not_found", "invalid_request_error"},
        {ErrorCode::kModelNotFound, 404, "model_not_found", "invalid_request_error"},
        {ErrorCode::kPreviousNotFound, 400, "previous_response_not_found", "invalid_request_error"},
        {ErrorCode::kMethodNotAllowed, 405, "method_not_allowed", "invalid_request_error"},
        {ErrorCode::kTimedOut, 408, "timed_out", "timeout_error"},
        {ErrorCode::kTooLarge, 413, "too_large", "invalid_request_error"},
        {ErrorCode::kQueueFull, 429, "queue_full", "rate_limit_error"},
        {ErrorCode::kCancelled, 499, "cancelled", "cancelled_error"},
        {ErrorCode::kUnavailable, 503, "unavailable", "service_unavailable_error"},
        {ErrorCode::kInternal, 500, "internal", "server_error"}}) {
    EXPECT_EQ(HttpStatus(code), status);
    EXPECT_EQ(ErrorCodeName(code), name);
    const Json body = Json::parse(OpenAiErrorBody({code, "m", {}}));
    EXPECT_EQ(body["error"]["type"], type);
    EXPECT_EQ(body["error"]["code"], name);
  }
}

TEST(ErrorBodyTest, TheBodiesOfEachFamily) {
  const Error error{ErrorCode::kInvalidArgument, "top_p is wrong", "top_p"};
  EXPECT_EQ(CllmErrorBody(error), R"({"success":false,"error":{"code":"invalid_argument","message":"top_p is wrong","field":"top_p"}})");
  EXPECT_EQ(OpenAiErrorBody(error), R"({"error":{"message":"top_p is wrong","type":"invalid_request_error","param":"top_p",)"
                                    R"("code":"invalid_argument"}})");
  EXPECT_EQ(ErrorBody(ErrorFamily::kAnthropic, error),
            R"({"type":"error","error":{"type":"invalid_request_error","message":"top_p is wrong"},"request_id":null})");
  EXPECT_EQ(ErrorBody(ErrorFamily::kOllama, error), R"({"error":"top_p is wrong"})");
  EXPECT_EQ(ErrorBody(ErrorFamily::kLlamaServer, error),
            R"({"error":{"code":400,"message":"top_p is wrong","type":"invalid_request_error"}})");
}

TEST(ErrorBodyTest, WithoutAFieldItIsNull) {
  const Error error{ErrorCode::kQueueFull, "later", {}};
  EXPECT_TRUE(Json::parse(CllmErrorBody(error))["error"]["field"].is_null());
  EXPECT_TRUE(Json::parse(OpenAiErrorBody(error))["error"]["param"].is_null());
}

TEST(ErrorBodyTest, BadBytesInAMessageAreReplaced) {
  const Error error{ErrorCode::kInvalidArgument, "not UTF-8: \xFF", "f\xFE"};
  for (const ErrorFamily family : kErrorFamilies) {
    const Json shown = Json::parse(ErrorBody(family, error))["error"];
    EXPECT_EQ(shown.is_string() ? shown : shown["message"], "not UTF-8: \xEF\xBF\xBD");
  }
  EXPECT_EQ(Json::parse(OpenAiErrorBody(error))["error"]["param"], "f\xEF\xBF\xBD");
}

}  // namespace
}  // namespace cllm
