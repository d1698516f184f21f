#include "hub/redirect.h"

#include <gtest/gtest.h>

#include "hub/testing_hub.h"

namespace cllm {
namespace {

class CollectingSink : public BodySink {
 public:
  Transfer<void> OnHead(const HttpHead& answer) override {
    ++heads;
    head = answer;
    return {};
  }
  Transfer<void> OnBody(std::string_view bytes) override {
    body += bytes;
    return {};
  }
  int heads = 0;
  HttpHead head;
  std::string body;
};

GetRequest Request(const std::string& url) { return {.url = *ParseUrl(url), .headers = {"Range: bytes=5-"}, .token = "secret"}; }

// Redirects as the table says; what is not in it is the end.
TestingTransport Redirecting(std::map<std::string, std::string> table) {
  return TestingTransport([table](const HttpRequest& request) -> TestingAnswer {
    const auto found = table.find(request.url.text);
    if (found == table.end()) return {.body = "the end"};
    return {.status = 302, .headers = {{"location", found->second}}, .body = "moved"};
  });
}

TEST(Redirect, FollowsAndKeepsHeaders) {
  TestingTransport transport = Redirecting({{"https://a/1", "/2"}, {"https://a/2", "https://a/3"}});
  CollectingSink sink;
  ASSERT_TRUE(GetFollowing(transport, Request("https://a/1"), sink));
  EXPECT_EQ(sink.body, "the end");
  EXPECT_EQ(sink.heads, 1);
  ASSERT_EQ(transport.requests.size(), 3U);
  for (const HttpRequest& request : transport.requests) {
    EXPECT_EQ(RequestHeader(request, "Range"), "bytes=5-");
    EXPECT_EQ(RequestHeader(request, "Authorization"), "Bearer secret");
  }
}

TEST(Redirect, TheTokenStaysAtItsOrigin) {
  for (const char* other : {"https://b/x", "https://a:444/x", "https://a.b/x"}) {
    TestingTransport transport = Redirecting({{"https://a/1", other}});
    CollectingSink sink;
    ASSERT_TRUE(GetFollowing(transport, Request("https://a/1"), sink));
    ASSERT_EQ(transport.requests.size(), 2U);
    EXPECT_EQ(RequestHeader(transport.requests[1], "Authorization"), "") << other;
  }
}

TEST(Redirect, TheTokenDoesNotComeBack) {
  TestingTransport transport = Redirecting({{"https://a/1", "https://b/2"}, {"https://b/2", "https://a/3"}});
  CollectingSink sink;
  ASSERT_TRUE(GetFollowing(transport, Request("https://a/1"), sink));
  EXPECT_EQ(RequestHeader(transport.requests[2], "Authorization"), "");
}

TEST(Redirect, FromHttpsToHttpIsRefused) {
  TestingTransport transport = Redirecting({{"https://a/1", "http://a/1?signature=abc"}});
  CollectingSink sink;
  const auto result = GetFollowing(transport, Request("https://a/1"), sink);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, TransferError::Kind::kFinal);
  EXPECT_NE(result.error().error.message.find("refused"), std::string::npos);
  EXPECT_EQ(result.error().error.message.find("abc"), std::string::npos);
  EXPECT_EQ(transport.requests.size(), 1U);
}

TEST(Redirect, FromHttpToHttpsIsFine) {
  TestingTransport transport = Redirecting({{"http://a/1", "https://a/1"}});
  CollectingSink sink;
  ASSERT_TRUE(GetFollowing(transport, Request("http://a/1"), sink));
  EXPECT_EQ(RequestHeader(transport.requests[1], "Authorization"), "");
}

TEST(Redirect, OtherSchemesAreRefused) {
  for (const char* location : {"file:///etc/passwd", "ftp://a/1", "https://user:pw@a/1"}) {
    TestingTransport transport = Redirecting({{"https://a/1", location}});
    CollectingSink sink;
    EXPECT_FALSE(GetFollowing(transport, Request("https://a/1"), sink)) << location;
    EXPECT_EQ(sink.heads, 0);
  }
}

TEST(Redirect, LoopsEnd) {
  TestingTransport transport = Redirecting({{"https://a/1", "/1"}});
  CollectingSink sink;
  const auto result = GetFollowing(transport, Request("https://a/1"), sink);
  ASSERT_FALSE(result);
  EXPECT_EQ(transport.requests.size(), static_cast<std::size_t>(kMostRedirects) + 1);
}

TEST(Redirect, TheFirstWordAboutTheContentCounts) {
  TestingTransport transport([](const HttpRequest& request) -> TestingAnswer {
    if (request.url.host == "a") return {.status = 302, .headers = {{"location", "https://b/"}, {"x-linked-etag", "good"}}};
    return {.headers = {{"x-linked-etag", "evil"}, {"etag", "b's"}}};
  });
  CollectingSink sink;
  ASSERT_TRUE(GetFollowing(transport, Request("https://a/1"), sink));
  EXPECT_EQ(sink.head.Header("x-linked-etag"), "good");
  EXPECT_EQ(sink.head.Header("etag"), "b's");
  EXPECT_EQ(sink.head.url.host, "b");
}

TEST(Redirect, A304OrARedirectWithoutAPlaceIsAnAnswer) {
  for (const int status : {304, 302}) {
    TestingTransport transport([&](const HttpRequest&) -> TestingAnswer { return {.status = status}; });
    CollectingSink sink;
    ASSERT_TRUE(GetFollowing(transport, Request("https://a/1"), sink));
    EXPECT_EQ(sink.head.status, status);
  }
}

}  // namespace
}  // namespace cllm
