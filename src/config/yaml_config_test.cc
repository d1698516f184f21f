#include "config/yaml_config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "config/testing_options.h"

namespace cllm {
namespace {

using namespace std::string_literals;

constexpr const char* kIssueConfig = R"(server:    {host: "0.0.0.0", port: 8080, num_threads: 8, min_threads: 4}
model:     {path: "/path/to/model.gguf", max_context_length: 2048, quantization: "q4_k_m"}
backend:
  type: auto          # auto | llama_cpp (an engine of our own follows)
  llama_cpp: {n_batch: 512, n_threads: 4, n_gpu_layers: 99, n_seq_max: 8}
scheduler: {max_batch_size: 32, batch_timeout_ms: 500, request_timeout: 60.0}
)";

class YamlConfigTest : public testing::Test {
 protected:
  // The first problem, or nothing where the text was accepted.
  std::string Apply(std::string_view text) {
    const std::vector<ConfigProblem> problems = ReadYamlText(text, "c.yaml", table_);
    return problems.empty() ? "" : problems.front().error.message;
  }

  // All problems.
  std::vector<std::string> ApplyAll(std::string_view text) {
    std::vector<std::string> messages;
    for (const ConfigProblem& problem : ReadYamlText(text, "c.yaml", table_)) messages.push_back(problem.error.message);
    return messages;
  }

  TestingOptions options_;
  OptionTable table_ = DeclareTestingOptions(options_);
};

TEST_F(YamlConfigTest, TheIssuesConfigurationWorksAsItStands) {
  ASSERT_EQ(Apply(kIssueConfig), "");
  TestingOptions expected;
  expected.host = "0.0.0.0";
  expected.min_threads = 4;
  expected.path = "/path/to/model.gguf";
  expected.max_context_length = 2048;
  expected.quantization = "q4_k_m";
  expected.n_batch = 512;
  expected.n_threads = 4;
  expected.n_gpu_layers = 99;
  expected.n_seq_max = 8;
  expected.max_batch_size = 32;
  expected.batch_timeout_ms = 500;
  expected.request_timeout = 60;
  EXPECT_EQ(options_, expected);
  EXPECT_EQ(table_.Find("server.port")->source.Text(), "c.yaml:1");
  EXPECT_EQ(table_.Find("backend.type")->source.Text(), "c.yaml:4");
  EXPECT_EQ(table_.Find("backend.llama_cpp.n_seq_max")->source.Text(), "c.yaml:5");
  EXPECT_EQ(table_.Find("backend.llama_cpp.use_mmap")->source.Text(), "default");
}

TEST_F(YamlConfigTest, NothingToSetIsFine) {
  for (const char* text : {"", "\n", "# only a comment\n", "---\n", "{}", "~", "server:\n", "server: {}\n", "server: ~",
                           "backend:\n  llama_cpp:\n", "\xEF\xBB\xBFserver: {}\n"}) {
    EXPECT_EQ(Apply(text), "") << text;
  }
  EXPECT_EQ(options_, TestingOptions());
}

TEST_F(YamlConfigTest, DottedKeysListsAndWords) {
  EXPECT_EQ(Apply("server.port: 81\nbackend: {llama_cpp.n_batch: 7, type: off}\n"), "");
  EXPECT_EQ(options_.port, 81);
  EXPECT_EQ(options_.n_batch, 7);
  EXPECT_EQ(options_.type, "off");
  EXPECT_EQ(Apply("backend:\n  llama_cpp:\n    tensor_split:\n    - 3\n    - 1.5\n    use_mmap: no\n    n_threads: auto\n"), "");
  EXPECT_EQ(options_.tensor_split, (std::vector<double>{3, 1.5}));
  EXPECT_FALSE(options_.use_mmap);
  EXPECT_EQ(Apply("backend: {llama_cpp: {tensor_split: [], n_gpu_layers: \"all\"}}"), "");
  EXPECT_TRUE(options_.tensor_split.empty());
  EXPECT_EQ(options_.n_gpu_layers, 9999);
}

TEST_F(YamlConfigTest, UnknownKeysAreErrorsWithLineAndNearestKey) {
  EXPECT_EQ(Apply("server:\n  port: 1\nmax_batchsize: 3\n"),
            "c.yaml:3: unknown key \"max_batchsize\"; the nearest known key is \"scheduler.max_batch_size\"");
  EXPECT_EQ(Apply("\n\nn_batch: 3\n"), "c.yaml:3: unknown key \"n_batch\"; the nearest known key is \"backend.llama_cpp.n_batch\"");
  EXPECT_EQ(Apply("server: {\n  host: a,\n  prot: 3}\n"),
            "c.yaml:3: unknown key \"server.prot\"; the nearest known key is \"server.port\"");
  EXPECT_EQ(Apply("llama_cpp: {n_batch: 3}"), "c.yaml:1: unknown key \"llama_cpp\"; the nearest known key is \"backend.llama_cpp\"");
  EXPECT_EQ(Apply("sever:\n"), "c.yaml:1: unknown key \"sever\"; the nearest known key is \"server\"");
  EXPECT_EQ(Apply("tensor_split: [1]"),
            "c.yaml:1: unknown key \"tensor_split\"; the nearest known key is \"backend.llama_cpp.tensor_split\"");
  EXPECT_EQ(Apply("server: {port:8080}"), "c.yaml:1: unknown key \"server.port:8080\"; the nearest known key is \"server.port\"");
  EXPECT_EQ(Apply("\"\": 1").substr(0, 24), "c.yaml:1: unknown key \"\"");
}

TEST_F(YamlConfigTest, WrongTypesAreErrorsWithLineAndKey) {
  const std::string port = "server.port: expected integer from 0 to 65535, got ";
  EXPECT_EQ(Apply("server:\n  port: \"8080\"\n"), "c.yaml:2: " + port + "the quoted text \"8080\"");
  EXPECT_EQ(Apply("server:\n  port: '8080'\n"), "c.yaml:2: " + port + "the quoted text \"8080\"");
  EXPECT_EQ(Apply("server:\n  port: |\n    8080\n"), "c.yaml:2: " + port + "the quoted text \"8080\\n\"");
  EXPECT_EQ(Apply("server:\n  port: many\n"), "c.yaml:2: " + port + "\"many\"");
  EXPECT_EQ(Apply("server:\n  port: 80.0\n"), "c.yaml:2: " + port + "\"80.0\"");
  EXPECT_EQ(Apply("server:\n  port: 65536\n"), "c.yaml:2: " + port + "\"65536\"");
  EXPECT_EQ(Apply("server:\n  port: 99999999999999999999\n"), "c.yaml:2: " + port + "\"99999999999999999999\"");
  EXPECT_EQ(Apply("server:\n  port: [8080]\n"), "c.yaml:2: " + port + "a list");
  EXPECT_EQ(Apply("server:\n  port: {a: 1}\n"), "c.yaml:2: " + port + "a map");
  EXPECT_EQ(Apply("server:\n  port:\n  host: a\n"), "c.yaml:2: " + port + "no value");
  EXPECT_EQ(Apply("server:\n  port: null\n"), "c.yaml:2: " + port + "no value");
  EXPECT_EQ(Apply("server: 8080\n"), "c.yaml:1: server: expected keys below it, got \"8080\"");
  EXPECT_EQ(Apply("server: [8080]\n"), "c.yaml:1: server: expected keys below it, got a list");
  EXPECT_EQ(Apply("scheduler: {request_timeout: \"60\"}"),
            "c.yaml:1: scheduler.request_timeout: expected number of at least 0.001, in s, got the quoted text \"60\"");
  EXPECT_EQ(Apply("backend: {llama_cpp: {use_mmap: \"true\"}}"),
            "c.yaml:1: backend.llama_cpp.use_mmap: expected true or false, got the quoted text \"true\"");
  EXPECT_EQ(Apply("backend: {type: cuda}"), "c.yaml:1: backend.type: expected one of auto, llama_cpp, off, got \"cuda\"");
  TestingOptions beside;  // what is right beside a mistake is set
  beside.host = "a";
  EXPECT_EQ(options_, beside);
}

TEST_F(YamlConfigTest, TextMustReadAsText) {
  const std::string message = "c.yaml:1: model.path: expected text, got ";
  const std::string hint = " (write it in quotes if it is meant as text)";
  EXPECT_EQ(Apply("model: {path: 8080}"), message + "8080" + hint);
  EXPECT_EQ(Apply("model: {path: 1e3}"), message + "1e3" + hint);
  EXPECT_EQ(Apply("model: {path: true}"), message + "true" + hint);
  EXPECT_EQ(Apply("model: {path: }"), message + "no value");
  EXPECT_EQ(Apply("model: {path: [a]}"), message + "a list");
  EXPECT_EQ(Apply("model: {path: \"8080\"}"), "");
  EXPECT_EQ(options_.path, "8080");
  EXPECT_EQ(Apply("model: {path: /models/8b.gguf}\nserver: {host: 0.0.0.0}"), "");
  EXPECT_EQ(options_.path, "/models/8b.gguf");
  EXPECT_EQ(options_.host, "0.0.0.0");
}

TEST_F(YamlConfigTest, ListsHoldPlainNumbersOnly) {
  const std::string message = "c.yaml:1: backend.llama_cpp.tensor_split: expected list of numbers of at least 0.0, got ";
  const auto apply = [&](const std::string& list) { return Apply("backend: {llama_cpp: {tensor_split: " + list + "}}"); };
  EXPECT_EQ(apply("3"), message + "the single value \"3\" (a list is written [1, 2])");
  EXPECT_EQ(apply("[1, \"2\"]"), message + "the quoted text \"2\"");
  EXPECT_EQ(apply("[1, x]"), message + "the item \"x\"");
  EXPECT_EQ(apply("[1, -1]"), message + "the item \"-1\"");
  EXPECT_EQ(apply("[1, ~]"), message + "an empty item");
  EXPECT_EQ(apply("[1, [2]]"), message + "a list inside the list");
  EXPECT_EQ(apply("[1, {a: 2}]"), message + "a map inside the list");
  EXPECT_EQ(apply("[1, .inf]"), message + "the item \".inf\"");
  EXPECT_EQ(Apply("backend.llama_cpp.tensor_split:\n - 1,2\n"), message + "the item \"1,2\"");
  EXPECT_EQ(options_, TestingOptions());
}

TEST_F(YamlConfigTest, AListWithAnAliasIsNotSet) {
  EXPECT_EQ(ApplyAll("server: {port: &a 1}\nbackend: {llama_cpp: {tensor_split: [1, *a, 2]}}\n"),
            (std::vector<std::string>{"c.yaml:1: anchors (&name) are not supported", "c.yaml:2: aliases (*name) are not supported"}));
  EXPECT_EQ(options_.tensor_split, TestingOptions().tensor_split);
}

TEST_F(YamlConfigTest, ListsOfTextTakeTextPlainOrQuoted) {
  const std::string message = "c.yaml:1: access.origins: expected list of texts that are not empty, got ";
  const auto apply = [&](const std::string& list) { return Apply("access: {origins: " + list + "}"); };
  EXPECT_EQ(apply("[http://a:80, \"80\", 'b,c', \"*\"]"), "");
  EXPECT_EQ(options_.origins, (std::vector<std::string>{"http://a:80", "80", "b,c", "*"}));
  EXPECT_EQ(Apply("access:\n  origins:\n    - x\n"), "");
  EXPECT_EQ(options_.origins, std::vector<std::string>{"x"});
  EXPECT_EQ(apply("[80]"), message + "80 (write it in quotes if it is meant as text)");
  EXPECT_EQ(apply("[\"\"]"), message + "an empty item");
  EXPECT_EQ(apply("[a, [b]]"), message + "a list inside the list");
  EXPECT_EQ(apply("a"), message + "the single value \"a\" (a list is written [1, 2])");
  EXPECT_EQ(options_.origins, std::vector<std::string>{"x"});
  EXPECT_EQ(Apply("access: {keys: sesame}").find("sesame"), std::string::npos);
  EXPECT_EQ(Apply("access: {keys: [123456]}").find("123456"), std::string::npos);
}

TEST_F(YamlConfigTest, DuplicateKeysAreErrors) {
  EXPECT_EQ(Apply("server:\n  port: 1\n  host: a\n  port: 1\n"), "c.yaml:4: key \"server.port\" is set twice, first in line 2");
  EXPECT_EQ(Apply("server: {}\nmodel: {}\nserver: {}\n"), "c.yaml:3: key \"server\" is set twice, first in line 1");
  EXPECT_EQ(Apply("server.port: 1\nserver: {port: 2}\n"), "c.yaml:2: key \"server.port\" is set twice, first in line 1");
  // A second file may set it again.
  EXPECT_EQ(Apply("server: {port: 2}"), "");
}

TEST_F(YamlConfigTest, OnlyPlainDocumentsAreSupported) {
  EXPECT_EQ(Apply("server: &a {port: 1}\n"), "c.yaml:1: anchors (&name) are not supported");
  EXPECT_EQ(Apply("server:\n  port: &p 1\n  num_threads: *p\n"), "c.yaml:2: anchors (&name) are not supported");
  EXPECT_EQ(Apply("server:\n  port: !!int \"1\"\n"), "c.yaml:2: tags (!name) are not supported");
  EXPECT_EQ(Apply("server: {port: 1}\n---\nmodel: {}\n"), "c.yaml:2: the configuration ended above; a second document is not allowed");
  EXPECT_EQ(Apply(","), "c.yaml:1: the configuration ended above; a second document is not allowed");
  EXPECT_EQ(Apply("server:\n%  port: 1\n"), "c.yaml:2: directives (%NAME) are not supported");
  EXPECT_EQ(Apply("...\nserver: {port: 1}\n").substr(0, 29), "c.yaml:2: the configuration e");
  EXPECT_EQ(Apply("just text\n"), "c.yaml:1: expected \"key: value\", got \"just text\"");
  EXPECT_EQ(Apply("- a\n- b\n"), "c.yaml:1: expected \"key: value\", got a list");
  EXPECT_EQ(Apply("? {a: b}\n: 1\n"), "c.yaml:1: a map cannot be a key");
  EXPECT_EQ(Apply("? [a]\n: 1\n"), "c.yaml:1: a list cannot be a key");
  EXPECT_EQ(Apply("~: 1\n"), "c.yaml:1: a key is missing");
}

TEST_F(YamlConfigTest, SyntaxErrorsHaveALine) {
  EXPECT_EQ(Apply("server: {port: 1}\nmodel: {a b\n").substr(0, 9), "c.yaml:2:");
  EXPECT_NE(Apply("server:\n  port: 1\nscheduler: {request_timeout: 1\n").find("not valid YAML:"), std::string::npos);
  EXPECT_EQ(Apply("server:\n  port: 1\n bad indent: 2\n").substr(0, 29), "c.yaml:3:2: not valid YAML: e");
  EXPECT_EQ(Apply("server:\n\tport: 1\n"), "c.yaml:2: a tab in the indentation; use blanks");
  EXPECT_EQ(Apply("server:\n  port:\t1\t# tab\n\t# tab\n\t\n\t\r\n"), "");
  EXPECT_NE(Apply("server: *nowhere\n"), "");
  EXPECT_NE(Apply("server: {host: \"open\n"), "");
  // What is wrong first is reported, although the parser gives up later.
  EXPECT_EQ(Apply("server: {port: x}\nmodel: [1\n").substr(0, 22), "c.yaml:1: server.port:");
}

TEST_F(YamlConfigTest, AllProblemsAreFoundAndWhatIsRightIsSet) {
  const std::vector<std::string> expected = {
      "c.yaml:2: unknown key \"server.prot\"; the nearest known key is \"server.port\"",
      "c.yaml:4: server.num_threads: expected integer from 1 to 256, got \"0\"",
      "c.yaml:5: unknown key \"server.tls\"; the nearest known key is \"server\"",
      "c.yaml:8: backend.type: expected one of auto, llama_cpp, off, got \"cuda\"",
      "c.yaml:9: backend.llama_cpp.tensor_split: expected list of numbers of at least 0.0, got the item \"x\"",
      "c.yaml:10: key \"model\" is set twice, first in line 7",
      "c.yaml:11: anchors (&name) are not supported",
      "c.yaml:12: aliases (*name) are not supported",
      "c.yaml:13: scheduler.request_timeout: expected number of at least 0.001, in s, got \"soon\""};
  EXPECT_EQ(ApplyAll("server:\n"
                     "  prot: 1\n"
                     "  host: here\n"
                     "  num_threads: 0\n"
                     "  tls: {certificate: [a, {b: c}], port: x}\n"
                     "  port: 81\n"
                     "model: {path: /a}\n"
                     "backend: {type: cuda, llama_cpp: {n_batch: 7}}\n"
                     "backend.llama_cpp.tensor_split: [1, x, 2]\n"
                     "model: {quantization: q8}\n"
                     "scheduler.max_batch_size: &a 3\n"
                     "scheduler.batch_timeout_ms: *a\n"
                     "scheduler: {request_timeout: soon}\n"),
            expected);
  TestingOptions right;
  right.host = "here";
  right.port = 81;
  right.path = "/a";
  right.n_batch = 7;
  right.quantization = "q8";
  right.max_batch_size = 3;
  EXPECT_EQ(options_, right);
}

// What is no key takes its value with it, and the keys behind it are read as ever.
TEST_F(YamlConfigTest, ReadsOnBehindWhatIsSkipped) {
  EXPECT_EQ(
      ApplyAll("? [a, {b: c}]\n: {server: {port: x}}\n? {a: [b]}\n: [x]\n~: y\nserver: {port: 7}\n"),
      (std::vector<std::string>{"c.yaml:1: a list cannot be a key", "c.yaml:3: a map cannot be a key", "c.yaml:5: a key is missing"}));
  EXPECT_EQ(options_.port, 7);
  EXPECT_EQ(ApplyAll("server: [[1], {port: 3}]\nmodel: {path: [a, [b]], quantization: q4}\n"),
            (std::vector<std::string>{"c.yaml:1: server: expected keys below it, got a list",
                                      "c.yaml:2: model.path: expected text, got a list"}));
  EXPECT_EQ(options_.quantization, "q4");
  EXPECT_EQ(ApplyAll("backend.llama_cpp.tensor_split: [1, [2, [3]], {a: [b]}, ~, 4]\nserver: {port: 8}\n").size(), 3u);
  EXPECT_EQ(options_.port, 8);
  EXPECT_EQ(options_.tensor_split, TestingOptions().tensor_split);
}

TEST_F(YamlConfigTest, GoesOnBehindASyntaxErrorAtTheNextKnownSection) {
  const std::vector<std::string> found =
      ApplyAll("server:\n  prot: 1\n bad indent: 2\nhost: x\nmodel:\n  pth: a\nbackend: ]\nscheduler: {max_batch_size: x}\n");
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(found[0].substr(0, 35), "c.yaml:2: unknown key \"server.prot\"");
  EXPECT_EQ(found[1].substr(0, 28), "c.yaml:3:2: not valid YAML: ");
  EXPECT_EQ(found[2].substr(0, 33), "c.yaml:6: unknown key \"model.pth\"");
  EXPECT_EQ(found[3].substr(0, 29), "c.yaml:7:10: not valid YAML: ");
  EXPECT_EQ(found[4].substr(0, 36), "c.yaml:8: scheduler.max_batch_size: ");
}

TEST_F(YamlConfigTest, GoesOnBehindASyntaxErrorInAListOrAtADottedKey) {
  EXPECT_EQ(ApplyAll("backend:\n  llama_cpp:\n    tensor_split: [1, }\nserver:\n  port: 81\n").size(), 1u);
  EXPECT_EQ(options_.port, 81);
  EXPECT_EQ(ApplyAll("model: ]\nserver.port: 82\n").size(), 1u);
  EXPECT_EQ(options_.port, 82);
}

TEST_F(YamlConfigTest, LinesThatNoParserIsGivenHideNoOthers) {
  EXPECT_EQ(ApplyAll("server:\n\tport: 1\nmodel: {pth: a}\n%x\nserver.host: 3\n"),
            (std::vector<std::string>{"c.yaml:2: a tab in the indentation; use blanks",
                                      "c.yaml:3: unknown key \"model.pth\"; the nearest known key is \"model.path\"",
                                      "c.yaml:4: directives (%NAME) are not supported",
                                      "c.yaml:5: server.host: expected text, got 3 (write it in quotes if it is meant as text)"}));
}

TEST_F(YamlConfigTest, SaysEveryLineThatNoParserIsGiven) {
  EXPECT_EQ(ApplyAll("%YAML 1.2\nserver:\n\tport: x\n\thost: y\n"),
            (std::vector<std::string>{"c.yaml:1: directives (%NAME) are not supported", "c.yaml:3: a tab in the indentation; use blanks",
                                      "c.yaml:4: a tab in the indentation; use blanks"}));
}

TEST_F(YamlConfigTest, TheNumberOfProblemsIsBounded) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text.append(1, 'k').append(std::to_string(i)).append(": 1\n");
  const std::vector<std::string> many = ApplyAll(text);
  ASSERT_EQ(many.size(), kMostConfigProblems + 1);
  EXPECT_EQ(many.front().substr(0, 24), "c.yaml:1: unknown key \"k");
  EXPECT_EQ(many.back(), "c.yaml: more than 100 problems; the rest is not shown");
  std::string broken;
  for (int i = 0; i < 20000; ++i) broken += "server: ]\n";
  EXPECT_EQ(ApplyAll(broken).size(), kMostConfigProblems + 1);
}

TEST_F(YamlConfigTest, OneErrorHoldsAllProblemsAsLines) {
  const Status status = ApplyYamlText("server: {port: x}\nmodel: {path: 3}\n", "c.yaml", table_);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().field, "server.port");
  EXPECT_EQ(status.error().message,
            "c.yaml:1: server.port: expected integer from 0 to 65535, got \"x\"\n"
            "c.yaml:2: model.path: expected text, got 3 (write it in quotes if it is meant as text)");
}

TEST_F(YamlConfigTest, RefusesBytesThatAreNoText) {
  EXPECT_EQ(Apply("server:\n  host: \"\xFF\"\n"), "c.yaml:2: not valid UTF-8");
  EXPECT_EQ(Apply("\xFF\xFEs\0e\0"s), "c.yaml:1: not valid UTF-8");
  EXPECT_EQ(Apply("\n\0\0\0s"s), "c.yaml:2: contains a control character");
  // The parser would take this byte for the end of the file and lose what follows.
  EXPECT_EQ(Apply("server: {}\n\x04\nbogus: 1\n"), "c.yaml:2: contains a control character");
  EXPECT_EQ(Apply("server: {host: \"a\x7F\"}\n"), "c.yaml:1: contains a control character");
  EXPECT_EQ(Apply("model: {path: \"a\\0b\"}"), "c.yaml:1: model.path: expected text, got \"a\\x00b\", which is not valid UTF-8 text");
}

TEST_F(YamlConfigTest, LimitsTheSize) {
  const std::string spaces(1 << 20, ' ');
  EXPECT_EQ(Apply(spaces), "");
  EXPECT_EQ(Apply(spaces + " "), "c.yaml: larger than 1048576 bytes, which is no configuration");
}

// Crashes, endless loops and exceptions that escape end the test program; what is said matters less here.
TEST_F(YamlConfigTest, SurvivesHostileFiles) {
  for (const char* unit :
       {"[", "{", "{a: ", "- ", "? ",  "a: ", "[[]", "&a ", "*a ", "!",   "\"",    "'",     "|\n", "%", "--- ",
        ",", "]", "}",    "a,", "{a,", ": ",  "\n",  "\t",  "\r",  "#\n", "---\n", "...\n", "a\n", "x", "\xE4\xB8\xAD"}) {
    std::string text;
    while (text.size() < (1 << 16)) text += unit;
    for (const char* start : {"", "server: ", "server: [", "server: {", "server: \"", "server: |\n ", "? "}) {
      (void)Apply(start + text);
    }
  }
  EXPECT_LT(Apply("? " + std::string(1 << 16, 'x')).size(), 300u);
  std::string bomb = "a: &a [x, x]\n";
  for (char c = 'b'; c <= 'z'; ++c) bomb += c + ": &"s + c + " [*"s + char(c - 1) + ", *"s + char(c - 1) + "]\n";
  EXPECT_EQ(Apply(bomb), "c.yaml:1: anchors (&name) are not supported");
}

TEST_F(YamlConfigTest, SurvivesEveryCutAndRandomDamage) {
  const std::string text = kIssueConfig;
  for (std::size_t end = 0; end <= text.size(); ++end) (void)Apply(text.substr(0, end));
  std::mt19937 random(1);
  const std::string bytes = "{}[]:,#&*!|>'\"%@`-? \n\t~\\ab01.\x80\xE4";
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = text;
    for (int edit = 0; edit < 4; ++edit) damaged[random() % damaged.size()] = bytes[random() % bytes.size()];
    (void)Apply(damaged);
  }
}

class YamlFileTest : public YamlConfigTest {
 protected:
  YamlFileTest() {
    std::string pattern = testing::TempDir() + "yaml_config_test_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~YamlFileTest() override { std::filesystem::remove_all(folder_); }

  std::string Load(const std::string& path) {
    const std::vector<ConfigProblem> problems = ReadYamlFile(path, table_);
    return problems.empty() ? "" : problems.front().error.message;
  }
  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << text;
    return folder_ + "/" + name;
  }

  std::string folder_;
};

TEST_F(YamlFileTest, LoadsAndNamesTheFileAsGiven) {
  const std::string path = Write("config.yaml", kIssueConfig);
  EXPECT_EQ(Load(path), "");
  EXPECT_EQ(options_.n_batch, 512);
  EXPECT_EQ(table_.Find("backend.type")->source.Text(), path + ":4");
  const std::string wrong = Write("wrong.yaml", "server:\n  port: x\n");
  EXPECT_EQ(Load(wrong), wrong + ":2: server.port: expected integer from 0 to 65535, got \"x\"");
}

TEST_F(YamlFileTest, RefusesWhatIsNoReadableFile) {
  EXPECT_EQ(Load(folder_ + "/absent"), folder_ + "/absent: cannot open the configuration file: No such file or directory");
  EXPECT_EQ(Load(folder_), folder_ + ": is a directory, not a file");
  EXPECT_EQ(Load(""), ": cannot open the configuration file: No such file or directory");
  EXPECT_EQ(Load(Write("full", std::string(1 << 20, '\n'))), "");
  const std::string large = Write("large", std::string((1 << 20) + 1, '\n'));
  EXPECT_EQ(Load(large), large + ": larger than 1048576 bytes, which is no configuration");
  EXPECT_EQ(Load("/dev/zero"), "/dev/zero: larger than 1048576 bytes, which is no configuration");
}

// Each map of a list is read by a table of its own.
class YamlListTest : public testing::Test {
 protected:
  struct Item {
    std::string name;
    int size = 1;
    std::vector<std::string> aliases;
    OptionTable table;
  };

  std::vector<std::string> Read(std::string_view text) {
    items_.clear();
    std::vector<std::string> messages;
    const auto problems = ReadYamlListText(text, "l.yaml", [this]() -> YamlItem {
      Item& item = *items_.emplace_back(std::make_unique<Item>());
      item.table.Section("item", "Item");
      item.table.String("item.name", &item.name, {});
      item.table.Int("item.size", &item.size, {.min = 1, .max = 9});
      item.table.StringList("item.aliases", &item.aliases, {});
      return {&item.table, "item"};
    });
    for (const ConfigProblem& problem : problems) messages.push_back(problem.error.message);
    return messages;
  }

  std::vector<std::unique_ptr<Item>> items_;
};

TEST_F(YamlListTest, EachMapIsAnItem) {
  EXPECT_EQ(Read("- name: a\n  size: 2\n- {name: b, aliases: [c, \"d*\"]}\n"), std::vector<std::string>{});
  ASSERT_EQ(items_.size(), 2);
  EXPECT_EQ(items_[0]->name, "a");
  EXPECT_EQ(items_[0]->size, 2);
  EXPECT_EQ(items_[0]->table.Find("item.size")->source.Text(), "l.yaml:2");
  EXPECT_EQ(items_[1]->name, "b");
  EXPECT_EQ(items_[1]->size, 1);
  EXPECT_EQ(items_[1]->aliases, (std::vector<std::string>{"c", "d*"}));
  EXPECT_EQ(Read(""), std::vector<std::string>{});
  EXPECT_TRUE(items_.empty());
}

TEST_F(YamlListTest, WhatIsWrongIsSaidWithItsLine) {
  EXPECT_EQ(Read("- name: a\n- size: 10\n  nmae: b\n- [x]\n- name: c\n"),
            (std::vector<std::string>{"l.yaml:2: item.size: expected integer from 1 to 9, got \"10\"",
                                      "l.yaml:3: unknown key \"item.nmae\"; the nearest known key is \"item.name\"",
                                      "l.yaml:4: expected a map, got a list"}));
  EXPECT_EQ(items_.back()->name, "c");
  EXPECT_EQ(Read("name: a\nsize: 2\n"), std::vector<std::string>{"l.yaml:1: expected a list of maps, got a map"});
  EXPECT_EQ(Read("a"), std::vector<std::string>{"l.yaml:1: expected a list of maps, got \"a\""});
  EXPECT_EQ(Read("- {name: a}\n---\n- {name: b}\n"),
            std::vector<std::string>{"l.yaml:2: the list ended above; a second document is not allowed"});
  EXPECT_TRUE(Read("- name: [").back().contains("not valid YAML"));
  EXPECT_EQ(Read("- *a\n").size(), 1);
}

}  // namespace
}  // namespace cllm
