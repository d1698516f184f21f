#include "chat/sse_parser.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using Events = std::vector<std::string>;

// The events of `stream`, cut into pieces of `size` bytes.
Events Parse(std::string_view stream, std::size_t size = std::string_view::npos) {
  SseParser parser;
  Events events;
  const auto add = [&](std::string_view data) -> Status {
    events.emplace_back(data);
    return {};
  };
  while (!stream.empty()) {
    EXPECT_TRUE(parser.Push(stream.substr(0, size), add));
    stream.remove_prefix(std::min(size, stream.size()));
  }
  return events;
}

TEST(SseParser, Events) {
  EXPECT_EQ(Parse("data: one\n\ndata: two\n\n"), (Events{"one", "two"}));
  EXPECT_EQ(Parse("data:one\n\ndata:  two \n\n"), (Events{"one", " two "}));
  EXPECT_EQ(Parse("data: a\ndata: b\ndata:\n\n"), Events{"a\nb\n"});
  EXPECT_EQ(Parse("data\n\n"), Events{""});
}

TEST(SseParser, OtherFieldsAndCommentsAreSkipped) {
  EXPECT_EQ(Parse(": ping\n\nevent: x\nid: 1\nretry: 5\ndata: one\ndatum: no\n data: no\n\n"), Events{"one"});
  EXPECT_EQ(Parse("\n\n\nevent: x\n\ndata: one\n\n"), Events{"one"});
}

TEST(SseParser, AnUnfinishedEventIsNone) {
  EXPECT_EQ(Parse("data: one\n\ndata: two\n"), Events{"one"});
  EXPECT_EQ(Parse("data: one\n\ndata: two"), Events{"one"});
}

TEST(SseParser, AllLineEnds) {
  EXPECT_EQ(Parse("data: one\r\n\r\ndata: two\r\rdata: three\n\n"), (Events{"one", "two", "three"}));
  EXPECT_EQ(Parse("data: a\rdata: b\r\n\r\n"), Events{"a\nb"});
  EXPECT_EQ(Parse("data: a\r\n\ndata: b\n\r\n"), (Events{"a", "b"}));
}

TEST(SseParser, AByteOrderMarkInFrontOfAll) {
  EXPECT_EQ(Parse("\xEF\xBB\xBF"
                  "data: one\n\n"),
            Events{"one"});
  EXPECT_EQ(Parse("data: one\n\n\xEF\xBB\xBF"
                  "data: two\n\n"),
            Events{"one"});
}

TEST(SseParser, AnyChunkingGivesTheSameEvents) {
  const std::string stream =
      "\xEF\xBB\xBF: hello\r\ndata: {\"text\": \"Grüße\"}\r\n\r\ndata: a\ndata: b\n\n\rdata:c\r\rdata: [DONE]\r\n\r\n";
  const Events expected = Parse(stream);
  ASSERT_EQ(expected, (Events{"{\"text\": \"Grüße\"}", "a\nb", "c", "[DONE]"}));
  for (std::size_t size = 1; size < stream.size(); ++size) EXPECT_EQ(Parse(stream, size), expected) << size;
}

TEST(SseParser, AnErrorOfTheReceiverEndsIt) {
  SseParser parser;
  int seen = 0;
  const Status status = parser.Push("data: 1\n\ndata: 2\n\n", [&](std::string_view) -> Status {
    ++seen;
    return InvalidArgument("enough");
  });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "enough");
  EXPECT_EQ(seen, 1);
}

TEST(SseParser, AnEndlessEventIsAnError) {
  const auto ignore = [](std::string_view) -> Status { return {}; };
  for (const std::string& piece : {std::string(1 << 16, 'x'), "data: " + std::string(1 << 16, 'x') + "\n"}) {
    SseParser parser;
    Status status;
    std::size_t sent = 0;
    while (status && sent < 2 * SseParser::kMostEventBytes) {
      status = parser.Push(piece, ignore);
      sent += piece.size();
    }
    ASSERT_FALSE(status);
    EXPECT_LE(sent, SseParser::kMostEventBytes + 2 * piece.size());
  }
}

}  // namespace
}  // namespace cllm
