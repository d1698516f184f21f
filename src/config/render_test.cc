#include "config/render.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "config/testing_options.h"
#include "config/yaml_config.h"

namespace cllm {
namespace {

std::vector<std::string> Lines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class RenderTest : public testing::Test {
 protected:
  // Applies text that must be good to a fresh set of options.
  static TestingOptions Loaded(const std::string& yaml) {
    TestingOptions options;
    OptionTable table = DeclareTestingOptions(options);
    const Status status = ApplyYamlText(yaml, "again.yaml", table);
    EXPECT_TRUE(status) << status.error().message << "\nin\n" << yaml;
    for (const ConfigOption& option : table.options()) {
      EXPECT_EQ(option.source.kind, ValueSource::Kind::kFile) << option.key << " is missing";
    }
    return options;
  }

  // Values that are easy to write so that they read back as something else.
  void SetOddValues() {
    options_.host = "yes";
    options_.path = "a \"b\" \\ # c: {d}\n\t\x1B\x7F \u4E2D\u0085\u2028\uFEFF 'e' ";
    options_.quantization = "8080";
    options_.type = "off";
    options_.n_threads = 17;
    options_.n_gpu_layers = 9999;
    options_.use_mmap = false;
    options_.tensor_split = {1e-9, 3, 0.1};
    options_.batch_timeout_ms = 1.0 / 3;
    options_.request_timeout = 1e300;
    options_.kv_cache_max_memory_mb = 1LL << 60;
  }

  TestingOptions options_;
  OptionTable table_ = DeclareTestingOptions(options_);
};

TEST_F(RenderTest, ExampleReadsBackWithoutAChange) { EXPECT_EQ(Loaded(RenderExampleYaml(table_)), TestingOptions()); }

TEST_F(RenderTest, ExampleShowsDefaultsHelpAndFlags) {
  SetOddValues();
  const std::string example = RenderExampleYaml(table_);
  const std::string expected =
      "# HTTP server\n"
      "server:\n"
      "  # Address to listen on.\n"
      "  # (text; --host)\n"
      "  host: \"127.0.0.1\"\n"
      "  # Port to listen on.\n"
      "  # (integer from 0 to 65535; -p --port)\n"
      "  port: 8080\n";
  EXPECT_NE(example.find(expected), std::string::npos) << example;
  EXPECT_NE(example.find("    tensor_split: [0.5, 0.5]\n"), std::string::npos) << example;
}

TEST_F(RenderTest, AStarterSetsWhatWasChosenAndNothingElse) {
  const std::vector<ChosenValue> chosen = {{"server.port", "81", "Eighty is taken."},
                                           {"backend.llama_cpp.n_threads", "3", "Three cores."},
                                           {"model.path", "\"a: #b\"", "The one there is."}};
  const std::string starter = RenderStarterYaml(table_, "For a test.", chosen);
  EXPECT_TRUE(
      starter.starts_with("# For a test.\n\n# HTTP server\nserver:\n"
                          "  # Address to listen on. (text)\n"
                          "  #host: \"127.0.0.1\"\n"
                          "  # Port to listen on. (integer from 0 to 65535)\n"
                          "  # Chosen: Eighty is taken.\n"
                          "  port: 81\n"))
      << starter;
  ASSERT_TRUE(ApplyYamlText(starter, "s.yaml", table_));
  TestingOptions expected;
  expected.port = 81;
  expected.n_threads = 3;
  expected.path = "a: #b";
  EXPECT_EQ(options_, expected);
  for (const ConfigOption& option : table_.options()) {
    EXPECT_EQ(option.source.kind == ValueSource::Kind::kFile, std::ranges::find(chosen, option.key, &ChosenValue::key) != chosen.end())
        << option.key;
  }
}

// Each commented key is one "#" away from being set.
TEST_F(RenderTest, AStarterWithoutItsMarksIsTheExample) {
  std::string starter = RenderStarterYaml(table_, "For a test.", {});
  for (std::size_t at = 0; (at = starter.find('#', at)) != std::string::npos; ++at) {
    if (starter[at + 1] != ' ') starter.erase(at, 1);
  }
  EXPECT_EQ(Loaded(starter), TestingOptions());
}

TEST_F(RenderTest, OddDefaultsSurviveTheExample) {
  SetOddValues();
  const TestingOptions odd = options_;
  OptionTable table = DeclareTestingOptions(options_);
  EXPECT_EQ(Loaded(RenderExampleYaml(table)), odd);
}

TEST_F(RenderTest, PrintConfigReadsBackToTheSameValues) {
  EXPECT_EQ(Loaded(RenderPrintConfig(table_)), options_);
  SetOddValues();
  EXPECT_EQ(Loaded(RenderPrintConfig(table_)), options_);
  options_.tensor_split.clear();
  options_.origins = {"8080", "~", "a: \"b\"", "\xE4\xB8\xAD"};
  EXPECT_EQ(Loaded(RenderPrintConfig(table_)), options_);
}

TEST_F(RenderTest, ASecretIsNotPrintedAndItsCopyIsNoConfiguration) {
  ASSERT_TRUE(table_.Set("access.keys", "sesame", ValueSource::CommandLine("--key")));
  const std::string text = RenderPrintConfig(table_);
  EXPECT_EQ(text.find("sesame"), std::string::npos) << text;
  EXPECT_NE(text.find("keys: <hidden>  "), std::string::npos) << text;
  const Status status = ApplyYamlText(text, "again.yaml", table_);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("access.keys: expected list of texts"), std::string::npos);
}

TEST_F(RenderTest, PrintConfigSaysWhereEachValueComesFrom) {
  ASSERT_TRUE(ApplyYamlText("\nserver: {port: 81}\n", "config.yaml", table_));
  ASSERT_TRUE(table_.Set("server.num_threads", "2", ValueSource::CommandLine("--num-threads")));
  const std::string text = RenderPrintConfig(table_);
  const std::string expected =
      "server:\n"
      "  host: \"127.0.0.1\"  # from default\n"
      "  port: 81           # from config.yaml:2\n"
      "  num_threads: 2     # from the command line\n"
      "  min_threads: 1     # from default\n"
      "model:\n";
  EXPECT_EQ(text.substr(0, expected.size()), expected);
  EXPECT_NE(text.find("backend:\n  type: auto  # from default\n  llama_cpp:\n    n_batch: 2048 "), std::string::npos) << text;
}

TEST_F(RenderTest, PrintConfigSurvivesAnOddFileName) {
  ASSERT_TRUE(ApplyYamlText("server: {port: 81}\n", "a\nb: \xFF", table_));
  EXPECT_EQ(Loaded(RenderPrintConfig(table_)), options_);
}

TEST_F(RenderTest, MarkdownHasOneRowPerOption) {
  const std::string page = RenderMarkdown(table_);
  const std::vector<std::string> lines = Lines(page);
  for (const ConfigOption& option : table_.options()) {
    const std::string start = "| `" + option.key + "` |";
    EXPECT_EQ(std::ranges::count_if(lines, [&](const std::string& l) { return l.starts_with(start); }), 1) << option.key;
  }
  for (const char* line :
       {"## HTTP server (`server`)", "| `server.port` | `-p`, `--port` | integer from 0 to 65535 | `8080` | Port to listen on. |",
        "| `server.host` | `--host` | text | `\"127.0.0.1\"` | Address to listen on. |",
        "| `backend.type` | `--type` | `auto`, `llama_cpp`, `off` | `auto` | Which engine \\| what else. |",
        "| `backend.llama_cpp.use_mmap` | `--use-mmap`, `--mmap`, `--no-use-mmap`, `--no-mmap` | true or false "
        "| `true` | Map the file. |",
        "| `scheduler.batch_timeout_ms` | `--batch-timeout-ms` | number from 0.0 to 60000.0, in ms | `5.0` "
        "| Longest wait for company. |"}) {
    EXPECT_EQ(std::ranges::count(lines, line), 1) << line << "\nin\n" << page;
  }
}

TEST_F(RenderTest, MarkdownIsTextWhateverTheHelpHolds) {
  int number = 0;
  table_.Section("extra", "Extra");
  table_.Int("extra.odd", &number, {.help = "A|b `c` *d* <e> [f] \\g."});
  const std::string page = RenderMarkdown(table_);
  EXPECT_NE(page.find("A\\|b \\`c\\` \\*d\\* \\<e> \\[f] \\\\g."), std::string::npos) << page;
}

TEST_F(RenderTest, DocumentationDoesNotDependOnPresentValues) {
  const std::string markdown = RenderMarkdown(table_);
  const std::string example = RenderExampleYaml(table_);
  const std::string help = RenderHelp(table_);
  SetOddValues();
  ASSERT_TRUE(table_.Set("server.port", "1", ValueSource::CommandLine("-p")));
  EXPECT_EQ(RenderMarkdown(table_), markdown);
  EXPECT_EQ(RenderExampleYaml(table_), example);
  EXPECT_EQ(RenderHelp(table_), help);
}

TEST_F(RenderTest, HelpNamesEveryFlagAndStaysNarrow) {
  std::string text = "word ";
  for (int i = 0; i < 100; ++i) text += "word ";
  int number = 0;
  table_.Section("extra", "Extra");
  table_.Int("extra.long_winded", &number, {.help = text});
  const std::string help = RenderHelp(table_);
  for (const ConfigOption& option : table_.options()) {
    for (const std::string& flag : option.flags) EXPECT_NE(help.find(flag), std::string::npos) << flag;
  }
  for (const std::string& line : Lines(help)) EXPECT_LE(line.size(), 100u) << line;
}

}  // namespace
}  // namespace cllm
