#include "chat/command.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

using Kind = ChatCommand::Kind;

std::string CommandErrorOf(const char* line) {
  const auto command = ParseChatCommand(line);
  return command ? "" : command.error().message;
}

TEST(ChatCommand, EveryOneIsKnown) {
  for (const ChatCommand::Known& known : ChatCommand::All()) {
    const auto command = ParseChatCommand(std::string(known.name) + (known.argument.empty() ? "" : " x"));
    ASSERT_TRUE(command) << known.name;
    EXPECT_EQ(command->kind, known.kind);
  }
  EXPECT_EQ(ParseChatCommand("/?")->kind, Kind::kHelp);
  EXPECT_EQ(ParseChatCommand("/exit")->kind, Kind::kBye);
  EXPECT_EQ(ParseChatCommand("/quit")->kind, Kind::kBye);
}

TEST(ChatCommand, ArgumentsLoseTheBlanksAroundThemAndKeepThoseWithin) {
  EXPECT_EQ(ParseChatCommand("/system  You are\n a  bird \t")->argument, "You are\n a  bird");
  EXPECT_EQ(ParseChatCommand("/set seed 1")->argument, "seed 1");
  EXPECT_EQ(ParseChatCommand("/set")->argument, "");
  EXPECT_EQ(ParseChatCommand("/save\tmy file.json")->argument, "my file.json");
  EXPECT_EQ(ParseChatCommand("/bye ")->kind, Kind::kBye);
}

TEST(ChatCommand, WrongOnesSaySo) {
  EXPECT_EQ(CommandErrorOf("/bye now"), "/bye takes no argument");
  EXPECT_EQ(CommandErrorOf("/save"), "/save needs an argument: /save FILE");
  EXPECT_EQ(CommandErrorOf("/load  "), "/load needs an argument: /load FILE");
  EXPECT_NE(CommandErrorOf("/claer").find("no command /claer; the nearest is /clear"), std::string::npos);
  EXPECT_NE(CommandErrorOf("/sav x").find("nearest is /save"), std::string::npos);
  EXPECT_NE(CommandErrorOf("/").find("no command /;"), std::string::npos);
  EXPECT_NE(CommandErrorOf("/usr/bin/ls").find("\"\"\""), std::string::npos);
}

TEST(ChatCommand, FirstWord) {
  using Words = std::pair<std::string_view, std::string_view>;
  EXPECT_EQ(SplitFirstWord(" a  b c "), (Words{"a", "b c"}));
  EXPECT_EQ(SplitFirstWord("a"), (Words{"a", ""}));
  EXPECT_EQ(SplitFirstWord(" \n"), (Words{"", ""}));
}

}  // namespace
}  // namespace cllm
