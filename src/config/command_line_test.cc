#include "config/command_line.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "config/testing_options.h"
#include "config/yaml_config.h"

namespace cllm {
namespace {

// A program with the commands "serve [MODEL] [--config F]", which has the table, and "version", which has not.
class CommandLineTest : public testing::Test {
 protected:
  CommandLineTest() {
    root_.require_subcommand(1);
    root_.set_version_flag("--version", "toy 1.0");
    serve_ = root_.add_subcommand("serve", "Serve a model");
    serve_->add_option("MODEL", model_, "The model");
    serve_->add_option("--config", config_, "The file");
    root_.add_subcommand("version", "Print the version");
    line_.Bind(*serve_, table_);
  }

  // The message of the error of parsing or applying `serve` with these arguments, or nothing.
  std::string Serve(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "serve");
    const auto parsed = line_.Parse(arguments);
    if (!parsed) return parsed.error().message;
    EXPECT_FALSE(parsed->has_value());
    const Status status = line_.Apply();
    return status ? "" : status.error().message;
  }

  TestingOptions options_;
  OptionTable table_ = DeclareTestingOptions(options_);
  CLI::App root_{"A toy", "toy"};
  CLI::App* serve_ = nullptr;
  std::string model_, config_;
  CommandLine line_{root_};
};

TEST_F(CommandLineTest, TakesEverySpelling) {
  EXPECT_EQ(Serve({"-p", "81", "-ngl", "99", "-np=3", "--n-batch=7", "--ctx-size", "9", "-m", "a b.gguf", "-t", "auto"}), "");
  EXPECT_EQ(options_.port, 81);
  EXPECT_EQ(options_.n_gpu_layers, 99);
  EXPECT_EQ(options_.n_seq_max, 3);
  EXPECT_EQ(options_.n_batch, 7);
  EXPECT_EQ(options_.max_context_length, 9);
  EXPECT_EQ(options_.path, "a b.gguf");
  EXPECT_EQ(options_.n_threads, -1);
  EXPECT_EQ(table_.Find("server.port")->source, ValueSource::CommandLine("-p"));
  EXPECT_EQ(table_.Find("backend.llama_cpp.n_batch")->source, ValueSource::CommandLine("--n-batch"));
  EXPECT_EQ(table_.Find("server.host")->source, ValueSource());
}

TEST_F(CommandLineTest, LeavesTheRestToTheProgram) {
  EXPECT_EQ(Serve({"--config", "-odd", "--port", "1", "m.gguf", "-ts", "1,2"}), "");
  EXPECT_EQ(config_, "-odd");
  EXPECT_EQ(model_, "m.gguf");
  EXPECT_EQ(options_.port, 1);
  EXPECT_EQ(options_.tensor_split, (std::vector<double>{1, 2}));
  EXPECT_EQ(Serve({"--config=x.yaml", "--", "--port"}), "");
  EXPECT_EQ(config_, "x.yaml");
  EXPECT_EQ(model_, "--port");
  EXPECT_EQ(Serve({"-"}), "");
  EXPECT_EQ(model_, "-");
}

TEST_F(CommandLineTest, OddValuesArriveUnchanged) {
  EXPECT_EQ(Serve({"--path="}), "");
  EXPECT_EQ(options_.path, "");
  EXPECT_EQ(Serve({"--path=a=b", "--host", "", "--quantization", "[a,b]"}), "");
  EXPECT_EQ(options_.path, "a=b");
  EXPECT_EQ(options_.host, "");
  EXPECT_EQ(options_.quantization, "[a,b]");
  EXPECT_EQ(Serve({"--path=--port"}), "");
  EXPECT_EQ(options_.path, "--port");
  EXPECT_EQ(Serve({"--path", "-"}), "");
  EXPECT_EQ(options_.path, "-");
  EXPECT_EQ(Serve({"--tensor-split="}), "");
  EXPECT_TRUE(options_.tensor_split.empty());
}

TEST_F(CommandLineTest, BooleansAreSwitches) {
  EXPECT_EQ(Serve({"--no-use-mmap", "m.gguf"}), "");
  EXPECT_FALSE(options_.use_mmap);
  EXPECT_EQ(model_, "m.gguf");
  EXPECT_EQ(Serve({"--use-mmap", "off"}), "");
  EXPECT_TRUE(options_.use_mmap);
  EXPECT_EQ(model_, "off");
  EXPECT_EQ(Serve({"--mmap=off"}), "");
  EXPECT_FALSE(options_.use_mmap);
  EXPECT_EQ(Serve({"--no-mmap", "--mmap"}), "");
  EXPECT_TRUE(options_.use_mmap);
  EXPECT_EQ(Serve({"--no-mmap=true"}), "--no-mmap takes no value");
  EXPECT_EQ(Serve({"--mmap=maybe"}), "--mmap (backend.llama_cpp.use_mmap): expected true or false, got \"maybe\"");
}

TEST_F(CommandLineTest, TheLastOfSeveralCounts) {
  EXPECT_EQ(Serve({"-p", "1", "--port", "2"}), "");
  EXPECT_EQ(options_.port, 2);
  EXPECT_EQ(table_.Find("server.port")->source.name, "--port");
  // Nothing of an earlier parse is left.
  ASSERT_TRUE(line_.Parse({"serve"}));
  options_.port = 5;
  ASSERT_TRUE(line_.Apply());
  EXPECT_EQ(options_.port, 5);
}

TEST_F(CommandLineTest, ErrorsNameTheFlagAsTyped) {
  EXPECT_EQ(Serve({"-p", "abc"}), "-p (server.port): expected integer from 0 to 65535, got \"abc\"");
  EXPECT_EQ(Serve({"--port=65536"}), "--port (server.port): expected integer from 0 to 65535, got \"65536\"");
  EXPECT_EQ(Serve({"-ngl", "-1"}), "-ngl (backend.llama_cpp.n_gpu_layers): expected integer of at least 0, or all, got \"-1\"");
  EXPECT_EQ(Serve({"-b", "99999999999"}), "-b (backend.llama_cpp.n_batch): expected integer from 1 to 65536, got \"99999999999\"");
  EXPECT_EQ(Serve({"--path", "a\xFF"}), "--path (model.path): expected text, got \"a\\xff\", which is not valid UTF-8 text");
  EXPECT_EQ(options_, TestingOptions());
}

TEST_F(CommandLineTest, AFlagIsNoValue) {
  EXPECT_EQ(Serve({"--path"}), "--path (model.path): expected text, got no value");
  EXPECT_EQ(Serve({"--path", "--port", "80"}), "--path (model.path): expected text, got no value");
  EXPECT_EQ(Serve({"--path", "--port=80"}), "--path (model.path): expected text, got no value");
  EXPECT_EQ(Serve({"--path", "--config", "x"}), "--path (model.path): expected text, got no value");
  EXPECT_EQ(Serve({"--path", "--", "x"}), "--path (model.path): expected text, got no value");
}

TEST_F(CommandLineTest, UnknownFlagsGetTheNearestKnownOne) {
  EXPECT_EQ(Serve({"--prot", "80"}), "unknown flag \"--prot\"; the nearest known flag is --port");
  EXPECT_EQ(Serve({"--n_batch=4"}), "unknown flag \"--n_batch\"; the nearest known flag is --n-batch");
  EXPECT_EQ(Serve({"-port", "80"}), "unknown flag \"-port\"; the nearest known flag is --port");
  EXPECT_EQ(Serve({"-model", "x"}), "unknown flag \"-model\"; the nearest known flag is --model");
  EXPECT_EQ(Serve({"-p80"}).substr(0, 20), "unknown flag \"-p80\";");
  EXPECT_EQ(Serve({"--no-mmapp"}), "unknown flag \"--no-mmapp\"; the nearest known flag is --no-mmap");
  EXPECT_EQ(Serve({"--confg", "x"}), "unknown flag \"--confg\"; the nearest known flag is --config");
  EXPECT_EQ(Serve({"a", "b"}), "The following argument was not expected: b");
  // Commands without a table, and the program itself, know only their own.
  EXPECT_EQ(line_.Parse({"version", "--port", "1"}).error().message.substr(0, 21), "unknown flag \"--port\"");
  EXPECT_EQ(line_.Parse({"--port", "1", "serve"}).error().message.substr(0, 21), "unknown flag \"--port\"");
}

TEST_F(CommandLineTest, AGroupOfCommandsShowsItsHelp) {
  CLI::App* group = root_.add_subcommand("group", "Others");
  group->require_subcommand(1);
  group->add_subcommand("member", "One of them");
  const auto of_root = line_.Parse({});
  ASSERT_TRUE(of_root && *of_root);
  EXPECT_NE((**of_root).find("serve"), std::string::npos);
  EXPECT_EQ(**of_root, **line_.Parse({"--help"}));
  EXPECT_EQ(**line_.Parse({"group"}), **line_.Parse({"group", "--help"}));
  EXPECT_NE((**line_.Parse({"group"})).find("member"), std::string::npos);
  EXPECT_FALSE(*line_.Parse({"group", "member"}));
  EXPECT_FALSE(line_.Parse({"--"})) << "is no question";
}

TEST_F(CommandLineTest, UnknownCommandsGetTheNearestKnownOne) {
  CLI::App* group = root_.add_subcommand("group", "Others");
  group->require_subcommand(1);
  group->add_subcommand("member", "One of them");
  root_.add_subcommand("hidden", "")->group("");
  EXPECT_EQ(line_.Parse({"sevre"}).error().message, "unknown command \"sevre\"; the nearest known command is serve");
  EXPECT_EQ(line_.Parse({"hiden"}).error().message, "unknown command \"hiden\"; the nearest known command is serve");
  EXPECT_EQ(line_.Parse({"group", "membre", "--x"}).error().message, "unknown command \"membre\"; the nearest known command is member");
  EXPECT_EQ(line_.Parse({""}).error().message.find("unknown command \"\""), 0U);
}

TEST_F(CommandLineTest, HelpListsEverythingBySection) {
  const auto help = line_.Parse({"serve", "-ngl", "wrong", "--help"});
  ASSERT_TRUE(help) << help.error().message;
  ASSERT_TRUE(help->has_value());
  for (const char* part :
       {"Usage: toy serve [OPTIONS] [MODEL]", "--config", "\nHTTP server (server):\n", "\nThe llama.cpp engine (backend.llama_cpp):\n",
        "  -p, --port N                Port to listen on.\n", "(integer from 0 to 65535; default: 8080)",
        "(one of auto, llama_cpp, off; default: auto)", "--use-mmap, --mmap, --no-use-mmap, --no-mmap\n"}) {
    EXPECT_NE((*help)->find(part), std::string::npos) << part << "\nin\n" << **help;
  }
  EXPECT_TRUE((*help)->ends_with("\n") && !(*help)->ends_with("\n\n"));
  const auto root = line_.Parse({"--help"});
  ASSERT_TRUE(root && root->has_value());
  EXPECT_NE((*root)->find("serve"), std::string::npos);
  EXPECT_EQ((*root)->find("--port"), std::string::npos);
  const auto version = line_.Parse({"--version"});
  ASSERT_TRUE(version && version->has_value());
  EXPECT_EQ(**version, "toy 1.0\n");
}

TEST_F(CommandLineTest, CommandLineBeatsYamlBeatsDefault) {
  ASSERT_TRUE(line_.Parse({"serve", "-p", "3"}));
  ASSERT_TRUE(ApplyYamlText("server: {port: 2, num_threads: 2}", "c.yaml", table_));
  EXPECT_EQ(options_.port, 2);
  ASSERT_TRUE(line_.Apply());
  EXPECT_EQ(options_.port, 3);
  EXPECT_EQ(options_.num_threads, 2);
  EXPECT_EQ(options_.min_threads, 1);
  EXPECT_EQ(table_.Find("server.port")->source.Text(), "the command line");
  EXPECT_EQ(table_.Find("server.num_threads")->source.Text(), "c.yaml:1");
  EXPECT_EQ(table_.Find("server.min_threads")->source.Text(), "default");
}

using CommandLineDeathTest = CommandLineTest;

TEST_F(CommandLineDeathTest, RefusesAFlagThatTheCommandHasToo) {
  CLI::App* other = root_.add_subcommand("other", "Another");
  std::string port;
  other->add_option("--port", port, "Its own");
  EXPECT_DEATH(line_.Bind(*other, table_), "flag --port belongs to the command and to its option table");
}

}  // namespace
}  // namespace cllm
