#include "config/command_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "config/testing_commands.h"

namespace cllm {
namespace {

using Words = std::vector<std::string>;
using Kind = TakenValue::Kind;

class CommandTreeTest : public testing::Test {
 protected:
  const CommandInfo& At(const std::string& path) {
    const std::vector<const CommandInfo*> all = AllCommands(root_);
    const auto found = std::ranges::find(all, path, &CommandInfo::path);
    EXPECT_NE(found, all.end()) << path;
    return found == all.end() ? root_ : **found;
  }
  static const FlagInfo* Flag(const std::vector<FlagInfo>& flags, const std::string& spelling) {
    const auto found = std::ranges::find_if(
        flags, [&](const FlagInfo& flag) { return std::ranges::find(flag.spellings, spelling) != flag.spellings.end(); });
    return found == flags.end() ? nullptr : &*found;
  }

  TestingCommands commands_;
  CommandInfo root_ = commands_.Describe();
};

TEST_F(CommandTreeTest, EveryCommandThatIsNotHidden) {
  Words paths;
  for (const CommandInfo* command : AllCommands(root_)) paths.push_back(command->path);
  EXPECT_EQ(paths, (Words{"cllm", "cllm serve", "cllm bench", "cllm bench engine", "cllm completion"}));
  EXPECT_EQ(At("cllm bench engine").name, "engine");
  EXPECT_EQ(At("cllm bench engine").help, "The engine alone.");
}

TEST_F(CommandTreeTest, WhatEachPlaceTakes) {
  ASSERT_EQ(At("cllm serve").places.size(), 1u);
  const PlaceInfo& model = At("cllm serve").places[0];
  EXPECT_EQ(model.name, "MODEL");
  EXPECT_FALSE(model.required);
  EXPECT_FALSE(model.repeated);
  EXPECT_EQ(model.value.kind, Kind::kFile);
  EXPECT_EQ(model.value.words, (Words{"tiny", "small"}));
  EXPECT_TRUE(At("cllm bench engine").places.at(0).repeated);
  const PlaceInfo& shell = At("cllm completion").places.at(0);
  EXPECT_TRUE(shell.required);
  EXPECT_EQ(shell.value.kind, Kind::kWords);
  EXPECT_EQ(shell.value.words, (Words{"bash", "zsh"}));
}

TEST_F(CommandTreeTest, WhatEachFlagTakes) {
  const FlagInfo* config = Flag(At("cllm serve").flags, "--config");
  ASSERT_NE(config, nullptr);
  EXPECT_EQ(config->value.kind, Kind::kFile);
  EXPECT_TRUE(config->value.words.empty());
  EXPECT_EQ(config->placeholder, "FILE");
  const FlagInfo* streams = Flag(At("cllm bench engine").flags, "--streams");
  ASSERT_NE(streams, nullptr);
  EXPECT_EQ(streams->value.kind, Kind::kText);
  EXPECT_EQ(streams->placeholder, "INT");
  EXPECT_EQ(Flag(At("cllm bench engine").flags, "--json")->value.kind, Kind::kNothing);
  EXPECT_EQ(Flag(At("cllm bench engine").flags, "--secret"), nullptr);
  EXPECT_EQ(Flag(At("cllm").flags, "-h"), Flag(At("cllm").flags, "--help"));
}

TEST_F(CommandTreeTest, TheTableStandsApart) {
  ASSERT_NE(At("cllm serve").table, nullptr);
  EXPECT_EQ(At("cllm serve").table, At("cllm bench engine").table);
  EXPECT_EQ(At("cllm completion").table, nullptr);
  EXPECT_EQ(Flag(At("cllm serve").flags, "--port"), nullptr);
  const std::vector<FlagInfo> flags = FlagsOfTable(*At("cllm serve").table);
  EXPECT_EQ(Flag(flags, "-p")->spellings, (Words{"-p", "--port"}));
  EXPECT_EQ(Flag(flags, "--type")->value.words, (Words{"auto", "llama_cpp", "off"}));
  EXPECT_EQ(Flag(flags, "--n-threads")->value.words, (Words{"auto"}));
  EXPECT_EQ(Flag(flags, "--model")->value.kind, Kind::kFile);
  EXPECT_EQ(Flag(flags, "--use-mmap")->value.kind, Kind::kNothing);
  EXPECT_EQ(Flag(flags, "--no-use-mmap")->spellings, (Words{"--no-use-mmap", "--no-mmap"}));
}

}  // namespace
}  // namespace cllm
