#include "formats/gguf_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "formats/testing_gguf.h"

namespace cllm {
namespace {

class GgufFileTest : public testing::Test {
 protected:
  GgufFileTest() : bytes_(SmallGguf().Bytes()), parsed_(GgufFile::Parse(AsBytes(bytes_), "small")) {}
  void SetUp() override { ASSERT_TRUE(parsed_) << parsed_.error().message; }
  const GgufFile& file() const { return *parsed_; }

 private:
  std::string bytes_;
  Result<GgufFile> parsed_;
};

template <typename T>
void ExpectError(const Result<T>& result, ErrorCode code, std::string_view part) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, code);
  EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
}

TEST_F(GgufFileTest, ReadsSingleValues) {
  EXPECT_EQ(file().version(), 3U);
  EXPECT_EQ(file().String("general.architecture"), "llama");
  EXPECT_EQ(file().Integer("llama.block_count"), 2);
  EXPECT_EQ(file().Integer("a.int8"), -2);
  EXPECT_EQ(file().Integer("a.int64"), -5);
  EXPECT_EQ(file().Float("llama.rope.freq_base"), 10000.5);
  EXPECT_EQ(file().Float("a.float64"), -0.25);
  EXPECT_EQ(file().Bool("a.bool"), true);
}

TEST_F(GgufFileTest, ReadsArrays) {
  EXPECT_EQ(file().Strings("tokenizer.ggml.tokens"), (std::vector<std::string_view>{"<unk>", "", "ä", "abc"}));
  EXPECT_EQ(file().Integers("an.array"), (std::vector<std::int64_t>{-1, 2, 3}));
  EXPECT_EQ(file().Floats("floats"), (std::vector<double>{0.5, 1.5}));
  EXPECT_EQ(file().Integers("nothing"), std::vector<std::int64_t>());
}

TEST_F(GgufFileTest, SaysWhatIsMissingOrOfAnotherType) {
  ExpectError(file().String("none"), ErrorCode::kNotFound, "no key 'none'");
  ExpectError(file().String("llama.block_count"), ErrorCode::kInvalidArgument, "has to be a string, it is uint32");
  ExpectError(file().Integer("general.architecture"), ErrorCode::kInvalidArgument, "it is string");
  ExpectError(file().Integer("a.uint64"), ErrorCode::kInvalidArgument, "below 2^63");
  ExpectError(file().Integer("an.array"), ErrorCode::kInvalidArgument, "it is an array of int32");
  ExpectError(file().Float("llama.block_count"), ErrorCode::kInvalidArgument, "has to be a float");
  ExpectError(file().Bool("a.int8"), ErrorCode::kInvalidArgument, "has to be a boolean");
  ExpectError(file().Strings("an.array"), ErrorCode::kInvalidArgument, "an array of strings");
  ExpectError(file().Integers("floats"), ErrorCode::kInvalidArgument, "an array of integers");
  ExpectError(file().Integers("llama.block_count"), ErrorCode::kInvalidArgument, "has to be an array");
  ExpectError(file().Floats("an.array"), ErrorCode::kInvalidArgument, "an array of floats");
}

TEST_F(GgufFileTest, OptionalIsForMissingKeysOnly) {
  EXPECT_EQ(Optional<std::int64_t>(file().Integer("none"), 7), 7);
  EXPECT_EQ(Optional<std::int64_t>(file().Integer("llama.block_count"), 7), 2);
  EXPECT_FALSE(Optional<std::int64_t>(file().Integer("general.architecture"), 7));
}

TEST_F(GgufFileTest, ListsTensorsWithTheirData) {
  ASSERT_EQ(file().tensors().size(), 3U);
  const GgufTensor* embedding = file().FindTensor("token_embd.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->type->name, "Q4_0");
  EXPECT_EQ(embedding->dimensions, 2);
  EXPECT_EQ(embedding->shape, (std::array<std::int64_t, 4>{32, 3, 1, 1}));
  EXPECT_EQ(embedding->elements, 96);
  EXPECT_EQ(embedding->bytes, 54U);
  EXPECT_EQ(embedding->offset % 32, 0U);
  const GgufTensor* cube = file().FindTensor("cube");
  ASSERT_NE(cube, nullptr);
  EXPECT_EQ(cube->elements, 24);
  EXPECT_EQ(cube->offset + cube->bytes, file().size_bytes());
  for (const GgufTensor& tensor : file().tensors()) {
    EXPECT_EQ(file().Data(tensor).front(), std::byte{1}) << tensor.name;  // what SmallGguf writes first
    EXPECT_EQ(file().Data(tensor).size(), tensor.bytes);
  }
  EXPECT_EQ(file().FindTensor("none"), nullptr);
  EXPECT_EQ(file().FindEntry("none"), nullptr);
}

class GgufOpenTest : public testing::Test {
 protected:
  GgufOpenTest() : folder_(testing::TempDir() + "gguf_open_" + std::to_string(getpid())) { std::filesystem::create_directories(folder_); }
  ~GgufOpenTest() override { std::filesystem::remove_all(folder_); }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

 private:
  std::string folder_;
};

TEST_F(GgufOpenTest, MapsAFileThatStaysReadableWhenMoved) {
  std::ofstream(Path("a.gguf"), std::ios::binary) << SmallGguf().Bytes();
  auto opened = GgufFile::Open(Path("a.gguf"));
  ASSERT_TRUE(opened) << opened.error().message;
  const GgufFile moved = std::move(*opened);
  EXPECT_EQ(moved.String("general.architecture"), "llama");
  EXPECT_EQ(moved.Data(moved.tensors()[0]).front(), std::byte{1});
  EXPECT_EQ(moved.name(), Path("a.gguf"));
}

TEST_F(GgufOpenTest, RefusesWhatIsNoGgufFile) {
  ExpectError(GgufFile::Open(Path("none")), ErrorCode::kInvalidArgument, "No such file");
  ExpectError(GgufFile::Open(Path("")), ErrorCode::kInvalidArgument, "is a folder");
  std::ofstream(Path("empty"), std::ios::binary).close();
  ExpectError(GgufFile::Open(Path("empty")), ErrorCode::kInvalidArgument, "is not a GGUF file");
  std::ofstream(Path("text"), std::ios::binary) << "hello";
  ExpectError(GgufFile::Open(Path("text")), ErrorCode::kInvalidArgument, "is not a GGUF file");
}

TEST_F(GgufOpenTest, ANamedPipeDoesNotBlock) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  ExpectError(GgufFile::Open(Path("pipe")), ErrorCode::kInvalidArgument, "is not a regular file");
}

}  // namespace
}  // namespace cllm
