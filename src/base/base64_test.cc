#include "base/base64.h"

#include <string_view>

#include <gtest/gtest.h>

namespace cllm {
namespace {

std::string Encoded(std::string_view text) { return Base64(std::as_bytes(std::span(text))); }

// The standard's own examples.
TEST(Base64Test, IsThatOfTheStandard) {
  EXPECT_EQ(Encoded(""), "");
  EXPECT_EQ(Encoded("f"), "Zg==");
  EXPECT_EQ(Encoded("fo"), "Zm8=");
  EXPECT_EQ(Encoded("foo"), "Zm9v");
  EXPECT_EQ(Encoded("foob"), "Zm9vYg==");
  EXPECT_EQ(Encoded("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Encoded("\xFB\xFF\xFE"), "+//+");
}

}  // namespace
}  // namespace cllm
