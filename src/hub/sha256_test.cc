#include "hub/sha256.h"

#include <gtest/gtest.h>

#include "hub/testing_hub.h"

namespace cllm {
namespace {

// FIPS 180-2, appendix B.
constexpr const char* kOfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256, KnownSums) {
  Sha256 sum;
  EXPECT_EQ(sum.Hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  sum.Add("a");
  EXPECT_NE(sum.Hex(), kOfAbc);
  sum.Add("bc");
  EXPECT_EQ(sum.Hex(), kOfAbc);
}

TEST(Sha256, OfAFile) {
  const TestingFolder folder;
  WriteTestFile(folder / "abc", "abc");
  EXPECT_EQ(*Sha256OfFile(folder / "abc"), kOfAbc);
  EXPECT_FALSE(Sha256OfFile(folder / "none"));
}

TEST(Sha256, Normalised) {
  EXPECT_EQ(NormalisedSha256(std::string(64, 'A')), std::string(64, 'a'));
  EXPECT_EQ(NormalisedSha256(std::string(63, 'a')), "");
  EXPECT_EQ(NormalisedSha256(std::string(64, 'g')), "");
  EXPECT_EQ(NormalisedSha256(""), "");
}

}  // namespace
}  // namespace cllm
