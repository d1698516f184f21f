#include "http/api_keys.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace cllm {
namespace {

using namespace std::string_literals;

class ApiKeysTest : public testing::Test {
 protected:
  ~ApiKeysTest() override { std::remove(path_.c_str()); }

  std::string File(const std::string& text) {
    std::ofstream(path_) << text;
    std::filesystem::permissions(path_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return path_;
  }
  static ApiKeys Keys(const std::vector<std::string>& keys, const std::string& file = "") {
    auto result = ApiKeys::Create(keys, file);
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    return result.value_or(ApiKeys());
  }
  static std::string MessageOf(const std::vector<std::string>& keys, const std::string& file) {
    const auto result = ApiKeys::Create(keys, file);
    return result ? "" : result.error().message;
  }

  std::string path_ = testing::TempDir() + "api_keys_test_" + std::to_string(getpid()) + ".txt";
};

TEST_F(ApiKeysTest, WithoutKeysEverybodyMayAsk) {
  const ApiKeys keys = Keys({});
  EXPECT_FALSE(keys.required());
  EXPECT_TRUE(keys.Allow("", ""));
  EXPECT_TRUE(keys.Allow("Bearer x", "y"));
}

TEST_F(ApiKeysTest, EitherHeaderHoldsOneOfTheKeys) {
  const ApiKeys keys = Keys({"one", "two"});
  EXPECT_TRUE(keys.required());
  for (const char* good : {"Bearer one", "bearer two", "BEARER   two \t"}) EXPECT_TRUE(keys.Allow(good, "")) << good;
  for (const char* bad : {"", "one", "Bearer", "Bearer ", "Bearer  ", "Bearer on", "Bearer onee", "Bearer One", "Bearer one two",
                          "Basic one", "Bearerone", "Bearer one,two"}) {
    EXPECT_FALSE(keys.Allow(bad, "")) << bad;
    EXPECT_FALSE(keys.Allow("", bad == "one"s ? "none" : bad)) << bad;
    EXPECT_TRUE(keys.Allow(bad, "two")) << bad;
  }
  EXPECT_TRUE(keys.Allow("Bearer wrong", "one"));
  EXPECT_TRUE(keys.Allow("Bearer one", "wrong"));
  EXPECT_FALSE(keys.Allow("Bearer wrong", "wrong"));
}

TEST_F(ApiKeysTest, AFileAddsKeys) {
  const ApiKeys keys = Keys({"one"}, File("# ours\n\n  two\t\r\n#three\nfour"));
  for (const char* key : {"one", "two", "four"}) EXPECT_TRUE(keys.Allow("", key)) << key;
  for (const char* key : {"three", "#three", "# ours", ""}) EXPECT_FALSE(keys.Allow("", key)) << key;
}

TEST_F(ApiKeysTest, AFileThatOpensNothingIsAnError) {
  EXPECT_EQ(MessageOf({"one"}, File("# none\n\n")), "server.api_key_file " + path_ + ": holds no key");
  EXPECT_EQ(MessageOf({}, "/no/such/file"), "server.api_key_file /no/such/file: cannot open it: No such file or directory");
  EXPECT_EQ(MessageOf({}, "/"), "server.api_key_file /: is a directory");
}

TEST_F(ApiKeysTest, AKeyThatNoHeaderCarriesIsAnErrorThatDoesNotShowIt) {
  for (const std::string& key : {"a b"s, "a\tb"s, "\xC3\xA9"s, "a\x7F"s}) {
    EXPECT_EQ(MessageOf({key}, ""), "server.api_keys: a key must be of visible ASCII characters without blanks");
    EXPECT_EQ(MessageOf({}, File("fine\n" + key + "\n")), path_ + ":2: a key must be of visible ASCII characters without blanks");
  }
  EXPECT_NE(MessageOf({""}, ""), "");
}

TEST_F(ApiKeysTest, AnOwnerIsToldByTheKeyHoweverItIsSent) {
  const ApiKeys keys = Keys({"one", "two"});
  const std::string one = keys.OwnerOf("Bearer one", "");
  EXPECT_EQ(one.size(), 32U);
  EXPECT_EQ(keys.OwnerOf("", "one"), one);
  EXPECT_EQ(keys.OwnerOf("bearer  one", "wrong"), one);
  EXPECT_NE(keys.OwnerOf("", "two"), one);
  EXPECT_EQ(keys.OwnerOf("Bearer wrong", ""), "");
  EXPECT_EQ(Keys({}).OwnerOf("Bearer one", ""), "") << "without keys all are one";
}

}  // namespace
}  // namespace cllm
