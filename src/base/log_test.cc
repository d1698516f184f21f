#include "base/log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using namespace std::string_literals;

class LogTest : public testing::Test {
 protected:
  LogTest() { std::filesystem::remove(path_); }
  ~LogTest() override {
    EXPECT_TRUE(ConfigureLog({}));
    std::filesystem::remove(path_);
    std::filesystem::remove(path_ + ".1");
  }

  void Configure(const std::string& format, const std::string& level = "info") {
    const Status status = ConfigureLog({.level = level, .format = format, .file = path_});
    ASSERT_TRUE(status) << status.error().message;
  }
  std::vector<std::string> Lines(const std::string& path) const {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  std::vector<std::string> Lines() const { return Lines(path_); }

  std::string path_ = testing::TempDir() + "log_test_" + std::to_string(getpid()) + ".log";
};

TEST_F(LogTest, TextIsOneLineWhateverItHolds) {
  Configure("text");
  spdlog::info("a\nb\x1B[31m\t\\ \xC2\x9B \xFF \xE4\xB8\xAD");
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(std::regex_match(lines[0].substr(0, 29), std::regex(R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} info )"))) << lines[0];
  EXPECT_TRUE(lines[0].ends_with(R"( a\nb\x1b[31m\t\\ \x9b \xff )"s + "\xE4\xB8\xAD")) << lines[0];
}

TEST_F(LogTest, JsonIsOneObjectALine) {
  Configure("json");
  spdlog::warn("a \"b\" \\ \n \x01 \xFF \u009B\u202E\x7F \xE4\xB8\xAD");
  LogEvent(spdlog::level::info, "request", {{"id", "x\"y\n"}, {"status", std::int64_t{200}}, {"total_ms", 1.5}});
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(
      std::regex_search(lines[0], std::regex(R"(^\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d","level":"warning",)")))
      << lines[0];
  EXPECT_TRUE(lines[0].ends_with(R"("message":"a \"b\" \\ \u000a \u0001 \ufffd \u009b\u202e\u007f )"s + "\xE4\xB8\xAD\"}")) << lines[0];
  EXPECT_TRUE(lines[1].ends_with(R"("event":"request","id":"x\"y\u000a","status":200,"total_ms":1.500000})")) << lines[1];
}

TEST_F(LogTest, AnEventAsText) {
  Configure("text");
  LogEvent(spdlog::level::info, "request",
           {{"id", "x"}, {"path", "/a b\n="}, {"empty", ""}, {"quote", "\""}, {"status", std::int64_t{-1}}, {"ms", 0.25}});
  LogEvent(spdlog::level::debug, "request", {});
  ASSERT_EQ(Lines().size(), 1u);
  EXPECT_TRUE(Lines()[0].ends_with(R"( info request id=x path="/a b\n=" empty="" quote="\"" status=-1 ms=0.2500)")) << Lines()[0];
}

TEST_F(LogTest, TheFileIsAppendedToAndPrivate) {
  Configure("text");
  spdlog::info("first");
  Configure("text");
  spdlog::info("second");
  spdlog::debug("hidden");
  ASSERT_EQ(Lines().size(), 2u);
  struct stat facts{};
  ASSERT_EQ(stat(path_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07137, 0u) << "more than the owner's rw and the group's r";
}

TEST_F(LogTest, AFileThatWasMovedAwayIsOpenedAgain) {
  Configure("text");
  spdlog::info("first");
  std::filesystem::rename(path_, path_ + ".1");
  spdlog::info("second");
  EXPECT_TRUE(ReopenLog());
  spdlog::info("third");
  EXPECT_EQ(Lines(path_ + ".1").size(), 2u);
  ASSERT_EQ(Lines().size(), 1u);
  EXPECT_TRUE(Lines()[0].ends_with("third"));
}

TEST_F(LogTest, AFileThatCannotBeWrittenIsAnError) {
  const Status status = ConfigureLog({.file = "/no/such/folder/x.log"});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "cannot write logging.file /no/such/folder/x.log: No such file or directory");
  EXPECT_FALSE(ConfigureLog({.file = "/"}));
}

TEST_F(LogTest, EscapedTextReadsBackUnambiguously) {
  EXPECT_EQ(EscapedForLog("\\n"), "\\\\n");
  EXPECT_EQ(EscapedForLog("\n"), "\\n");
  EXPECT_EQ(EscapedForLog("\xE4\xB8"), "\\xe4\\xb8");
  EXPECT_EQ(EscapedForLog("\xC3\xA9\xF0\x9F\x98\x80"), "\xC3\xA9\xF0\x9F\x98\x80");
  EXPECT_EQ(EscapedForLog("\0"s), "\\x00");
  EXPECT_EQ(EscapedForLog("\u202E"), "\\u202e");
}

}  // namespace
}  // namespace cllm
