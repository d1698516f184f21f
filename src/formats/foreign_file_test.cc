#include "formats/foreign_file.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "formats/gguf_parser.h"
#include "formats/testing_gguf.h"

namespace cllm {
namespace {

using namespace std::string_literals;

std::string Description(std::string_view bytes) { return DescribeForeignFile(AsBytes(bytes)); }

struct Case {
  std::string bytes;
  std::string part;  // of the description
};

std::string Tar() { return std::string(257, 'x') + "ustar\0"s + std::string(250, '\0'); }

std::vector<Case> Cases() {
  const std::string json = R"({"__metadata__":{"format":"pt"}})";
  return {
      {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 386404992\n", "a Git LFS pointer"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 386404992\n", "`git lfs pull`"},
      {"# xet version 0\nfilesize = 10\n", "a Xet pointer"},
      {"/annex/objects/SHA256E-s10--ab.gguf\n", "a git-annex pointer"},
      {"<!DOCTYPE html>\n<html lang=\"en\">", "an HTML page"},
      {"\xEF\xBB\xBF\r\n  <HTML><head>", "an HTML page"},
      {"<html><title>Zugang verwehrt f\xFCr Sie</title>", "an HTML page"},  // Latin-1
      {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML, as servers answer where a download fails: <?xml version"},
      {"{\"error\": \"Entry not found\"}", "JSON, an error of a server or the settings of a model: {\"error\": \"Entry not found\"}"},
      {"[1]", "JSON"},
      {"Invalid username or password.\r\nmore", "a text that begins \"Invalid username or password.\""},
      {std::string(5000, 'a'), "a text that begins \"" + std::string(80, 'a') + "…\""},
      {" \n\t ", "nothing but blanks"},
      {TestingGguf::Number<std::uint64_t>(json.size()) + json + "data", "a safetensors file"},
      {"lmgg\x01", "a ggml file"},
      {"fmgg\x01", "a ggmf file"},
      {"tjgg\x03", "a ggjt file"},
      {"algg\x01", "a LoRA adapter"},
      {"FUGG\x03", "bytes are swapped"},
      {"PK\x03\x04\x14", "PyTorch"},
      {"\x80\x02\x8A\x0Al\xFC", "a pickle"},
      {"\x89HDF\r\n\x1A\n", "an HDF5 file"},
      {"\x93NUMPY\x01", "NumPy"},
      {"\x1C\0\0\0TFL3"s, "TensorFlow Lite"},
      {"\x08\x07\x12\x07pytorch", "ONNX"},
      {"MZqFpD='\n", "a llamafile"},
      {"\x1F\x8B\x08", "packed with gzip: unpack it"},
      {"BZh9", "bzip2"},
      {"\xFD"
       "7zXZ\0"s,
       "xz"},
      {"\x28\xB5\x2F\xFD\x24", "zstd"},
      {"\x04\x22\x4D\x18", "lz4"},
      {"7z\xBC\xAF\x27\x1C", "7-Zip"},
      {Tar(), "a tar archive"},
      {"\x7F"
       "ELF\x02",
       "a program or library"},
      {"", "empty"},
      {std::string(9000, '\0'), "zeros where it begins"},
      {"\x01\xFF\x02\xFEmore", "its first bytes are 01 ff 02 fe"},
      {"\xFF", "its first bytes are ff"},
  };
}

TEST(ForeignFileTest, IsNamed) {
  for (const Case& one : Cases()) {
    const std::string description = Description(one.bytes);
    EXPECT_NE(description.find(one.part), std::string::npos) << description << "\nexpected: " << one.part;
    EXPECT_EQ(description.find('\n'), std::string::npos) << description;
  }
}

TEST(ForeignFileTest, TheReaderSaysIt) {
  for (const Case& one : Cases()) {
    const auto result = ParseGguf(AsBytes(one.bytes), "file");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "file is not a GGUF file but " + Description(one.bytes));
  }
}

TEST(ForeignFileTest, ALengthAndABraceAreNotEnough) {
  EXPECT_EQ(Description(TestingGguf::Number<std::uint64_t>(1'000'000) + "{...").find("safetensors"), std::string::npos);
  EXPECT_EQ(Description(TestingGguf::Number<std::uint64_t>(1)).find("safetensors"), std::string::npos);
}

TEST(ForeignFileTest, TextMayBeCutWithinACharacter) {
  std::string text = "x";
  for (int i = 0; i < 2000; ++i) text += "中";
  EXPECT_NE(Description(text).find("a text that begins \"x中"), std::string::npos);
  EXPECT_EQ(Description("a\x1B[2J").find('\x1B'), std::string::npos);
  EXPECT_EQ(Description("a\vb").find('\v'), std::string::npos);
}

}  // namespace
}  // namespace cllm
