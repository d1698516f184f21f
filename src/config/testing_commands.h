// A made-up program with nested and hidden commands, for the tests of what is made from the tree of commands.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "config/command_line.h"
#include "config/command_tree.h"
#include "config/testing_options.h"

namespace cllm {

class TestingCommands {
 public:
  TestingCommands() {
    CLI::App* serve = root_.add_subcommand("serve", "Serve a model. Until a signal comes.");
    serve->add_option("MODEL", text_, "The model.");
    serve->add_option("--config", text_, "It's the file [or not]: a path.")->type_name("FILE");
    CLI::App* bench = root_.add_subcommand("bench", "Measure.");
    CLI::App* engine = bench->add_subcommand("engine", "The engine alone.");
    engine->add_option("--streams", number_, "How many.")->check(CLI::Range(1, 8));
    engine->add_flag("--json", flag_, ".json, not a table.");
    engine->add_option("FILE", files_, "Prompts.");
    engine->add_flag("--secret", flag_, "Not shown.")->group("");
    CLI::App* shell = root_.add_subcommand("completion", "A script.");
    shell->add_option("SHELL", text_, "Which.")->required()->check(CLI::IsMember({"bash", "zsh"}));
    root_.add_subcommand("probe", "Nobody's business.")->group("");
    line_.Bind(*serve, table_);
    line_.Bind(*engine, table_);
  }

  CommandInfo Describe() const { return DescribeCommands(root_, line_, {"tiny", "small"}); }

 private:
  std::string text_;
  std::vector<std::string> files_;
  int number_ = 1;
  bool flag_ = false;
  TestingOptions options_;
  OptionTable table_ = DeclareTestingOptions(options_);
  CLI::App root_{"A program.", "cllm"};
  CommandLine line_{root_};
};

}  // namespace cllm
