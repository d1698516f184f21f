#include "chat/message_reader.h"

#include <initializer_list>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

// The messages that the lines make, commands in brackets; "…" where one is not complete at the end.
std::vector<std::string> ReadLines(std::initializer_list<const char*> lines) {
  MessageReader reader;
  std::vector<std::string> messages;
  for (const char* line : lines) {
    if (const auto message = reader.Push(line)) {
      messages.push_back(message->is_command ? "[" + message->text + "]" : message->text);
    }
  }
  if (reader.pending()) messages.emplace_back("…");
  return messages;
}

using Messages = std::vector<std::string>;

TEST(MessageReader, ALineIsAMessage) {
  EXPECT_EQ(ReadLines({"hello", "", "  two "}), (Messages{"hello", "", "  two "}));
  EXPECT_EQ(ReadLines({"say \"\"\" please"}), Messages{"say \"\"\" please"});
}

TEST(MessageReader, ASlashMakesACommand) { EXPECT_EQ(ReadLines({"/bye", " /bye", "a/b"}), (Messages{"[/bye]", " /bye", "a/b"})); }

TEST(MessageReader, QuotesHoldLinesTogether) {
  EXPECT_EQ(ReadLines({"\"\"\"", "one", "", "two", "\"\"\"", "next"}), (Messages{"one\n\ntwo", "next"}));
  EXPECT_EQ(ReadLines({"\"\"\"one", "two\"\"\""}), Messages{"one\ntwo"});
  EXPECT_EQ(ReadLines({"\"\"\"one\"\"\""}), Messages{"one"});
  EXPECT_EQ(ReadLines({"\"\"\"\"\"\""}), Messages{""});
  EXPECT_EQ(ReadLines({"\"\"\"", "\"\"\""}), Messages{""});
  EXPECT_EQ(ReadLines({"\"\"\"", "one"}), Messages{"…"});
}

TEST(MessageReader, InsideQuotesNothingElseMeansAnything) {
  EXPECT_EQ(ReadLines({"\"\"\"", "/bye", "a\\", "\"\"\""}), Messages{"/bye\na\\"});
  EXPECT_EQ(ReadLines({"\"\"\"/bye\"\"\""}), Messages{"/bye"});
}

TEST(MessageReader, ABackslashAtTheEndContinues) {
  EXPECT_EQ(ReadLines({"one\\", "two\\", "three", "four"}), (Messages{"one\ntwo\nthree", "four"}));
  EXPECT_EQ(ReadLines({"one\\", "\"\"\""}), Messages{"one\n\"\"\""});
  EXPECT_EQ(ReadLines({"one\\"}), Messages{"…"});
  EXPECT_EQ(ReadLines({"/system a\\", "b"}), Messages{"[/system a\nb]"});
}

TEST(MessageReader, ASystemTextMayHaveLines) {
  EXPECT_EQ(ReadLines({"/system \"\"\"", "one", "two", "\"\"\""}), Messages{"[/system one\ntwo]"});
  EXPECT_EQ(ReadLines({"/system \"\"\"one", "two\"\"\"", "x"}), (Messages{"[/system one\ntwo]", "x"}));
  EXPECT_EQ(ReadLines({"/system plain"}), Messages{"[/system plain]"});
  EXPECT_EQ(ReadLines({"/system \"\""}), Messages{"[/system \"\"]"});
}

TEST(MessageReader, ResetForgetsWhatHasBegun) {
  MessageReader reader;
  EXPECT_FALSE(reader.Push("/system \"\"\"one"));
  EXPECT_TRUE(reader.pending());
  reader.Reset();
  EXPECT_FALSE(reader.pending());
  const auto message = reader.Push("two");
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text, "two");
  EXPECT_FALSE(message->is_command);
}

}  // namespace
}  // namespace cllm
