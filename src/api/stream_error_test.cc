#include "api/stream_error.h"

#include <gtest/gtest.h>

#include "api/testing_json.h"

namespace cllm {
namespace {

TEST(StreamErrorTest, EachDialectHasAFrameOfItsOwn) {
  const Error error{ErrorCode::kUnavailable, "it died", {}};
  const auto frame = [&](ErrorFamily family, bool is_responses = false) { return StreamErrorFrame(family, is_responses, error); };
  const auto data = [](const std::string& text) { return Json::parse(text.substr(text.find('{'))); };
  EXPECT_EQ(frame(ErrorFamily::kOllama), "{\"error\":\"it died\"}\n");
  for (const ErrorFamily family : {ErrorFamily::kOpenAi, ErrorFamily::kLlamaServer}) {
    EXPECT_TRUE(frame(family).starts_with("data: {\"error\":{"));
    EXPECT_TRUE(frame(family).ends_with("}\n\n"));
    EXPECT_EQ(data(frame(family))["error"]["message"], "it died");
  }
  EXPECT_EQ(data(frame(ErrorFamily::kCllm))["error"]["code"], "unavailable");
  EXPECT_EQ(data(frame(ErrorFamily::kCllm))["done"], true);
  EXPECT_TRUE(frame(ErrorFamily::kAnthropic).starts_with("event: error\ndata: {"));
  EXPECT_EQ(data(frame(ErrorFamily::kAnthropic))["error"]["type"], "overloaded_error");
  EXPECT_TRUE(frame(ErrorFamily::kOpenAi, true).starts_with("event: error\ndata: {"));
  EXPECT_EQ(data(frame(ErrorFamily::kOpenAi, true))["type"], "error");
}

}  // namespace
}  // namespace cllm
