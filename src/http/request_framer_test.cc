#include "http/request_framer.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using namespace std::string_literals;
using Progress = RequestFramer::Progress;

RequestFramer::Limits SmallLimits() {
  return {.target_bytes = 100, .head_bytes = 1000, .fields = 5, .body_bytes = 50, .body_text = "50 bytes of a test"};
}

// What became of the input: canonical requests in order, then an error or an unfinished rest.
struct Outcome {
  std::vector<std::string> requests;
  int status = 0;
  std::string message;
  std::size_t heads = 0;

  bool operator==(const Outcome&) const = default;
};

// Feeds the input in pieces of `piece` bytes, as a connection's buffer would.
Outcome Feed(const std::string& input, std::size_t piece) {
  RequestFramer framer(SmallLimits());
  Outcome outcome;
  std::string buffer;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    buffer += input.substr(at, piece);
    while (true) {
      std::string_view left = buffer;
      const auto progress = framer.Advance(left);
      buffer = std::string(left);
      if (!progress) {
        outcome.status = progress.error().status;
        outcome.message = progress.error().error.message;
        return outcome;
      }
      if (*progress == Progress::kNeedsMore) break;
      if (*progress == Progress::kHeadRead) {
        ++outcome.heads;
        continue;
      }
      outcome.requests.push_back(framer.CanonicalHead() + framer.TakeBody());
      framer.Reset();
      if (buffer.empty()) break;
    }
  }
  return outcome;
}

Outcome Feed(const std::string& input) {
  const Outcome whole = Feed(input, input.size());
  for (std::size_t piece = 1; piece <= 3; ++piece) EXPECT_EQ(Feed(input, piece), whole) << "in pieces of " << piece << ": " << input;
  return whole;
}

int StatusOf(const std::string& input) {
  const Outcome outcome = Feed(input);
  EXPECT_TRUE(outcome.requests.empty()) << outcome.requests.front();
  return outcome.status;
}

std::string Get(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"; }
std::string Post(const std::string& fields, const std::string& body) { return "POST /x HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + body; }
std::string TargetOf(const std::string& input) {
  const Outcome outcome = Feed(input);
  if (outcome.requests.size() != 1) return "refused";
  const std::string& text = outcome.requests[0];
  const std::size_t start = text.find(' ') + 1;
  return text.substr(start, text.find(' ', start) - start);
}

TEST(RequestFramerTest, APlainRequestComesThroughInCanonicalForm) {
  const Outcome outcome = Feed(Post("X-A:  b \t\r\nContent-LENGTH: 3\r\nConnection: keep-alive\r\n", "abc"));
  EXPECT_EQ(outcome.requests, std::vector<std::string>{"POST /x HTTP/1.1\r\nhost: h\r\nx-a: b\r\ncontent-length: 0\r\n\r\nabc"});
  EXPECT_EQ(outcome.heads, 1u);
  EXPECT_EQ(Feed(Get("/")).requests, std::vector<std::string>{"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"});
}

TEST(RequestFramerTest, WhatIsOfTheConnectionStaysHere) {
  const Outcome outcome = Feed(
      "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade, CLOSE\r\nTE: trailers\r\nKeep-Alive: "
      "5\r\n\r\n");
  EXPECT_EQ(outcome.requests, std::vector<std::string>{"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"});
  EXPECT_NE(Feed("GET / HTTP/1.0\r\n\r\n").requests.at(0).find("connection: close"), std::string::npos);
  EXPECT_NE(Feed("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").requests.at(0).find("connection: keep-alive"), std::string::npos);
  EXPECT_EQ(Feed("GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n").requests.at(0).find("connection"), std::string::npos);
}

TEST(RequestFramerTest, RequestsFollowEachOther) {
  const Outcome outcome =
      Feed(Post("Content-Length: 2\r\n", "ab") + "\r\n" + Post("Transfer-Encoding: chunked\r\n", "1\r\nc\r\n0\r\n\r\n") + Get("/y"));
  ASSERT_EQ(outcome.requests.size(), 3u);
  EXPECT_TRUE(outcome.requests[0].ends_with("\r\n\r\nab"));
  EXPECT_TRUE(outcome.requests[1].ends_with("\r\ncontent-length: 0\r\n\r\nc"));
  EXPECT_TRUE(outcome.requests[2].starts_with("GET /y "));
}

TEST(RequestFramerTest, ChunksBecomeABody) {
  const auto body = [](const std::string& chunks) {
    const Outcome outcome = Feed(Post("Transfer-Encoding: Chunked\r\n", chunks));
    if (outcome.requests.size() != 1) return std::to_string(outcome.status);
    return outcome.requests[0].substr(outcome.requests[0].find("\r\n\r\n") + 4);
  };
  EXPECT_EQ(body("3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\n\r\n"), "abc0123456789");
  EXPECT_EQ(body("0\r\n\r\n"), "");
  EXPECT_EQ(body("1\r\na\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n"), "a");
  EXPECT_EQ(body("00000000000000000001\r\na\r\n0\r\n\r\n"), "a");
  for (const char* wrong :
       {"\r\n", "g\r\n", "-1\r\na\r\n", "+1\r\na\r\n", "0x1\r\na\r\n", " 1\r\na\r\n", "1 \r\na\r\n", "1\r\nab\r\n0\r\n\r\n", "1\na\n",
        "1\r\na0\r\n\r\n", "1\r\naxx0\r\n\r\n", ";\r\n", "1\r\na\n0\r\n\r\n", "1\x01\r\na\r\n"}) {
    EXPECT_EQ(body(wrong), "400") << wrong;
  }
  EXPECT_EQ(body("33\r\n"), "413") << "51 bytes";
  EXPECT_EQ(body("32\r\n" + std::string(50, 'x') + "\r\n1\r\n"), "413");
  EXPECT_EQ(body("ffffffffffffffff\r\n"), "413");
  EXPECT_EQ(body("fffffffffffffffff\r\n"), "413");
  EXPECT_EQ(body("1;" + std::string(2000, 'x')), "400") << "an endless extension";
  EXPECT_EQ(body("0\r\n" + std::string(2000, 'x')), "431") << "endless trailers";
}

TEST(RequestFramerTest, ALengthIsPlainDigitsOnce) {
  for (const char* wrong : {"", "+5", "-1", "1e3", "0x5", "5 5", "5,5", "5,", "1.0", "five", "5;"}) {
    EXPECT_EQ(StatusOf(Post("Content-Length: "s + wrong + "\r\n", "12345")), 400) << wrong;
  }
  EXPECT_EQ(StatusOf(Post("Content-Length: 5\r\nContent-Length: 5\r\n", "12345")), 400);
  EXPECT_EQ(StatusOf(Post("Content-Length: 5\r\nContent-Length: 6\r\n", "12345")), 400);
  EXPECT_EQ(StatusOf(Post("Content-Length: 51\r\n", "")), 413);
  EXPECT_EQ(StatusOf(Post("Content-Length: 18446744073709551617\r\n", "")), 413);
  EXPECT_TRUE(Feed(Post("Content-Length: 0050\r\n", std::string(50, 'x'))).requests.size() == 1);
}

TEST(RequestFramerTest, ABodyIsDelimitedInOneWay) {
  EXPECT_EQ(StatusOf(Post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")), 400);
  EXPECT_EQ(StatusOf(Post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")), 400);
  EXPECT_EQ(StatusOf("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
  for (const char* coding : {"gzip", "gzip, chunked", "chunked, chunked", "xchunked", "identity", "", "chunked;q=1"}) {
    EXPECT_EQ(StatusOf(Post("Transfer-Encoding: "s + coding + "\r\n", "0\r\n\r\n")), 501) << coding;
  }
  EXPECT_EQ(StatusOf(Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")), 501);
}

TEST(RequestFramerTest, HeadersAreOneLineWithAPlainName) {
  for (const char* wrong :
       {"no colon", "X : y", " X: y", "\tX: y", ": y", "X\x80: y", "X(: y", "X: a\n", "X: a\rb", "X: a\x01", "X: a\x7F"}) {
    EXPECT_EQ(StatusOf(Post(wrong + "\r\n"s, "")), 400) << wrong;
  }
  EXPECT_EQ(StatusOf(Post("X: a\r\n folded\r\n", "")), 400);
  EXPECT_EQ(StatusOf(Post("X: a\0b\r\n"s, "")), 400);
  EXPECT_EQ(Feed(Post("X:\r\nY: \xC3\xA9 t\tu\r\n", "")).requests.at(0),
            "POST /x HTTP/1.1\r\nhost: h\r\nx: \r\ny: \xC3\xA9 t\tu\r\ncontent-length: 0\r\n\r\n");
}

TEST(RequestFramerTest, OneHost) {
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n"), 400);
  EXPECT_EQ(Feed("GET / HTTP/1.1\r\nHost:\r\n\r\n").requests.size(), 1u);
}

TEST(RequestFramerTest, TheFirstLineIsThreeWords) {
  for (const char* wrong : {"GET /",
                            "GET",
                            "GET  / HTTP/1.1",
                            "GET / HTTP/1.1 ",
                            " GET / HTTP/1.1",
                            "GET / /a HTTP/1.1",
                            "GET /\tHTTP/1.1",
                            "GET / http/1.1",
                            "GET / HTTP/1",
                            "GET x HTTP/1.1",
                            "GET * HTTP/1.1",
                            "G@T / HTTP/1.1",
                            "GET http:/// HTTP/1.1",
                            "GET http HTTP/1.1",
                            "GET /\x80 HTTP/1.1",
                            "GET /a#b HTTP/1.1",
                            "GET /%zz HTTP/1.1",
                            "GET /%0 HTTP/1.1",
                            "GET /% HTTP/1.1",
                            "GET /%00 HTTP/1.1",
                            "GET /a?b=%00 HTTP/1.1",
                            "GET host:80 HTTP/1.1"}) {
    EXPECT_EQ(StatusOf(wrong + "\r\nHost: h\r\n\r\n"s), 400) << wrong;
  }
  for (const char* version : {"HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/9.9", "HTTP/1,1"}) {
    EXPECT_EQ(StatusOf("GET / "s + version + "\r\nHost: h\r\n\r\n"), 505) << version;
  }
  EXPECT_EQ(StatusOf("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
  for (const char* method : {"FOO", "get", "TRACE", "CONNECT", "G-E.T"})
    EXPECT_EQ(StatusOf(method + " / HTTP/1.1\r\nHost: h\r\n\r\n"s), 405) << method;
}

TEST(RequestFramerTest, TargetsOfEveryForm) {
  EXPECT_EQ(TargetOf(Get("http://other:80/a?b=c")), "/a?b=c");
  EXPECT_EQ(TargetOf(Get("HTTPS://other")), "/");
  EXPECT_EQ(TargetOf(Get("http://other?x=1")), "/?x=1");
  EXPECT_EQ(TargetOf(Get("/go?to=http://x/")), "/go?to=http://x/");
  EXPECT_EQ(TargetOf(Get("httpsx://other/a")), "refused");
  EXPECT_EQ(TargetOf(Get("//a")), "//a");
  EXPECT_EQ(TargetOf(Get("/%41%c3%a9")), "/%41%c3%a9");
  EXPECT_EQ(TargetOf("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), "/");
  RequestHead head{.method = "GET", .target = "/a?b?c", .fields = {}};
  EXPECT_EQ(head.path(), "/a");
}

TEST(RequestFramerTest, Limits) {
  EXPECT_EQ(TargetOf(Get("/" + std::string(99, 'a'))).size(), 100u);
  EXPECT_EQ(StatusOf(Get("/" + std::string(100, 'a'))), 414);
  EXPECT_EQ(StatusOf("GET /" + std::string(200, 'a')), 414) << "before the line ends";
  EXPECT_EQ(StatusOf(Post("A: 1\r\nA: 2\r\nA: 3\r\nA: 4\r\nA: 5\r\n", "")), 431) << "six with Host";
  EXPECT_EQ(Feed(Post("A: 1\r\nA: 2\r\nA: 3\r\nA: 4\r\n", "")).requests.size(), 1u);
  EXPECT_EQ(StatusOf(Post("X: " + std::string(1000, 'x'), "")), 431) << "before the line ends";
  EXPECT_EQ(StatusOf(std::string(1000, '\r')), 400);
  std::string blank_lines;
  for (int i = 0; i < 600; ++i) blank_lines += "\r\n";
  EXPECT_EQ(StatusOf(blank_lines), 431);
}

TEST(RequestFramerTest, GarbageIsRefusedAsItComes) {
  EXPECT_EQ(StatusOf("\0"s), 400);
  EXPECT_EQ(StatusOf("\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\n"), 400);
  EXPECT_EQ(StatusOf("GET /\0 HTTP/1.1"s), 400);
  EXPECT_NE(Feed("\x16\x03\x01").message.find("TLS"), std::string::npos);
}

TEST(RequestFramerTest, WhoWaitsForContinue) {
  const auto waits = [](const std::string& input) {
    RequestFramer framer(SmallLimits());
    std::string_view left = input;
    EXPECT_EQ(framer.Advance(left), Progress::kHeadRead) << input;
    return framer.wants_continue();
  };
  EXPECT_TRUE(waits(Post("Expect: 100-Continue\r\nContent-Length: 5\r\n", "")));
  EXPECT_TRUE(waits(Post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", "")));
  EXPECT_FALSE(waits(Post("Expect: 100-continue\r\nContent-Length: 0\r\n", "")));
  EXPECT_FALSE(waits(Post("Content-Length: 5\r\n", "")));
  EXPECT_FALSE(waits("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
  EXPECT_EQ(StatusOf(Post("Expect: tea\r\nContent-Length: 5\r\n", "")), 417);
  EXPECT_EQ(StatusOf(Post("Expect:\r\nContent-Length: 5\r\n", "")), 417);
}

TEST(RequestFramerTest, WhatOnlyAsksHasNoBody) {
  for (const std::string method : {"GET", "HEAD"}) {
    EXPECT_EQ(StatusOf(method + " / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n"), 400) << "before the body";
    EXPECT_EQ(StatusOf(method + " / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n"), 400);
    EXPECT_EQ(Feed(method + " / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n").requests.size(), 1u);
    EXPECT_EQ(Feed(method + " / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").requests.size(), 1u);
  }
}

TEST(RequestFramerTest, ABodyThatNobodyWantsIsCountedAndForgotten) {
  const auto feed = [](const std::string& input) {
    RequestFramer framer(SmallLimits());
    std::string_view left = input;
    EXPECT_EQ(framer.Advance(left), Progress::kHeadRead);
    framer.DropBody();
    const auto progress = framer.Advance(left);
    if (!progress) return std::to_string(progress.error().status);
    EXPECT_EQ(*progress, Progress::kComplete);
    const std::string canonical = framer.CanonicalHead() + framer.TakeBody();
    framer.Reset();
    left = input;
    EXPECT_EQ(framer.Advance(left), Progress::kHeadRead);
    EXPECT_EQ(framer.Advance(left), Progress::kComplete);
    EXPECT_TRUE((framer.CanonicalHead() + framer.TakeBody()).ends_with("\r\n\r\nabc")) << "the next request has its body again";
    return canonical.substr(canonical.find("content-length"));
  };
  EXPECT_EQ(feed(Post("Content-Length: 3\r\n", "abc")), "content-length: 0\r\n\r\n");
  EXPECT_EQ(feed(Post("Transfer-Encoding: chunked\r\n", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n")), "content-length: 0\r\n\r\n");
  std::string endless;
  for (int i = 0; i < 6; ++i) endless += "a\r\n0123456789\r\n";
  EXPECT_EQ(feed(Post("Transfer-Encoding: chunked\r\n", endless)), "413");
}

TEST(RequestFramerTest, AnUnfinishedRequestHasBegun) {
  RequestFramer framer(SmallLimits());
  EXPECT_FALSE(framer.has_begun());
  std::string_view left = "G";
  EXPECT_EQ(framer.Advance(left), Progress::kNeedsMore);
  EXPECT_TRUE(framer.has_begun());
  framer.Reset();
  EXPECT_FALSE(framer.has_begun());
}

}  // namespace
}  // namespace cllm
