#include "hub/file_choice.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

std::vector<RepoFile> Files(std::initializer_list<const char*> paths) {
  std::vector<RepoFile> files;
  for (const char* path : paths) files.push_back({.path = path});
  return files;
}

std::string Choice(const std::vector<RepoFile>& files, std::string_view wanted) {
  const auto choice = ChooseFile(files, wanted);
  return choice ? choice->path : "error: " + choice.error().message;
}

TEST(FileChoice, DefaultIsQ4KM) {
  EXPECT_EQ(Choice(Files({"README.md", "m-Q8_0.gguf", "m-Q4_K_S.gguf", "m-q4_k_m.gguf", "m-IQ4_XS.gguf"}), ""), "m-q4_k_m.gguf");
}

TEST(FileChoice, ElseASensibleOne) {
  EXPECT_EQ(Choice(Files({"m-F16.gguf", "m-Q8_0.gguf", "m-Q2_K.gguf"}), ""), "m-Q8_0.gguf");
  EXPECT_EQ(Choice(Files({"m-Q5_K_M.gguf", "m-Q4_0.gguf"}), ""), "m-Q4_0.gguf");
  EXPECT_EQ(Choice(Files({"model.gguf"}), ""), "model.gguf");
}

TEST(FileChoice, QuantisationIsAWholeWord) {
  const auto files = Files({"m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-BF16.gguf", "m-IQ4_NL.gguf"});
  EXPECT_EQ(Choice(files, "q4_k_s"), "m-Q4_K_S.gguf");
  EXPECT_TRUE(Choice(files, "Q4_K").starts_with("error: it has no Q4_K; it has m-Q4_K_M.gguf"));
  EXPECT_TRUE(Choice(files, "F16").starts_with("error: it has no"));
  EXPECT_TRUE(Choice(files, "Q4_NL").starts_with("error: it has no"));
}

TEST(FileChoice, QuantisationMayBeTheFolder) { EXPECT_EQ(Choice(Files({"Q4_K_M/m.gguf", "Q8_0/m.gguf"}), "Q8_0"), "Q8_0/m.gguf"); }

TEST(FileChoice, PlainBeforeDynamic) {
  EXPECT_EQ(Choice(Files({"m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf"}), "Q4_K_M"), "m-Q4_K_M.gguf");
  EXPECT_EQ(Choice(Files({"m-UD-Q4_K_M.gguf"}), ""), "m-UD-Q4_K_M.gguf");
}

TEST(FileChoice, SeveralThatFitAreNamed) {
  const auto files = Files({"a-1b-Q4_K_M.gguf", "a-3b-Q4_K_M.gguf"});
  EXPECT_EQ(Choice(files, ""), "error: several files fit, name one of them after a colon: a-1b-Q4_K_M.gguf, a-3b-Q4_K_M.gguf");
  EXPECT_EQ(Choice(files, "a-3b-Q4_K_M.gguf"), "a-3b-Q4_K_M.gguf");
}

TEST(FileChoice, FileByPathOrName) {
  const auto files = Files({"x/m.gguf", "m.gguf", "y/n.gguf"});
  EXPECT_EQ(Choice(files, "m.gguf"), "m.gguf");
  EXPECT_EQ(Choice(files, "x/m.gguf"), "x/m.gguf");
  EXPECT_EQ(Choice(files, "n.gguf"), "y/n.gguf");
  EXPECT_TRUE(Choice(files, "o.gguf").starts_with("error: it has no o.gguf; it has x/m.gguf"));
}

TEST(FileChoice, NoProjectorsAndNoHostileNames) {
  EXPECT_EQ(Choice(Files({"mmproj-m-Q4_K_M.gguf", "m-Q8_0.gguf"}), ""), "m-Q8_0.gguf");
  EXPECT_EQ(Choice(Files({"../m-Q4_K_M.gguf", "a b-Q4_K_M.gguf", "m-Q8_0.gguf"}), ""), "m-Q8_0.gguf");
  EXPECT_EQ(Choice(Files({"model.safetensors"}), ""), "error: it holds no GGUF file");
}

TEST(FileChoice, SplitModelsAreRefused) {
  EXPECT_EQ(Choice(Files({"m-Q4_K_M-00001-of-00002.gguf", "m-Q4_K_M-00002-of-00002.gguf"}), ""),
            "error: its model is split into several files, which cllm does not fetch");
  const auto mixed = Files({"m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf", "m-Q4_0.gguf"});
  EXPECT_EQ(Choice(mixed, ""), "m-Q4_0.gguf");
  EXPECT_EQ(Choice(mixed, "Q8_0"), "error: that one is split into several files, which cllm does not fetch; whole ones: m-Q4_0.gguf");
}

TEST(FileChoice, LongListsAreCut) {
  std::vector<RepoFile> files;
  for (int i = 10; i < 40; ++i) files.push_back({.path = std::to_string(i) + ".gguf"});
  EXPECT_NE(Choice(files, "Q4_K_M").find("and 18 more"), std::string::npos);
}

}  // namespace
}  // namespace cllm
