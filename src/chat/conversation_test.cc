#include "chat/conversation.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

std::string ShownConversation(const Conversation& conversation) {
  std::string shown;
  for (const ChatMessage& message : conversation.messages()) shown += message.role + ":" + message.content + " ";
  return shown;
}

TEST(Conversation, GrowsByTurns) {
  Conversation conversation;
  conversation.Ask("1");
  conversation.Answer("one");
  conversation.Ask("2");
  conversation.TakeBack();
  conversation.Ask("3");
  EXPECT_EQ(ShownConversation(conversation), "user:1 assistant:one user:3 ");
}

TEST(Conversation, TheSystemTextIsFirstAndSurvivesClear) {
  Conversation conversation;
  conversation.Ask("1");
  conversation.Answer("one");
  conversation.SetSystem("s");
  EXPECT_EQ(ShownConversation(conversation), "system:s user:1 assistant:one ");
  conversation.SetSystem("t");
  EXPECT_EQ(ShownConversation(conversation), "system:t user:1 assistant:one ");
  EXPECT_EQ(conversation.system(), "t");
  conversation.Clear();
  EXPECT_EQ(ShownConversation(conversation), "system:t ");
  conversation.SetSystem("");
  EXPECT_EQ(ShownConversation(conversation), "");
  EXPECT_EQ(conversation.system(), "");
  conversation.Ask("1");
  conversation.Clear();
  EXPECT_EQ(ShownConversation(conversation), "");
}

TEST(Conversation, OnlyTurnsAreTaken) {
  const auto error = [](std::vector<std::string> roles) {
    std::vector<ChatMessage> messages;
    for (const std::string& role : roles) messages.push_back({.role = role, .content = "x"});
    const auto conversation = Conversation::FromMessages(std::move(messages));
    return conversation ? std::string() : conversation.error().message;
  };
  EXPECT_EQ(error({}), "");
  EXPECT_EQ(error({"system"}), "");
  EXPECT_EQ(error({"user", "assistant"}), "");
  EXPECT_EQ(error({"system", "user", "assistant", "user", "assistant"}), "");
  EXPECT_EQ(error({"system", "assistant"}), "messages[1].role must be user: user and assistant take turns");
  EXPECT_EQ(error({"user", "user"}), "messages[1].role must be assistant: user and assistant take turns");
  EXPECT_EQ(error({"user", "assistant", "system"}), "messages[2].role must be user: user and assistant take turns");
  EXPECT_EQ(error({"tool"}), "messages[0].role must be user: user and assistant take turns");
  EXPECT_EQ(error({"user"}), "the last message must be the assistant's");
}

}  // namespace
}  // namespace cllm
