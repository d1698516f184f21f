#include "http/browser_guard.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

BrowserGuard Guard(const std::vector<std::string>& allowed = {}) {
  auto guard = BrowserGuard::Create(allowed, {"Box.example.org"});
  EXPECT_TRUE(guard) << (guard ? "" : guard.error().message);
  return guard.value_or(BrowserGuard());
}

RequestHead Head(const std::string& host, std::vector<HttpField> fields, const std::string& method = "POST") {
  fields.push_back({"host", host});
  return {.method = method, .target = "/generate", .fields = std::move(fields)};
}

bool Passes(const BrowserGuard& guard, const RequestHead& head, const Cors& cors = {}) {
  const auto refusal = guard.Check(head, cors);
  if (refusal) {
    EXPECT_EQ(refusal->status, 403);
  }
  return !refusal;
}

const HttpField kBrowser = {"user-agent", "Mozilla/5.0 (X11)"};

TEST(BrowserGuardTest, OwnNamesAndNamesThatNobodyCanRegister) {
  for (const char* host :
       {"127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080", "192.168.1.7:80", "localhost", "LOCALHOST:8080", "a.localhost", "cllm",
        "cllm:8080", "box.local", "cllm.default.svc.cluster.local", "x.internal", "box.example.org", "BOX.example.org.:8080", ""}) {
    EXPECT_TRUE(Passes(Guard(), Head(host, {kBrowser}))) << host;
  }
}

TEST(BrowserGuardTest, AForeignNameIsRefusedToBrowsersAlone) {
  for (const char* host : {"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example.",
                           "xlocal.com", "box.example.org.evil.example"}) {
    EXPECT_FALSE(Passes(Guard(), Head(host, {kBrowser}))) << host;
    EXPECT_FALSE(Passes(Guard(), Head(host, {{"origin", std::string("http://") + host}}))) << "rebound: the origin is the same";
    EXPECT_FALSE(Passes(Guard(), Head(host, {{"sec-fetch-site", "same-origin"}}, "GET"))) << host;
    EXPECT_TRUE(Passes(Guard(), Head(host, {{"user-agent", "python-requests/2"}}))) << host;
    EXPECT_TRUE(Passes(Guard(), Head(host, {{"sec-fetch-mode", "cors"}, {"user-agent", "node"}}))) << "as Node's fetch does";
    EXPECT_TRUE(Passes(Guard({"*"}), Head(host, {kBrowser}))) << host;
  }
  EXPECT_TRUE(Passes(Guard({"Models.example.com"}), Head("models.example.com:443", {kBrowser})));
  EXPECT_FALSE(Passes(Guard({"models.example.com"}), Head("evil.example", {kBrowser})));
}

TEST(BrowserGuardTest, PagesOfOtherOriginsAreRefused) {
  const auto from = [](const std::string& origin) { return Head("localhost:8080", {{"origin", origin}}); };
  for (const char* origin :
       {"https://evil.example", "null", "http://localhost:3000", "http://localhost", "http://localhost:8080.evil.example"}) {
    EXPECT_FALSE(Passes(Guard(), from(origin))) << origin;
    EXPECT_TRUE(Passes(Guard(), from(origin), Cors::Create({"*"}).value())) << origin;
  }
  EXPECT_TRUE(Passes(Guard(), from("http://localhost:8080")));
  EXPECT_TRUE(Passes(Guard(), from("http://LOCALHOST:8080")));
  EXPECT_TRUE(Passes(Guard(), from("https://pages.example"), Cors::Create({"https://pages.example"}).value()));
  EXPECT_TRUE(Passes(Guard(), Head("localhost:8080", {{"origin", "https://evil.example"}}, "OPTIONS"))) << "CORS answers that one";
  EXPECT_TRUE(Passes(Guard(), Head("127.0.0.1:8080", {{"origin", "https://chat.example"}, {"sec-fetch-site", "same-origin"}})))
      << "a proxy has changed Host";
  EXPECT_FALSE(Passes(Guard(), Head("127.0.0.1:8080", {{"origin", "https://chat.example"}, {"sec-fetch-site", "cross-site"}})));
}

TEST(BrowserGuardTest, WhatIsNoNameIsAnError) {
  for (const char* wrong : {"http://a.example", "a.example:80", "a b", "", "a.example/x"}) {
    EXPECT_FALSE(BrowserGuard::Create({wrong}, {})) << wrong;
  }
}

TEST(LoopbackHostTest, OnlyThisMachinesOwnNames) {
  for (const char* host : {"localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.1.2.3", "[::1]:80", "[::1]"}) {
    EXPECT_TRUE(IsLoopbackHost(host)) << host;
  }
  for (const char* host : {"", "localhost.example.org", "127.0.0.1.example.org", "127.evil", "10.0.0.1", "example.org", "[::2]"}) {
    EXPECT_FALSE(IsLoopbackHost(host)) << host;
  }
}

}  // namespace
}  // namespace cllm
