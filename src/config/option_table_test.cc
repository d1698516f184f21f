#include "config/option_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/testing_options.h"

namespace cllm {
namespace {

using namespace std::string_literals;

class OptionTableTest : public testing::Test {
 protected:
  std::string MessageOf(const Status& status) { return status ? "" : status.error().message; }
  std::string SetMessage(std::string_view key, std::string_view text) { return MessageOf(table_.Set(key, text, {})); }

  TestingOptions options_;
  OptionTable table_ = DeclareTestingOptions(options_);
};

TEST_F(OptionTableTest, DerivesFlagsAndOrdersThem) {
  EXPECT_EQ(table_.Find("backend.llama_cpp.n_batch")->flags, (std::vector<std::string>{"-b", "--n-batch", "--batch-size"}));
  EXPECT_EQ(table_.Find("model.path")->flags, (std::vector<std::string>{"-m", "--path", "--model"}));
  EXPECT_EQ(table_.Find("scheduler.request_timeout")->flags, (std::vector<std::string>{"--request-timeout"}));
  EXPECT_EQ(table_.FindFlag("-ngl").option, table_.Find("backend.llama_cpp.n_gpu_layers"));
  EXPECT_EQ(table_.FindFlag("--n_batch").option, nullptr);
  EXPECT_EQ(table_.FindFlag("n-batch").option, nullptr);
}

TEST_F(OptionTableTest, TheSecondOptionOfANameHasItsSectionInTheFlag) {
  int number = 0;
  table_.Section("access.inner", "More");
  table_.Int("access.inner.max_batch_size", &number, {.help = "Again."});
  EXPECT_EQ(table_.Find("access.inner.max_batch_size")->flags, std::vector<std::string>{"--access-inner-max-batch-size"});
}

TEST_F(OptionTableTest, BooleansHaveNegativeFlags) {
  const ConfigOption* mmap = table_.Find("backend.llama_cpp.use_mmap");
  EXPECT_EQ(mmap->NegativeFlags(), (std::vector<std::string>{"--no-use-mmap", "--no-mmap"}));
  EXPECT_FALSE(table_.FindFlag("--mmap").negative);
  EXPECT_EQ(table_.FindFlag("--no-mmap").option, mmap);
  EXPECT_TRUE(table_.FindFlag("--no-mmap").negative);
  EXPECT_EQ(table_.FindFlag("--no-port").option, nullptr);
}

TEST_F(OptionTableTest, KeepsDefaultsAsDeclared) {
  EXPECT_TRUE(table_.Set("server.port", "1", {}));
  EXPECT_EQ(table_.Find("server.port")->default_text, "8080");
  EXPECT_EQ(table_.Find("server.port")->ValueText(), "1");
  EXPECT_EQ(table_.Find("scheduler.request_timeout")->default_text, "30.0");
  EXPECT_EQ(table_.Find("server.host")->default_text, "\"127.0.0.1\"");
  EXPECT_EQ(table_.Find("backend.llama_cpp.n_threads")->default_text, "auto");
  EXPECT_EQ(table_.Find("backend.llama_cpp.tensor_split")->default_text, "[0.5, 0.5]");
  EXPECT_EQ(table_.Find("backend.type")->default_text, "auto");
}

TEST_F(OptionTableTest, SetsEachTypeAndItsSource) {
  const ValueSource source = ValueSource::File("c.yaml", 7);
  EXPECT_TRUE(table_.Set("server.port", "0", source));
  EXPECT_TRUE(table_.Set("server.host", "", source));
  EXPECT_TRUE(table_.Set("backend.type", "llama_cpp", source));
  EXPECT_TRUE(table_.Set("backend.llama_cpp.use_mmap", "Off", source));
  EXPECT_TRUE(table_.Set("backend.llama_cpp.tensor_split", "3,1.5", source));
  EXPECT_TRUE(table_.Set("scheduler.batch_timeout_ms", "1e2", source));
  EXPECT_TRUE(table_.Set("resources.kv_cache_max_memory_mb", "9223372036854775807", source));
  EXPECT_EQ(options_.port, 0);
  EXPECT_EQ(options_.host, "");
  EXPECT_EQ(options_.type, "llama_cpp");
  EXPECT_FALSE(options_.use_mmap);
  EXPECT_EQ(options_.tensor_split, (std::vector<double>{3, 1.5}));
  EXPECT_EQ(options_.batch_timeout_ms, 100);
  EXPECT_EQ(options_.kv_cache_max_memory_mb, std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(table_.Find("server.port")->source, source);
  EXPECT_EQ(table_.Find("backend.llama_cpp.tensor_split")->source, source);
  EXPECT_EQ(table_.Find("server.min_threads")->source, ValueSource());
}

TEST_F(OptionTableTest, NamedValuesStandForNumbers) {
  EXPECT_TRUE(table_.Set("backend.llama_cpp.n_threads", "4", {}));
  EXPECT_TRUE(table_.Set("backend.llama_cpp.n_threads", "auto", {}));
  EXPECT_EQ(options_.n_threads, -1);
  EXPECT_EQ(SetMessage("backend.llama_cpp.n_threads", "-1"),
            "backend.llama_cpp.n_threads: expected integer from 1 to 512, or auto, got \"-1\"");
  EXPECT_NE(SetMessage("backend.llama_cpp.n_threads", "Auto"), "");
}

TEST_F(OptionTableTest, RefusesIntegersThatAreNotWhollyOne) {
  for (const char* text : {"", " 1", "1 ", "1x", "0x10", "1.0", "1e3", "+1", "01", "-01", "--1", "-", "1_000", "auto", "4294967297",
                           "99999999999999999999999"}) {
    EXPECT_EQ(SetMessage("server.port", text), "server.port: expected integer from 0 to 65535, got \"" + std::string(text) + '"');
  }
  EXPECT_EQ(options_.port, 8080);
  EXPECT_EQ(table_.Find("server.port")->source.kind, ValueSource::Kind::kDefault);
}

TEST_F(OptionTableTest, ChecksBoundsInclusively) {
  EXPECT_TRUE(table_.Set("server.port", "65535", {}));
  EXPECT_NE(SetMessage("server.port", "65536"), "");
  EXPECT_NE(SetMessage("server.port", "-1"), "");
  // An int option without an upper bound ends where int does.
  EXPECT_TRUE(table_.Set("model.max_context_length", "2147483647", {}));
  EXPECT_EQ(SetMessage("model.max_context_length", "2147483648"),
            "model.max_context_length: expected integer of at least 1, in tokens, got \"2147483648\"");
  EXPECT_TRUE(table_.Set("scheduler.batch_timeout_ms", "60000", {}));
  EXPECT_EQ(SetMessage("scheduler.batch_timeout_ms", "60000.001"),
            "scheduler.batch_timeout_ms: expected number from 0.0 to 60000.0, in ms, got \"60000.001\"");
  EXPECT_TRUE(table_.Set("scheduler.batch_timeout_ms", "0", {}));
  EXPECT_NE(SetMessage("scheduler.batch_timeout_ms", "-0.001"), "");
  EXPECT_NE(SetMessage("resources.kv_cache_max_memory_mb", "9223372036854775808"), "");
}

TEST_F(OptionTableTest, RefusesNumbersThatAreNotFiniteOrNotWhollyOne) {
  for (const char* text : {"", "nan", "inf", "-inf", "infinity", "1e999", "1.0s", "1,5", " 1", "0x1p3", "1e", "."}) {
    EXPECT_NE(SetMessage("scheduler.request_timeout", text), "") << text;
  }
  EXPECT_EQ(options_.request_timeout, 30);
}

TEST_F(OptionTableTest, BooleansTakeSixWords) {
  for (const char* text : {"true", "yes", "on", "TRUE", "On"}) {
    options_.use_mmap = false;
    EXPECT_TRUE(table_.Set("backend.llama_cpp.use_mmap", text, {}));
    EXPECT_TRUE(options_.use_mmap) << text;
  }
  for (const char* text : {"false", "no", "off", "No"}) {
    options_.use_mmap = true;
    EXPECT_TRUE(table_.Set("backend.llama_cpp.use_mmap", text, {}));
    EXPECT_FALSE(options_.use_mmap) << text;
  }
  for (const char* text : {"", "1", "0", "t", "truee", "null"}) {
    EXPECT_EQ(SetMessage("backend.llama_cpp.use_mmap", text),
              "backend.llama_cpp.use_mmap: expected true or false, got \"" + std::string(text) + '"');
  }
}

TEST_F(OptionTableTest, EnumsTakeTheirChoicesOnly) {
  EXPECT_EQ(SetMessage("backend.type", "AUTO"), "backend.type: expected one of auto, llama_cpp, off, got \"AUTO\"");
  EXPECT_EQ(SetMessage("backend.type", ""), "backend.type: expected one of auto, llama_cpp, off, got \"\"");
}

TEST_F(OptionTableTest, TextIsUtf8WithoutZeroBytes) {
  EXPECT_TRUE(table_.Set("model.path", "/\u6A21\u578B.gguf", {}));
  EXPECT_EQ(SetMessage("model.path", "a\xFF"), R"(model.path: expected text, got "a\xff", which is not valid UTF-8 text)");
  EXPECT_NE(SetMessage("model.path", "a\0b"s), "");
  EXPECT_EQ(options_.path, "/\u6A21\u578B.gguf");
}

TEST_F(OptionTableTest, ListsAreSetWholeOrNotAtAll) {
  EXPECT_EQ(SetMessage("backend.llama_cpp.tensor_split", "1,x"),
            "backend.llama_cpp.tensor_split: expected list of numbers of at least 0.0, got the item \"x\"");
  for (const char* text : {"1,", ",1", ",", "1,,2", "1, 2", "1,-1", "1,nan"}) {
    EXPECT_NE(SetMessage("backend.llama_cpp.tensor_split", text), "") << text;
  }
  EXPECT_EQ(options_.tensor_split, (std::vector<double>{0.5, 0.5}));
  EXPECT_TRUE(table_.Set("backend.llama_cpp.tensor_split", "", {}));
  EXPECT_TRUE(options_.tensor_split.empty());
  const std::vector<std::string> items = {"1,2"};
  EXPECT_FALSE(table_.SetList("backend.llama_cpp.tensor_split", items, {}));
  EXPECT_FALSE(table_.SetList("server.port", items, {}));
}

TEST_F(OptionTableTest, ListsOfTextHoldTextThatIsNotEmpty) {
  EXPECT_EQ(table_.Find("access.origins")->default_text, R"(["a b", "c"])");
  EXPECT_TRUE(table_.Set("access.origins", "https://a, b,8080", {}));
  EXPECT_EQ(options_.origins, (std::vector<std::string>{"https://a", " b", "8080"}));
  EXPECT_EQ(SetMessage("access.origins", "a,,b"), "access.origins: expected list of texts that are not empty, got an empty item");
  for (const std::string& text : {","s, "a,"s, "a\xFF"s, "a\0b"s}) EXPECT_NE(SetMessage("access.origins", text), "");
  EXPECT_EQ(options_.origins.size(), 3u);
  const std::vector<std::string> items = {"1,2", "\"x\""};
  EXPECT_TRUE(table_.SetList("access.origins", items, {}));
  EXPECT_EQ(options_.origins, items);
  EXPECT_EQ(table_.Find("access.origins")->ValueText(), R"(["1,2", "\"x\""])");
  EXPECT_TRUE(table_.Set("access.origins", "", {}));
  EXPECT_TRUE(options_.origins.empty());
}

TEST_F(OptionTableTest, SecretsAreShownNowhere) {
  const ValueSource source = ValueSource::Environment("CLLM_API_KEY");
  EXPECT_EQ(table_.Find("access.keys")->ValueText(), "[]");
  EXPECT_TRUE(table_.Set("access.keys", "sesame,open", source));
  EXPECT_EQ(options_.keys, (std::vector<std::string>{"sesame", "open"}));
  EXPECT_EQ(table_.Find("access.keys")->ValueText(), "<hidden>");
  EXPECT_EQ(table_.Find("access.keys")->source.Text(), "the environment (CLLM_API_KEY)");
  const std::string message = MessageOf(table_.Set("access.keys", "sesame\xFF", source));
  EXPECT_TRUE(message.starts_with("CLLM_API_KEY (access.keys): expected list")) << message;
  EXPECT_EQ(message.find("sesame"), std::string::npos);
}

TEST_F(OptionTableTest, MessagesNameTheSource) {
  const auto message = [&](const ValueSource& source) { return MessageOf(table_.Set("server.port", "x", source)); };
  EXPECT_EQ(message(ValueSource::File("a/c.yaml", 3)), "a/c.yaml:3: server.port: expected integer from 0 to 65535, got \"x\"");
  EXPECT_EQ(message(ValueSource::CommandLine("-p")), "-p (server.port): expected integer from 0 to 65535, got \"x\"");
  EXPECT_EQ(ValueSource::File("a/c.yaml", 3).Text(), "a/c.yaml:3");
  EXPECT_EQ(ValueSource::File("a\nb", 3).Text(), R"("a\nb":3)");
  EXPECT_EQ(ValueSource::CommandLine("-p").Text(), "the command line");
  EXPECT_EQ(ValueSource().Text(), "default");
  EXPECT_EQ(table_.Set("server.port", "x", {}).error().field, "server.port");
}

TEST_F(OptionTableTest, UnknownKeysGetTheNearestKnownOne) {
  const auto nearest = [&](std::string_view key, OptionTable::Candidates candidates) {
    const std::string message = table_.UnknownKey(key, candidates, {}).error().message;
    const std::string marker = "; the nearest known key is \"";
    const std::size_t at = message.find(marker);
    return at == std::string::npos ? message : message.substr(at + marker.size());
  };
  using enum OptionTable::Candidates;
  EXPECT_EQ(nearest("max_batchsize", kOptions), "scheduler.max_batch_size\"");
  EXPECT_EQ(nearest("n_batch", kOptions), "backend.llama_cpp.n_batch\"");
  EXPECT_EQ(nearest("scheduler.n_batch", kOptions), "backend.llama_cpp.n_batch\"");
  EXPECT_EQ(nearest("backend.n_threads", kOptions), "backend.llama_cpp.n_threads\"");
  EXPECT_EQ(nearest("server.prot", kOptions), "server.port\"");
  EXPECT_EQ(nearest("server.min-threads", kOptions), "server.min_threads\"");
  EXPECT_EQ(nearest("sever.port", kOptions), "server.port\"");
  EXPECT_EQ(nearest("sever", kSections), "server\"");
  EXPECT_EQ(nearest("llama_cpp", kSections), "backend.llama_cpp\"");
  EXPECT_EQ(nearest("typ", kBoth), "backend.type\"");
  EXPECT_EQ(SetMessage("prot", "1"), "unknown key \"prot\"; the nearest known key is \"server.port\"");
  EXPECT_LT(SetMessage(std::string(1 << 20, 'x'), "1").size(), 200u);
  EXPECT_EQ(OptionTable().Set("a", "1", {}).error().message, "unknown key \"a\"");
}

TEST(OptionTable, OfTwoKeysAsNearTheOneInTheSameSectionIsMeant) {
  int left = 0, heft = 0;
  OptionTable table;
  table.Section("a", "A");
  table.Int("a.left", &left, {});
  table.Section("b", "B");
  table.Int("b.heft", &heft, {});
  EXPECT_EQ(table.Set("b.weft", "1", {}).error().message, "unknown key \"b.weft\"; the nearest known key is \"b.heft\"");
  EXPECT_EQ(table.Set("a.weft", "1", {}).error().message, "unknown key \"a.weft\"; the nearest known key is \"a.left\"");
}

using OptionTableDeathTest = OptionTableTest;

TEST_F(OptionTableDeathTest, RefusesWrongDeclarations) {
  int number = 5;
  std::string text = "x";
  bool flag = false;
  table_.Section("extra", "Extra");
  EXPECT_DEATH(table_.Int("server.other", &number, {}), "server.other is outside the section declared last");
  EXPECT_DEATH(table_.Int("extra", &number, {}), "outside the section");
  EXPECT_DEATH(table_.Int("extra.Big", &number, {}), "outside the section");
  EXPECT_DEATH(table_.Int("extra.x", &number, {.flags = {"--port"}}), "flag --port of extra.x belongs to server.port already");
  EXPECT_DEATH(table_.Int("extra.x", &number, {.flags = {"-p"}}), "belongs to server.port already");
  EXPECT_DEATH(table_.Int("extra.x", &number, {.flags = {"--no-mmap"}}), "belongs to backend.llama_cpp.use_mmap already");
  EXPECT_DEATH(table_.Bool("extra.x", &flag, {.flags = {"--x"}}), "has the flag --x twice");
  EXPECT_DEATH(table_.Int("extra.x", &number, {.flags = {"x"}}), "bad flag");
  EXPECT_DEATH(table_.Int("extra.x", &number, {.flags = {"--x=1"}}), "bad flag");
  EXPECT_DEATH(table_.Int("extra.x", &number, {.max = 4}), "default of extra.x is outside its bounds");
  EXPECT_DEATH(table_.Int("extra.x", &number, {.value_names = {{"all", 1LL << 40}}}), "all is no int");
  EXPECT_DEATH(table_.Enum("extra.x", &text, {.choices = {"y"}}), "none of its choices");
  EXPECT_DEATH(table_.Section("server", "again"), "declared twice");
  EXPECT_DEATH(table_.Section("backend.other", "late"), "must follow backend");
  EXPECT_DEATH(table_.Section("nowhere.inner", "orphan"), "must follow nowhere");
  table_.Int("extra.x", &number, {});
  EXPECT_DEATH(table_.Int("extra.x", &number, {}), "declared twice");
  EXPECT_DEATH(table_.Section("extra.x", "an option"), "is an option already");
}

}  // namespace
}  // namespace cllm
