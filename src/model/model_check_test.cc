// The probe is played by shell scripts here; the real one is tested through the program (tests/e2e).
#include "model/model_check.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "formats/testing_gguf.h"

namespace cllm {
namespace {

class ModelCheckTest : public testing::Test {
 protected:
  ModelCheckTest() : folder_(testing::TempDir() + "model_check_" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
    TestingGguf file;
    file.String("general.architecture", "llama").Uint32("llama.block_count", 1).Uint32("llama.context_length", 64);
    file.Uint32("llama.embedding_length", 32).String("tokenizer.ggml.model", "gpt2").Strings("tokenizer.ggml.tokens", {"a", "b"});
    std::ofstream(Model(), std::ios::binary) << file.Tensor("token_embd.weight", {32, 2}, 0, 256).Bytes();
  }
  ~ModelCheckTest() override { std::filesystem::remove_all(folder_); }

  std::string Model() const { return folder_ + "/model.gguf"; }
  std::string Count() const { return folder_ + "/count"; }

  std::string Probe() const { return folder_ + "/probe"; }

  // Each run adds a letter to the file Count(). Written anew and renamed, so that it is another program each time.
  void WriteProbe(const std::string& script) {
    const std::string fresh = Probe() + std::to_string(++probes_);
    std::ofstream(fresh) << "#!/bin/sh\nprintf x >>" << Count() << "\n" << script << "\n";
    chmod(fresh.c_str(), 0700);
    std::filesystem::rename(fresh, Probe());
  }
  Status Check(std::chrono::milliseconds timeout = std::chrono::seconds(60)) const {
    return CheckModelFile(Model(),
                          {.probe_command = {Probe(), "probe-model"}, .verdicts_path = folder_ + "/verdicts", .probe_timeout = timeout});
  }
  std::size_t Runs() const { return std::filesystem::exists(Count()) ? std::filesystem::file_size(Count()) : 0; }

  void ExpectRefused(const std::string& script, std::string_view part) {
    WriteProbe(script);
    const Status status = Check();
    ASSERT_FALSE(status) << script;
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(status.error().message.find(part), std::string::npos) << status.error().message;
    EXPECT_EQ(status.error().message.find('\n'), std::string::npos) << status.error().message;
    EXPECT_LT(status.error().message.size(), 1000U);
  }

 private:
  std::string folder_;
  int probes_ = 0;
};

TEST_F(ModelCheckTest, TheProbeGetsThePath) {
  WriteProbe("[ \"$1\" = probe-model ] && [ \"$2\" = " + Model() + " ] && echo good");
  const Status status = Check();
  EXPECT_TRUE(status) << status.error().message;
}

TEST_F(ModelCheckTest, AGoodFileIsTriedAgainOnlyWhenItOrTheProgramChanges) {
  WriteProbe("echo some message; echo good");
  EXPECT_TRUE(Check());
  EXPECT_TRUE(Check());
  EXPECT_EQ(Runs(), 1U);
  std::ofstream(Model(), std::ios::binary | std::ios::app) << "more";
  EXPECT_TRUE(Check());
  EXPECT_TRUE(Check());
  EXPECT_EQ(Runs(), 2U);
  WriteProbe("echo good");
  EXPECT_TRUE(Check());
  EXPECT_EQ(Runs(), 3U);
}

TEST_F(ModelCheckTest, MessagesBehindTheVerdictDoNoHarm) {
  WriteProbe("echo good; echo late; echo later");
  EXPECT_TRUE(Check());
}

TEST_F(ModelCheckTest, ARefusedFileIsTriedEachTime) {
  WriteProbe("echo 'refused: no'; exit 1");
  EXPECT_FALSE(Check());
  EXPECT_FALSE(Check());
  EXPECT_EQ(Runs(), 2U);
}

TEST_F(ModelCheckTest, AFileThatChangesMeanwhileIsNotRemembered) {
  WriteProbe("printf x >>\"$2\"; echo good");
  EXPECT_TRUE(Check());
  EXPECT_TRUE(Check());
  EXPECT_EQ(Runs(), 2U);
}

TEST_F(ModelCheckTest, SaysWhyTheProbeRefuses) {
  ExpectRefused("echo 'llama.cpp: x'; echo 'refused: llama.cpp cannot load m: unknown model'; exit 1",
                "llama.cpp cannot load m: unknown model");
  ExpectRefused("echo 'refused: because'; echo 'llama.cpp: late'; exit 1", "because");
  ExpectRefused("printf 'refused: a\\033[31m red one\n'; exit 1", "a\\x1b[31m red one");
  ExpectRefused("printf 'refused: '; yes long | head -c 5000 | tr '\\n' ' '; exit 1", "long long");
}

TEST_F(ModelCheckTest, SaysHowTheProbeDied) {
  ExpectRefused("echo 'llama.cpp: loading'; echo 'aborted: /where/built/model.cpp:7: GGML_ASSERT(n > 0) failed'; kill -ABRT $$",
                "model.gguf (Aborted): model.cpp:7: GGML_ASSERT(n > 0) failed");
  ExpectRefused("echo 'llama.cpp: loading tensors'; kill -SEGV $$", "(Segmentation fault): loading tensors");
  ExpectRefused("exit 3", "ended with exit code 3: it said nothing");
  ExpectRefused("exit 0", "ended with exit code 0");
  ExpectRefused("echo good; exit 1", "ended with exit code 1");
}

TEST_F(ModelCheckTest, AHangIsAnError) {
  WriteProbe("echo 'llama.cpp: thinking'; exec sleep 600");
  const Status status = Check(std::chrono::milliseconds(1500));
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("is not done with"), std::string::npos) << status.error().message;
  EXPECT_NE(status.error().message.find("after 1.5 s; its last message: thinking"), std::string::npos) << status.error().message;
}

TEST_F(ModelCheckTest, WhatOurReaderRefusesIsNotTried) {
  WriteProbe("echo good");
  std::ofstream(Model(), std::ios::binary) << "GGUF and nothing more, really";
  EXPECT_FALSE(Check());
  std::ofstream(Model(), std::ios::binary) << TestingGguf().String("general.architecture", "llama").Bytes();
  EXPECT_FALSE(Check());
  std::filesystem::remove(Model());
  EXPECT_FALSE(Check());
  EXPECT_EQ(Runs(), 0U);
}

TEST_F(ModelCheckTest, AProbeThatCannotStartIsAnError) {
  const Status status = CheckModelFile(Model(), {.probe_command = {"/none/such"}, .verdicts_path = ""});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("cannot start /none/such"), std::string::npos);
}

}  // namespace
}  // namespace cllm
