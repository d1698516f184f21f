#include "hub/partial_file.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include "hub/testing_hub.h"

namespace cllm {
namespace {

const PartIdentity kIdentity{.url = "https://host/m.gguf", .etag = "\"v1\"", .size = 100, .sha256 = std::string(64, 'a')};

class PartialFileTest : public ::testing::Test {
 protected:
  Result<PartialFile> Open() {
    return PartialFile::Open(target_, patience_, [this] { ++told_; });
  }

  TestingFolder folder_;
  std::filesystem::path target_ = folder_ / "m.gguf";
  std::filesystem::path part_ = folder_ / "m.gguf.part";
  std::filesystem::path identity_ = folder_ / "m.gguf.part.json";
  TestingPatience patience_;
  int told_ = 0;
};

TEST_F(PartialFileTest, FinishRenamesAndLeavesNothing) {
  auto part = Open();
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->StartOver(kIdentity));
  ASSERT_TRUE(part->Append("abc"));
  EXPECT_EQ(part->Digest(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  ASSERT_TRUE(part->Finish());
  EXPECT_EQ(ReadTestFile(target_), "abc");
  EXPECT_FALSE(std::filesystem::exists(part_));
  EXPECT_FALSE(std::filesystem::exists(identity_));
  EXPECT_FALSE(part->is_open());
}

TEST_F(PartialFileTest, ASecondRunGoesOn) {
  {
    auto part = Open();
    ASSERT_TRUE(part->StartOver(kIdentity));
    ASSERT_TRUE(part->Append("ab"));
  }
  auto part = Open();
  EXPECT_EQ(part->size(), 2);
  EXPECT_EQ(part->identity(), kIdentity);
  ASSERT_TRUE(part->ReadBack());
  ASSERT_TRUE(part->Append("c"));
  EXPECT_EQ(part->Digest(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(ReadTestFile(part_), "abc");
}

TEST_F(PartialFileTest, BrokenIdentitiesFitNothing) {
  for (const char* json : {"", "{", "[]", "{\"size\": \"x\", \"url\": 3}", "\xff\xfe"}) {
    WriteTestFile(part_, "ab");
    WriteTestFile(identity_, json);
    auto part = Open();
    ASSERT_TRUE(part);
    EXPECT_EQ(part->identity(), PartIdentity()) << json;
  }
}

TEST_F(PartialFileTest, StartOverEmptiesBeforeTheNewIdentity) {
  auto part = Open();
  ASSERT_TRUE(part->StartOver(kIdentity));
  ASSERT_TRUE(part->Append("old"));
  std::filesystem::create_directory(identity_.string() + ".new");  // the identity can't be written
  EXPECT_FALSE(part->StartOver({.url = "other", .etag = {}, .size = -1, .sha256 = {}}));
  EXPECT_EQ(ReadTestFile(part_), "") << "old bytes beside a new identity, or the other way round";
}

TEST_F(PartialFileTest, DiscardLeavesNothing) {
  auto part = Open();
  ASSERT_TRUE(part->StartOver(kIdentity));
  part->Discard();
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  WriteTestFile(part_, "of another pull");
  part->Discard();
  EXPECT_TRUE(std::filesystem::exists(part_));
}

TEST_F(PartialFileTest, TheSecondWaitsForTheFirst) {
  auto first = std::make_unique<Result<PartialFile>>(Open());
  ASSERT_TRUE(*first);
  patience_.on_wait = [&] {
    if (patience_.waits.size() == 3) first.reset();
  };
  auto second = Open();
  ASSERT_TRUE(second);
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(patience_.waits.size(), 3U);
}

TEST_F(PartialFileTest, TheSecondGetsAFreshPartWhereTheFirstFinished) {
  auto first = Open();
  ASSERT_TRUE((*first).StartOver(kIdentity));
  ASSERT_TRUE((*first).Append("whole"));
  patience_.on_wait = [&] { ASSERT_TRUE((*first).Finish()); };
  auto second = Open();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->size(), 0) << "the lock must be on a part and not on the finished file";
  ASSERT_TRUE(second->StartOver({}));
  EXPECT_EQ(ReadTestFile(target_), "whole");
}

TEST_F(PartialFileTest, WaitingCanBeInterrupted) {
  auto first = Open();
  patience_.on_wait = [&] { patience_.interrupted = true; };
  const auto second = Open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kCancelled);
}

TEST_F(PartialFileTest, ADeadProcessHoldsNoLock) {
  const pid_t child = fork();
  if (child == 0) {
    auto part = Open();
    _exit(part && part->StartOver(kIdentity) && part->Append("xy") ? 0 : 1);  // no destructor runs
  }
  int status = -1;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  auto part = Open();
  ASSERT_TRUE(part);
  EXPECT_EQ(part->size(), 2);
  EXPECT_TRUE(patience_.waits.empty());
}

TEST_F(PartialFileTest, NoFolderIsAClearError) {
  const auto part = PartialFile::Open(folder_ / "none/m.gguf", patience_, [] {});
  ASSERT_FALSE(part);
  EXPECT_NE(part.error().message.find("none/m.gguf.part"), std::string::npos);
}

TEST_F(PartialFileTest, ALinkIsNotFollowed) {
  WriteTestFile(folder_ / "victim", "precious");
  std::filesystem::create_symlink(folder_ / "victim", part_);
  EXPECT_FALSE(Open());
  EXPECT_EQ(ReadTestFile(folder_ / "victim"), "precious");
}

}  // namespace
}  // namespace cllm
