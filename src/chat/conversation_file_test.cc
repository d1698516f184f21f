#include "chat/conversation_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <utility>

#include <gtest/gtest.h>

#include "chat/testing_folder.h"

namespace cllm {
namespace {

Conversation Sample() {
  Conversation conversation;
  conversation.SetSystem("Be brief.\nAlways.");
  conversation.Ask("Grüße \"quoted\" \x1b[2J \\");
  conversation.Answer("世界 🌍\ttab");
  return conversation;
}

std::string Shown(const Conversation& conversation) {
  std::string shown;
  for (const ChatMessage& message : conversation.messages()) shown += message.role + ":" + message.content + "|";
  return shown;
}

std::string ErrorOf(std::string_view json) {
  const auto conversation = ReadConversation(json);
  return conversation ? "" : conversation.error().message;
}

class ConversationFile : public testing::Test, protected TestingFolder {};

TEST_F(ConversationFile, ComesBackAsItWas) {
  const std::string file = Path("a.json");
  ASSERT_TRUE(SaveConversation(file, Sample()));
  const auto loaded = LoadConversation(file);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(Shown(*loaded), Shown(Sample()));
  EXPECT_EQ(Entries(), std::vector<std::string>{"a.json"});
}

TEST_F(ConversationFile, ReplacesAConversationButNoOtherFile) {
  const std::string file = Path("a.json");
  ASSERT_TRUE(SaveConversation(file, Sample()));
  ASSERT_TRUE(SaveConversation(file, Conversation()));
  EXPECT_EQ(Shown(*LoadConversation(file)), "");
  Write("notes.txt", "my notes");
  const Status status = SaveConversation(Path("notes.txt"), Sample());
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("notes.txt: this is there already"), std::string::npos);
  EXPECT_EQ(Read("notes.txt"), "my notes");
  EXPECT_FALSE(SaveConversation(Path(""), Sample()));  // the folder itself
}

TEST_F(ConversationFile, FilesThatCannotBeReadOrWrittenSayWhy) {
  EXPECT_NE(LoadConversation(Path("none")).error().message.find("none: there is no such file"), std::string::npos);
  EXPECT_NE(LoadConversation(Path("")).error().message.find("no regular file"), std::string::npos);
  EXPECT_NE(LoadConversation("/dev/zero").error().message.find("no regular file"), std::string::npos);
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  EXPECT_NE(LoadConversation(Path("fifo")).error().message.find("no regular file"), std::string::npos);
  EXPECT_NE(SaveConversation(Path("no/such/a.json"), Sample()).error().message.find("cannot be written: No such file"), std::string::npos);
  Write("huge.json", "");
  std::filesystem::resize_file(Path("huge.json"), kMostConversationBytes + 1);
  EXPECT_NE(LoadConversation(Path("huge.json")).error().message.find("at most 64 MiB"), std::string::npos);
  Write("empty.json", "");
  EXPECT_NE(LoadConversation(Path("empty.json")).error().message.find("empty.json: "), std::string::npos);
}

TEST_F(ConversationFile, ATildeIsTheHomeFolder) {
  const char* home = std::getenv("HOME");
  const std::string before = home != nullptr ? home : "";
  setenv("HOME", Path("").c_str(), 1);
  EXPECT_TRUE(SaveConversation("~/a.json", Sample()));
  EXPECT_TRUE(LoadConversation("~/a.json"));
  setenv("HOME", before.c_str(), 1);
  EXPECT_EQ(Entries(), std::vector<std::string>{"a.json"});
}

TEST_F(ConversationFile, ADeviceIsNoPlaceToSave) { EXPECT_FALSE(SaveConversation("/dev/null", Sample())); }

// A file that could not be loaded again would be a conversation lost.
TEST_F(ConversationFile, WhatCouldNotBeLoadedIsNotSaved) {
  ASSERT_TRUE(SaveConversation(Path("a.json"), Sample()));
  Conversation many;
  for (std::size_t i = 0; i < kMostConversationMessages / 2; ++i) {
    many.Ask("q");
    many.Answer("a");
  }
  ASSERT_TRUE(SaveConversation(Path("most.json"), many));
  EXPECT_TRUE(LoadConversation(Path("most.json")));
  many.SetSystem("one more");
  Conversation large;
  large.Ask("q");
  large.Answer(std::string(kMostConversationBytes / 6 + 1, '\x1b'));  // "\u001b" in the file
  for (const auto& [conversation, why] : {std::pair(&many, "at most 10000 messages"), std::pair(&large, "at most 64 MiB")}) {
    const Status status = SaveConversation(Path("a.json"), *conversation);
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().message.find(why), std::string::npos) << status.error().message;
  }
  EXPECT_EQ(Shown(*LoadConversation(Path("a.json"))), Shown(Sample()));
  EXPECT_EQ(Entries(), (std::vector<std::string>{"a.json", "most.json"}));
}

TEST(ConversationJson, IsChecked) {
  EXPECT_EQ(ErrorOf("{\"cllm_conversation\":1,\"messages\":[]}"), "");
  EXPECT_EQ(ErrorOf("{\"messages\":[]}"), "this is no saved conversation: cllm_conversation is missing");
  EXPECT_EQ(ErrorOf("{\"cllm_conversation\":2,\"messages\":[]}"), "cllm_conversation must be an integer from 1 to 1, not 2");
  EXPECT_EQ(ErrorOf("{\"cllm_conversation\":1}"), "messages must be an array of at most 10000 messages");
  EXPECT_EQ(ErrorOf("{\"cllm_conversation\":1,\"messages\":{}}"), "messages must be an array of at most 10000 messages");
  EXPECT_EQ(ErrorOf("{\"cllm_conversation\":1,\"messages\":[],\"more\":1}"), "unknown field more");
  EXPECT_EQ(ErrorOf("{\"cllm_conversation\":1,\"messages\":[3]}"), "messages[0] must be an object");
  EXPECT_EQ(ErrorOf("{\"cllm_conversation\":1,\"messages\":[{\"role\":\"user\"}]}"), "messages[0].content is missing");
  EXPECT_EQ(ErrorOf("{\"cllm_conversation\":1,\"messages\":[{\"content\":\"x\"}]}"), "messages[0].role is missing");
  EXPECT_EQ(ErrorOf("{\"cllm_conversation\":1,\"messages\":[{\"role\":3,\"content\":\"x\"}]}"), "messages[0].role must be a string, not 3");
  EXPECT_EQ(ErrorOf("{\"cllm_conversation\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"y\":1}]}"),
            "unknown field messages[0].y");
  EXPECT_EQ(ErrorOf("{\"cllm_conversation\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"),
            "the last message must be the assistant's");
  EXPECT_NE(ErrorOf("{\"cllm_conversation\":1,\"messages\":[{\"role\":\"user\",\"content\":\"\xFF\"}]}"), "");
  EXPECT_NE(ErrorOf(std::string(100000, '[')), "");
  std::string many = "{\"cllm_conversation\":1,\"messages\":[";
  for (std::size_t i = 0; i <= kMostConversationMessages; ++i) many += "0,";
  many.back() = ']';
  EXPECT_EQ(ErrorOf(many + "}"), "messages must be an array of at most 10000 messages");
  EXPECT_NE(ErrorOf("[]"), "");
}

// What is read from a broken file is an error or a conversation that could have been written.
TEST(ConversationJson, BrokenBytesNeverBreakTheReader) {
  const std::string whole = WriteConversation(Sample());
  for (std::size_t size = 0; size + 1 < whole.size(); ++size) EXPECT_FALSE(ReadConversation(whole.substr(0, size))) << size;
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    std::string broken = whole;
    for (int flips = 0; flips < 3; ++flips) broken[random() % broken.size()] = static_cast<char>(random());
    if (const auto conversation = ReadConversation(broken)) {
      const auto again = ReadConversation(WriteConversation(*conversation));
      ASSERT_TRUE(again);
      EXPECT_EQ(Shown(*again), Shown(*conversation));
    }
  }
}

}  // namespace
}  // namespace cllm
