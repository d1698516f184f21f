#include "hub/puller.h"

#include <gtest/gtest.h>

#include "hub/sha256.h"
#include "hub/testing_hub.h"

namespace cllm {
namespace {

const std::string kModelBody = "GGUF and more";

std::string HexSumOf(std::string_view text) {
  Sha256 sum;
  sum.Add(text);
  return sum.Hex();
}

class PullerTest : public ::testing::Test {
 protected:
  Result<PulledModel> Pull(const std::string& text, const std::string& sha256 = {}) {
    Downloader downloader(transport_, patience_, observer_, {});
    const auto check = [this](const std::filesystem::path& file, const std::string& name) -> Status {
      checked_.push_back(file.filename().string());
      return is_model_ ? Status() : InvalidArgument(name + " is no model");
    };
    Puller puller(folder_, *HuggingFace::Create("https://mirror", "hf_abc"), check, downloader, patience_, observer_);
    return puller.Pull(*ParseReference(text), sha256);
  }

  TestingAnswer Answer(const HttpRequest& request) {
    if (request.url.path.starts_with("/api/")) return tree_;
    if (request.url.text.ends_with("no.gguf")) return {.status = 404};
    return {.headers = {{"content-length", std::to_string(kModelBody.size())}}, .body = kModelBody};
  }

  TestingFolder root_;
  ModelFolder folder_{root_ / "models"};
  TestingAnswer tree_{.body = R"([{"type":"file","path":"m-Q4_K_M.gguf","size":13,"lfs":{"oid":")" + HexSumOf(kModelBody) + R"("}},
                                  {"type":"file","path":"m-Q8_0.gguf","size":13,"lfs":{"oid":")" +
                              std::string(64, '0') + R"("}},
                                  {"type":"file","path":"no.gguf","size":13}])"};
  TestingTransport transport_{[this](const HttpRequest& request) { return Answer(request); }};
  TestingPatience patience_;
  TestingObserver observer_;
  bool is_model_ = true;
  std::vector<std::string> checked_;
};

TEST_F(PullerTest, ARepositoryByDefault) {
  const auto pulled = Pull("hf:o/r");
  ASSERT_TRUE(pulled);
  EXPECT_FALSE(pulled->was_there);
  EXPECT_EQ(pulled->file, root_ / "models/hf/o/r/m-Q4_K_M.gguf");
  EXPECT_EQ(ReadTestFile(pulled->file), kModelBody);
  const ModelOrigin origin = folder_.ReadOrigin(pulled->file);
  EXPECT_EQ(origin.source, "https://mirror/o/r/resolve/main/m-Q4_K_M.gguf");
  EXPECT_EQ(origin.sha256, HexSumOf(kModelBody));
  EXPECT_EQ(origin.reference, "hf:o/r");
  EXPECT_TRUE(observer_.notes.empty());
}

TEST_F(PullerTest, WhatIsNoModelGetsNoName) {
  is_model_ = false;
  for (const char* text : {"hf:o/r", "https://host/m-Q4_K_M.gguf"}) {
    const auto pulled = Pull(text);
    ASSERT_FALSE(pulled);
    EXPECT_EQ(pulled.error().code, ErrorCode::kInvalidArgument);
    EXPECT_TRUE(pulled.error().message.starts_with("m-Q4_K_M.gguf is no model: what https://")) << pulled.error().message;
    EXPECT_TRUE(folder_.List().empty());
  }
  EXPECT_EQ(checked_, (std::vector<std::string>(2, "m-Q4_K_M.gguf.part"))) << "the file has no name before it is checked";
}

TEST_F(PullerTest, TheSecondTimeAsksNobody) {
  for (const char* text : {"hf:o/r", "hf:o/r:m-Q4_K_M.gguf", "https://host/m.gguf"}) {
    ASSERT_TRUE(Pull(text));
    const std::size_t requests = transport_.requests.size();
    const auto again = Pull(text);
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->was_there);
    EXPECT_EQ(transport_.requests.size(), requests) << text;
  }
}

TEST_F(PullerTest, TheSumOfTheListIsChecked) {
  const auto pulled = Pull("hf:o/r:Q8_0");
  ASSERT_FALSE(pulled);
  EXPECT_NE(pulled.error().message.find(std::string(64, '0')), std::string::npos);
  EXPECT_TRUE(folder_.List().empty());
}

TEST_F(PullerTest, AGivenSumAgainstTheListEndsAtOnce) {
  EXPECT_FALSE(Pull("hf:o/r", std::string(64, 'f')));
  EXPECT_EQ(transport_.requests.size(), 1U);
}

TEST_F(PullerTest, AGivenSumIsCheckedWhereTheFileIsThere) {
  ASSERT_TRUE(Pull("https://host/m.gguf"));
  EXPECT_TRUE(Pull("https://host/m.gguf", HexSumOf(kModelBody)));
  const auto wrong = Pull("https://host/m.gguf", std::string(64, 'f'));
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("remove it and pull again"), std::string::npos);
}

TEST_F(PullerTest, AnAddressWithoutASumSaysSo) {
  ASSERT_TRUE(Pull("https://host/m.gguf?key=secret"));
  ASSERT_EQ(observer_.notes.size(), 1U);
  EXPECT_NE(observer_.notes[0].find(HexSumOf(kModelBody)), std::string::npos);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root_.path())) {
    if (entry.is_regular_file()) {
      EXPECT_EQ(ReadTestFile(entry.path()).find("secret"), std::string::npos) << entry;
    }
  }
}

TEST_F(PullerTest, TheTokenGoesToTheEndpointAlone) {
  ASSERT_TRUE(Pull("https://host/m.gguf"));
  EXPECT_EQ(RequestHeader(transport_.requests[0], "Authorization"), "");
  ASSERT_TRUE(Pull("https://mirror/m.gguf"));
  EXPECT_EQ(RequestHeader(transport_.requests[1], "Authorization"), "Bearer hf_abc");
}

TEST_F(PullerTest, ABuiltInName) {
  const auto pulled = Pull("Qwen3-0.6B");
  ASSERT_TRUE(pulled);
  EXPECT_EQ(pulled->file, root_ / "models/Qwen3-0.6B-Q4_K_M.gguf");
  ASSERT_EQ(transport_.requests.size(), 1U);
  EXPECT_EQ(transport_.requests[0].url.text, "https://mirror/unsloth/Qwen3-0.6B-GGUF/resolve/main/Qwen3-0.6B-Q4_K_M.gguf");
  EXPECT_EQ(folder_.ReadOrigin(pulled->file).reference, "qwen3-0.6b");
}

TEST_F(PullerTest, UnknownNamesAndMissingFiles) {
  EXPECT_EQ(Pull("smolm2").error().code, ErrorCode::kNotFound);
  const auto missing = Pull("hf:o/r:no.gguf");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("404"), std::string::npos);
  EXPECT_FALSE(Pull("hf:o/r:Q5_K_M"));
}

TEST_F(PullerTest, WhatAnotherPullBroughtIsTaken) {
  const auto target = root_ / "models/hf/o/r/m-Q4_K_M.gguf";
  std::filesystem::create_directories(target.parent_path());
  auto other = PartialFile::Open(target, patience_, [] {});
  ASSERT_TRUE(other->StartOver({}));
  ASSERT_TRUE(other->Append("GGUF of the other"));
  patience_.on_wait = [&] { ASSERT_TRUE(other->Finish()); };
  const auto pulled = Pull("hf:o/r");
  ASSERT_TRUE(pulled);
  EXPECT_TRUE(pulled->was_there);
  EXPECT_EQ(ReadTestFile(target), "GGUF of the other");
  EXPECT_FALSE(std::filesystem::exists(target.string() + ".part"));
  ASSERT_EQ(observer_.notes.size(), 1U);
  EXPECT_NE(observer_.notes[0].find("waiting for it"), std::string::npos);
}

TEST_F(PullerTest, HostileNamesInTheListAreNotWritten) {
  tree_.body = R"([{"type":"file","path":"../../../evil-Q4_K_M.gguf","size":13}])";
  EXPECT_FALSE(Pull("hf:o/r"));
  EXPECT_FALSE(Pull("hf:o/r:Q4_K_M"));
  EXPECT_FALSE(std::filesystem::exists(root_ / "evil-Q4_K_M.gguf"));
}

}  // namespace
}  // namespace cllm
