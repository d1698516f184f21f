#include "formats/gguf_parser.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "formats/testing_gguf.h"

namespace cllm {
namespace {

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

void ExpectDamage(const std::string& bytes, std::string_view part) {
  const auto result = ParseGguf(AsBytes(bytes), "file");
  ASSERT_FALSE(result) << "expected: " << part;
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message << "\nexpected: " << part;
  EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
}

// A heap copy of exactly these bytes, so that a sanitizer sees the first one beyond.
Result<GgufContents> ParseExactly(std::string_view bytes) {
  const auto copy = std::make_unique<char[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), copy.get());
  return ParseGguf({reinterpret_cast<const std::byte*>(copy.get()), bytes.size()}, "file");
}

// What a parsed file promises: everything lies inside it.
void CheckPromises(const GgufContents& contents, std::uint64_t size) {
  for (const GgufEntry& entry : contents.entries) {
    ASSERT_FALSE(entry.key.empty());
    ASSERT_LE(entry.bytes.size(), size);
  }
  std::uint64_t end = contents.data_offset;
  for (const GgufTensor& tensor : contents.tensors) {
    ASSERT_GE(tensor.offset, end);
    ASSERT_EQ(tensor.offset % contents.alignment, 0U);
    end = tensor.offset + tensor.bytes;
    ASSERT_LE(end, size);
    ASSERT_GT(tensor.elements, 0);
    ASSERT_EQ(tensor.bytes, tensor.elements / tensor.type->block_elements * tensor.type->block_bytes);
  }
}

TEST(GgufParserTest, ReadsBothVersions) {
  TestingGguf file = SmallGguf();
  for (const std::uint32_t version : {2, 3}) {
    file.version = version;
    const auto result = ParseExactly(file.Bytes());
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->version, version);
    EXPECT_EQ(result->entries.size(), 12U);
    EXPECT_EQ(result->tensors.size(), 3U);
    CheckPromises(*result, file.Bytes().size());
  }
}

TEST(GgufParserTest, RefusesOtherVersionsAndFiles) {
  TestingGguf file;
  file.version = 1;
  ExpectDamage(file.Bytes(), "file is GGUF version 1");
  file.version = 4;
  ExpectDamage(file.Bytes(), "file is GGUF version 4; versions 2 and 3");
  file.version = 0x03000000;
  ExpectDamage(file.Bytes(), "big-endian");
  ExpectDamage("", "is not a GGUF file");
  ExpectDamage("GGML", "is not a GGUF file");
}

TEST(GgufParserTest, CountsAreBoundedByTheFile) {
  TestingGguf file = SmallGguf();
  file.claimed_tensors = 1000;
  ExpectDamage(file.Bytes(), "damaged at byte 8: the number of tensors is 1000");
  file.claimed_tensors = -1;
  file.claimed_entries = kHuge;
  ExpectDamage(file.Bytes(), "damaged at byte 16: the number of metadata entries is 9223372036854775807");
}

TEST(GgufParserTest, ChecksKeys) {
  ExpectDamage(TestingGguf().String("", "x").Bytes(), "metadata entry 0: the key is empty");
  ExpectDamage(TestingGguf().String(std::string(65536, 'k'), "x").Bytes(), "the key has 65536 bytes, the most is 65535");
  ExpectDamage(TestingGguf().String("a\xFF", "x").Bytes(), "damaged at byte 33: metadata entry 0: the key is not UTF-8");
  ExpectDamage(TestingGguf().String("a\x1B[1m", "x").Bytes(), "control character");
  ExpectDamage(TestingGguf().String("k", "x").String("b", "").String("k", "y").Bytes(), "byte 75: key 'k': it occurs twice");
  EXPECT_TRUE(ParseExactly(TestingGguf().String(std::string(65535, 'k'), "x").Bytes()));
}

TEST(GgufParserTest, ShowsOnlyTheBeginningOfALongKey) {
  std::string key(79, 'k');
  key += "äöü and more";
  ExpectDamage(TestingGguf().Raw(key, 13, "").Bytes(), "key '" + std::string(79, 'k') + "…'");
}

TEST(GgufParserTest, ChecksValues) {
  ExpectDamage(TestingGguf().Raw("k", 13, "12345678").Bytes(), "key 'k': value type 13 does not exist");
  ExpectDamage(TestingGguf().Raw("k", 7, "\x02").Bytes(), "byte 37: key 'k': a boolean is 2");
  ExpectDamage(TestingGguf().Array("k", 7, 3, std::string("\x01\x00\x09", 3)).Bytes(), "byte 51: key 'k': a boolean is 9");
  ExpectDamage(TestingGguf().Array("k", 9, 1, "12345678123456781234").Bytes(), "arrays of arrays");
  ExpectDamage(TestingGguf().Array("k", 99, 1, "1234").Bytes(), "element type 99 does not exist");
  ExpectDamage(TestingGguf().Array("k", 4, 2, "1234567").Bytes(), "the array has 2 elements of type uint32, but the file has only 7");
  ExpectDamage(TestingGguf().Array("k", 10, 1ULL << 61, "12345678").Bytes(), "the array has 2305843009213693952 elements");
  ExpectDamage(TestingGguf().Array("k", 8, 1ULL << 61, "12345678").Bytes(), "the array has 2305843009213693952 elements");
  ExpectDamage(TestingGguf().Raw("k", 10, "1234567").Bytes(), "the file ends inside the value: 8 bytes are needed, 7 are left");
  ExpectDamage(TestingGguf().Raw("k", 8, TestingGguf::Number<std::uint64_t>(~0ULL) + "abc").Bytes(), "the file ends inside a string");
}

TEST(GgufParserTest, ChecksAlignment) {
  const auto with = [](std::uint32_t alignment) { return TestingGguf().Uint32("general.alignment", alignment).Bytes(); };
  for (const std::uint32_t wrong : {0U, 1U, 4U, 48U, 4U << 20, 0xFFFFFFFFU}) ExpectDamage(with(wrong), "no power of two from 8");
  for (const std::uint32_t right : {8U, 32U, 2U << 20}) EXPECT_TRUE(ParseExactly(with(right))) << right;
  ExpectDamage(TestingGguf().String("general.alignment", "32").Bytes(), "key 'general.alignment': it has to be a uint32");
  ExpectDamage(TestingGguf().Array("general.alignment", 4, 0, "").Bytes(), "it has to be a uint32");
}

TEST(GgufParserTest, AlignmentPlacesTheData) {
  TestingGguf file;
  file.alignment = 256;
  file.Uint32("general.alignment", 256).Tensor("a", {3}, 0, 12).Tensor("b", {3}, 0, 12);
  const auto result = ParseExactly(file.Bytes());
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->data_offset % 256, 0U);
  EXPECT_EQ(result->tensors[1].offset, result->data_offset + 256);
}

TEST(GgufParserTest, ChecksShapes) {
  const auto shaped = [](const std::vector<std::int64_t>& shape, std::uint32_t type) {
    return TestingGguf().DescribeTensor("t", shape, type, 0).Bytes() + std::string(4096, 'x');
  };
  ExpectDamage(shaped({}, 0), "tensor 't': it has 0 dimensions, there can be 1 to 4");
  ExpectDamage(shaped({1, 1, 1, 1, 1}, 0), "it has 5 dimensions");
  ExpectDamage(shaped({4, 0}, 0), "dimension 1 is 0");
  ExpectDamage(shaped({-4}, 0), "dimension 0 is -4");
  ExpectDamage(shaped({kHuge, 2}, 0), "the product of its dimensions is too large");
  ExpectDamage(shaped({1LL << 32, 1LL << 31}, 0), "the product of its dimensions is too large");
  ExpectDamage(shaped({1LL << 62}, 0), "its size in bytes is too large");
  ExpectDamage(shaped({33}, 2), "its rows have 33 elements, Q4_0 packs them by 32");
  ExpectDamage(shaped({32}, 4), "tensor type 4 does not exist");
  ExpectDamage(shaped({32}, 0xFFFFFFFF), "tensor type 4294967295 does not exist");
  EXPECT_TRUE(ParseExactly(shaped({32, 2, 2, 2}, 2)));
}

TEST(GgufParserTest, ChecksTensorNames) {
  const auto named = [](std::string_view name) { return TestingGguf().Tensor(name, {1}, 0, 4).Bytes(); };
  ExpectDamage(named(""), "tensor 0: the name is empty");
  ExpectDamage(named(std::string(64, 'n')), "the name has 64 bytes, the most is 63");
  ExpectDamage(named("\xC3"), "the name is not UTF-8");
  ExpectDamage(named(std::string("a\0b", 3)), "control character");
  ExpectDamage(TestingGguf().Tensor("t", {1}, 0, 4).Tensor("t", {1}, 0, 4).Bytes(), "tensor 't': it occurs twice");
  EXPECT_TRUE(ParseExactly(named(std::string(63, 'n'))));
}

TEST(GgufParserTest, ChecksOffsets) {
  const std::string data(256, 'x');
  const auto second_at = [&](std::uint64_t offset) {
    return TestingGguf().DescribeTensor("a", {16}, 0, 0).DescribeTensor("b", {16}, 0, offset).Bytes() + data;
  };
  EXPECT_TRUE(ParseExactly(second_at(64)));
  EXPECT_TRUE(ParseExactly(second_at(192)));  // a gap is allowed
  ExpectDamage(second_at(65), "tensor 'b': its offset 65 is no multiple of 32");
  ExpectDamage(second_at(32), "its offset 32 lies inside the tensor before, which ends at 64");
  ExpectDamage(second_at(0), "lies inside the tensor before");
  ExpectDamage(second_at(224), "tensor 'b': the file ends before its data: 32 more bytes");
  ExpectDamage(second_at(0xFFFFFFFFFFFFFFE0), "offset and size together are too large");
}

TEST(GgufParserTest, EveryPrefixIsAnError) {
  const std::string bytes = SmallGguf().Bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto result = ParseExactly(std::string_view(bytes).substr(0, size));
    ASSERT_FALSE(result) << size;
    ASSERT_FALSE(result.error().message.empty());
  }
  EXPECT_TRUE(ParseExactly(bytes));
}

// Flips 1 to 4 bits, or sets a byte to an extreme, 10,000 times.
TEST(GgufParserTest, RandomFlipsAreErrorsOrKeepThePromises) {
  const std::string right = SmallGguf().Bytes();
  std::mt19937 rng(20240607);
  int accepted = 0;
  for (int round = 0; round < 10000; ++round) {
    std::string bytes = right;
    const int flips = static_cast<int>(rng() % 4) + 1;
    for (int i = 0; i < flips; ++i) {
      char& target = bytes[rng() % bytes.size()];
      target = rng() % 4 == 0 ? static_cast<char>(rng() % 2 == 0 ? 0xFF : 0x00) : static_cast<char>(target ^ (1 << (rng() % 8)));
    }
    const auto result = ParseExactly(bytes);
    if (!result) {
      ASSERT_FALSE(result.error().message.empty());
      ASSERT_EQ(result.error().message.find('\n'), std::string::npos);
      continue;
    }
    ++accepted;
    ASSERT_NO_FATAL_FAILURE(CheckPromises(*result, bytes.size())) << round;
  }
  EXPECT_GT(accepted, 1000);  // flips in weights and strings do no harm
  EXPECT_LT(accepted, 9000);
}

}  // namespace
}  // namespace cllm
