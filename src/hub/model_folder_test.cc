#include "hub/model_folder.h"

#include <gtest/gtest.h>

#include "hub/partial_file.h"
#include "hub/testing_hub.h"

namespace cllm {
namespace {

class ModelFolderTest : public ::testing::Test {
 protected:
  TestingFolder root_;
  ModelFolder folder_{root_.path()};
};

TEST_F(ModelFolderTest, Places) {
  EXPECT_EQ(folder_.PathOfKnown("m.gguf"), root_ / "m.gguf");
  EXPECT_EQ(folder_.PathInRepo("o", "r", "x/m.gguf"), root_ / "hf/o/r/x/m.gguf");
  const auto one = folder_.PathOfUrl(*ParseReference("http://host:81/m.gguf?a"));
  const auto two = folder_.PathOfUrl(*ParseReference("http://host:81/m.gguf?b"));
  ASSERT_TRUE(one);
  EXPECT_NE(*one, *two) << "two addresses, two files";
  EXPECT_TRUE(one->string().starts_with((root_ / "url/host-").string()));
  EXPECT_EQ(one->filename(), "m.gguf");
}

TEST_F(ModelFolderTest, ListNamesWhatIsThere) {
  WriteTestFile(root_ / "SmolLM2-135M-Instruct.Q4_1.gguf", "GGUF");
  WriteTestFile(root_ / "hf/o/r/x/m.gguf", "GGUF12");
  ASSERT_TRUE(folder_.WriteOrigin(root_ / "hf/o/r/x/m.gguf", {.source = "https://host/m", .sha256 = "ab", .reference = "hf:o/r"}));
  WriteTestFile(root_ / "own.gguf", "GGUF");
  WriteTestFile(root_ / "notes.txt", "no model");
  WriteTestFile(root_ / "half.gguf.part", "GG");
  WriteTestFile(root_ / "half.gguf.part.json", R"({"url":"https://host/half.gguf","size":9})");
  WriteTestFile(root_ / "own.gguf.part", "of a second pull");
  std::filesystem::create_directory(root_ / "folder.gguf");
  std::filesystem::create_symlink("nowhere", root_ / "link.gguf");
  const auto entries = folder_.List();
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(entries[0].name, "half.gguf");
  EXPECT_TRUE(entries[0].unfinished);
  EXPECT_EQ(entries[0].size, 2);
  EXPECT_EQ(entries[0].whole_size, 9);
  EXPECT_EQ(entries[0].source, "https://host/half.gguf");
  EXPECT_EQ(entries[1].name, "hf:o/r:x/m.gguf");
  EXPECT_EQ(entries[1].size, 6);
  EXPECT_EQ(entries[1].source, "https://host/m");
  EXPECT_EQ(entries[2].name, "own.gguf");
  EXPECT_FALSE(entries[2].unfinished);
  EXPECT_EQ(entries[3].name, "smollm2-135m");
}

TEST_F(ModelFolderTest, NoFolderIsAnEmptyList) { EXPECT_TRUE(ModelFolder(root_ / "none").List().empty()); }

TEST_F(ModelFolderTest, FindsByEveryName) {
  const auto file = root_ / "hf/o/r/m.gguf";
  WriteTestFile(file, "GGUF");
  ASSERT_TRUE(folder_.WriteOrigin(file, {.source = "", .sha256 = "", .reference = "hf:o/r:Q4"}));
  WriteTestFile(root_ / "SmolLM2-135M-Instruct.Q4_1.gguf", "GGUF");
  for (const char* text : {"hf:o/r:m.gguf", "hf:o/r:Q4", "hf/o/r/m.gguf", "m.gguf", "m"}) {
    const auto found = folder_.Find(text);
    ASSERT_TRUE(found) << text;
    EXPECT_EQ(found->file, file);
  }
  EXPECT_TRUE(folder_.Find("smollm2-135m"));
  EXPECT_TRUE(folder_.Find("SmolLM2-135M-Instruct.Q4_1"));
  for (const char* text : {"", "x", "hf:o/r", "../m.gguf", "M"}) EXPECT_FALSE(folder_.Find(text)) << text;
  WriteTestFile(root_ / "hf/p/r/m.gguf", "GGUF");
  EXPECT_FALSE(folder_.Find("m.gguf")) << "two fit";
  EXPECT_TRUE(folder_.Find("hf:p/r:m.gguf"));
}

TEST_F(ModelFolderTest, RemoveTakesEverythingOfIt) {
  const auto file = root_ / "hf/o/r/m.gguf";
  WriteTestFile(file, "GGUF");
  ASSERT_TRUE(folder_.WriteOrigin(file, {}));
  WriteTestFile(root_ / "hf/o/other/n.gguf", "GGUF");
  ASSERT_TRUE(folder_.Remove(*folder_.Find("m")));
  EXPECT_FALSE(std::filesystem::exists(root_ / "hf/o/r"));
  EXPECT_TRUE(std::filesystem::exists(root_ / "hf/o/other/n.gguf"));
  ASSERT_TRUE(folder_.Remove(*folder_.Find("n")));
  EXPECT_TRUE(std::filesystem::exists(root_.path()));
  EXPECT_TRUE(std::filesystem::is_empty(root_.path()));
}

TEST_F(ModelFolderTest, RemoveTakesUnfinishedOnes) {
  WriteTestFile(root_ / "m.gguf.part", "GG");
  WriteTestFile(root_ / "m.gguf.part.json", "{}");
  ASSERT_TRUE(folder_.Remove(*folder_.Find("m.gguf")));
  EXPECT_TRUE(std::filesystem::is_empty(root_.path()));
}

TEST_F(ModelFolderTest, WhatIsBeingPulledIsNotRemoved) {
  TestingPatience patience;
  auto part = PartialFile::Open(root_ / "m.gguf", patience, [] {});
  ASSERT_TRUE(part->StartOver({}));
  const Status status = folder_.Remove(*folder_.Find("m.gguf"));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "m.gguf is being pulled right now");
  EXPECT_TRUE(std::filesystem::exists(root_ / "m.gguf.part"));
}

TEST_F(ModelFolderTest, BrokenOriginsAreNone) {
  WriteTestFile(root_ / "m.gguf", "GGUF");
  for (const char* json : {"", "[1", "[]", R"({"source":5})"}) {
    WriteTestFile(root_ / "m.gguf.origin", json);
    EXPECT_EQ(folder_.List().at(0).source, "") << json;
  }
}

}  // namespace
}  // namespace cllm
