#include "chat/remote_answerer.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(ApiBase, TakesWhatPeopleWrite) {
  EXPECT_EQ(ApiBase("http://localhost:8080"), "http://localhost:8080/v1");
  EXPECT_EQ(ApiBase("localhost:8080"), "http://localhost:8080/v1");
  EXPECT_EQ(ApiBase(" https://host/v1/ "), "https://host/v1");
  EXPECT_EQ(ApiBase("https://host/some/path//"), "https://host/some/path/v1");
  EXPECT_EQ(ApiBase("http://[::1]:8080"), "http://[::1]:8080/v1");
}

TEST(ApiBase, RefusesWhatIsNoHttpAddress) {
  for (const char* url : {"", "http://", "ftp://host", "file:///etc/passwd", "http://a b", "http://host?x=1", "http://host#x"}) {
    const auto base = ApiBase(url);
    ASSERT_FALSE(base) << url;
    EXPECT_NE(base.error().message.find("--server-url"), std::string::npos);
  }
}

TEST(ChatRequestBody, HasMessagesAndWhatWasSet) {
  ChatSettings settings;
  ASSERT_TRUE(settings.Set("seed", "42"));
  ASSERT_TRUE(settings.Set("stop", "##"));
  EXPECT_EQ(ChatRequestBody("m", {{.role = "user", .content = "a\n\"b\""}}, settings),
            "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\\n\\\"b\\\"\"}],\"seed\":42,\"stop\":\"##\","
            "\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
  EXPECT_EQ(ChatRequestBody("", {}, ChatSettings()), "{\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
}

TEST(RemoteAnswerer, AServerThatIsNotThereHasNoFullContext) {
  const auto interrupts = Interrupts::Create();
  ASSERT_TRUE(interrupts);
  const auto answerer = RemoteAnswerer::Connect({.server_url = "127.0.0.1:1/context", .model = {}, .api_key = {}}, **interrupts);
  ASSERT_FALSE(answerer);
  EXPECT_FALSE(IsContextError(answerer.error())) << answerer.error().message;
}

TEST(RemoteAnswerer, AKeyCannotAddHeaders) {
  const auto interrupts = Interrupts::Create();
  ASSERT_TRUE(interrupts);
  for (const char* key : {"a\r\nX-Evil: 1", "a b", "schlüssel"}) {
    const auto answerer = RemoteAnswerer::Connect({.server_url = "localhost:1", .model = {}, .api_key = key}, **interrupts);
    ASSERT_FALSE(answerer);
    EXPECT_NE(answerer.error().message.find("API key"), std::string::npos);
  }
}

}  // namespace
}  // namespace cllm
