#include "chat/history_file.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "chat/testing_folder.h"

namespace cllm {
namespace {

using Lines = std::vector<std::string>;

class HistoryFileTest : public testing::Test, protected TestingFolder {
 protected:
  HistoryFile history_{Path("cache/history")};

  mode_t Mode(const char* name) const {
    struct stat facts{};
    EXPECT_EQ(stat(Path(name).c_str(), &facts), 0);
    return facts.st_mode & 0777;
  }
};

TEST_F(HistoryFileTest, NoFileIsNoLines) { EXPECT_EQ(history_.Load(), Lines()); }

TEST_F(HistoryFileTest, LinesComeBackInOrder) {
  ASSERT_TRUE(history_.Append("one"));
  ASSERT_TRUE(HistoryFile(Path("cache/history")).Append("zwei ü"));
  ASSERT_TRUE(history_.Append("three"));
  EXPECT_EQ(history_.Load(), (Lines{"one", "zwei ü", "three"}));
}

TEST_F(HistoryFileTest, OnlyTheOwnerMayRead) {
  ASSERT_TRUE(history_.Append("one"));
  EXPECT_EQ(Mode("cache/history"), 0600U);
  ASSERT_EQ(chmod(Path("cache/history").c_str(), 0644), 0);
  ASSERT_TRUE(history_.Append("two"));
  EXPECT_EQ(Mode("cache/history"), 0600U);
}

TEST_F(HistoryFileTest, TheNewestLinesAreKept) {
  for (std::size_t i = 0; i < 2 * HistoryFile::kMostLines + 5; ++i) ASSERT_TRUE(history_.Append(std::to_string(i)));
  const auto lines = history_.Load();
  ASSERT_TRUE(lines);
  EXPECT_EQ(lines->size(), HistoryFile::kMostLines);
  EXPECT_EQ(lines->front(), std::to_string(HistoryFile::kMostLines + 5));
  EXPECT_EQ(lines->back(), std::to_string(2 * HistoryFile::kMostLines + 4));
  const std::string text = Read("cache/history");
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(text, '\n')), HistoryFile::kMostLines);
  EXPECT_EQ(Mode("cache/history"), 0600U);
  EXPECT_EQ(history_.Load(), lines);
}

// A rewrite loses what another chat appends meanwhile.
TEST_F(HistoryFileTest, AFileThatIsALittleTooLongIsLeftAlone) {
  std::string text;
  for (std::size_t i = 0; i < 2 * HistoryFile::kMostLines; ++i) text += std::to_string(i) + "\n";
  std::filesystem::create_directory(Path("cache"));
  Write("cache/history", text);
  EXPECT_EQ(history_.Load()->size(), HistoryFile::kMostLines);
  EXPECT_EQ(Read("cache/history"), text);
}

TEST_F(HistoryFileTest, BrokenLinesAreLeftOut) {
  std::filesystem::create_directory(Path("cache"));
  Write("cache/history", "one\n\n\xFF\xFE\ntwo");
  EXPECT_EQ(history_.Load(), (Lines{"one", "two"}));
}

TEST_F(HistoryFileTest, WhatCannotBeKeptSaysWhy) {
  Write("cache", "a file where the folder should be");
  const Status status = history_.Append("one");
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("cache/history cannot be kept"), std::string::npos);
  EXPECT_FALSE(HistoryFile(Path("")).Load());
}

}  // namespace
}  // namespace cllm
