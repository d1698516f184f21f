#include "cli/settings_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "config/yaml_config.h"

namespace cllm {
namespace {

class SettingsCheckTest : public testing::Test {
 protected:
  SettingsCheckTest() { DeclareOptions(options_, table_); }

  // Each finding as "line kind key" and its message behind it.
  std::vector<std::string> Check(const std::string& yaml, int cores = 4) {
    EXPECT_TRUE(ApplyYamlText(yaml, "c.yaml", table_));
    std::vector<std::string> found;
    for (const SettingFinding& finding : CheckSettings(options_, table_, cores)) {
      found.push_back(finding.source.Text() + (finding.is_error ? " error " : " warning ") + finding.key + ": " + finding.message);
    }
    return found;
  }

  ServeOptions options_;
  OptionTable table_;
};

TEST_F(SettingsCheckTest, DefaultsAreNeverToBlame) {
  EXPECT_TRUE(Check("").empty());
  EXPECT_TRUE(Check("", 1).empty());
  options_.http.min_threads = 9;  // as if the defaults contradicted each other
  EXPECT_TRUE(Check("").empty());
}

TEST_F(SettingsCheckTest, WhatHoldsTogetherIsFine) {
  EXPECT_TRUE(Check("server: {min_threads: 4, num_threads: 4}\nmodel: {max_context_length: 1024, default_max_tokens: 1023}\n"
                    "backend: {llama_cpp: {n_threads: 4, n_seq_max: 8, kv_type: q8_0, main_gpu: 1, split_mode: none}}\n"
                    "scheduler: {max_batch_size: 8, batch_timeout_ms: 999, request_timeout: 1.0}\n")
                  .empty());
}

TEST_F(SettingsCheckTest, EventLoops) {
  EXPECT_EQ(Check("server:\n  num_threads: 2\n  min_threads: 3\n"),
            (std::vector<std::string>{"c.yaml:3 warning server.min_threads: min_threads 3 is more than num_threads 2: there "
                                      "will be 3 event loops"}));
}

TEST_F(SettingsCheckTest, TheSettingThatWasMadeIsBlamed) {
  const std::vector<std::string> found = Check("server:\n  min_threads: 9\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].starts_with("c.yaml:2 warning server.min_threads: ")) << found[0];
}

TEST_F(SettingsCheckTest, AnAnswerLongerThanTheContext) {
  EXPECT_TRUE(Check("model: {max_context_length: 64}").empty());  // the default answer is as long as there is room
  const std::vector<std::string> found = Check("model:\n  max_context_length: 64\n  default_max_tokens: 64\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].starts_with("c.yaml:3 warning model.default_max_tokens: 64 tokens never fit")) << found[0];
}

TEST_F(SettingsCheckTest, TheTrainedContextIsNotZeroTokens) {
  EXPECT_TRUE(Check("model: {max_context_length: trained, default_max_tokens: 64}").empty());
}

TEST_F(SettingsCheckTest, AModelThatServeWouldRefuseIsAnError) {
  EXPECT_EQ(Check("model: {path: /nowhere/x.gguf}"),
            (std::vector<std::string>{"c.yaml:1 error model.path: cannot open /nowhere/x.gguf: No such file or "
                                      "directory"}));
}

TEST_F(SettingsCheckTest, AModelByNameIsNotFetched) {
  EXPECT_TRUE(Check("model: {path: smollm2-135m}").empty());
  EXPECT_TRUE(Check("model: {path: \"hf:owner/repo:Q8_0\"}").empty());
  const std::vector<std::string> found = Check("model: {path: \"hf:owner\"}");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].starts_with("c.yaml:1 error model.path: ")) << found[0];
}

// Each is what the server would refuse once it starts.
TEST_F(SettingsCheckTest, KeysOriginsAndCertificate) {
  EXPECT_TRUE(Check("server: {api_keys: [one, two]}\nhttp: {cors_origins: [\"https://example.org\"]}").empty());
  const std::vector<std::string> found =
      Check("server:\n  api_key_file: /nowhere/keys\n  tls_key: /nowhere/key.pem\nhttp:\n  cors_origins: [nonsense]\n");
  std::vector<std::string> starts;
  for (const std::string& line : found) starts.push_back(line.substr(0, line.find(':', 8)));
  std::ranges::sort(starts);
  EXPECT_EQ(starts, (std::vector<std::string>{"c.yaml:2 error server.api_key_file", "c.yaml:3 error server.tls_key",
                                              "c.yaml:5 error http.cors_origins"}));
}

TEST_F(SettingsCheckTest, Engine) {
  const std::vector<std::string> found = Check(
      "backend:\n  llama_cpp:\n    n_threads: 5\n    n_gpu_layers: 3\n    kv_type: q4_0\n    flash_attention: off\n"
      "    main_gpu: 1\n    n_seq_max: 64\n");
  std::vector<std::string> starts;
  for (const std::string& line : found) starts.push_back(line.substr(0, line.find(':', 8)));
  const auto has = [&](const std::string& start) { return std::ranges::count(starts, start) == 1; };
  EXPECT_TRUE(has("c.yaml:3 warning backend.llama_cpp.n_threads"));
  EXPECT_EQ(has("c.yaml:4 warning backend.llama_cpp.n_gpu_layers"), !Model::HasGpuSupport());
  EXPECT_TRUE(has("c.yaml:5 error backend.llama_cpp.kv_type"));
  EXPECT_TRUE(has("c.yaml:7 warning backend.llama_cpp.main_gpu"));
  EXPECT_TRUE(has("c.yaml:8 warning backend.llama_cpp.n_seq_max"));
  EXPECT_EQ(found.size(), Model::HasGpuSupport() ? 4u : 5u);
}

TEST_F(SettingsCheckTest, AQuantisedCacheNeedsFlashAttention) {
  for (const std::string type : {"q8_0", "q4_0"}) {
    const std::vector<std::string> found = Check("backend.llama_cpp: {kv_type: " + type + ", flash_attention: off}");
    ASSERT_EQ(found.size(), 1u) << type;
    EXPECT_TRUE(found[0].starts_with("c.yaml:1 error backend.llama_cpp.kv_type: ")) << found[0];
  }
  EXPECT_TRUE(Check("backend.llama_cpp: {kv_type: f16, flash_attention: off}").empty());
}

TEST_F(SettingsCheckTest, AKeyThatNoClientCanSend) {
  const std::vector<std::string> found = Check("server: {api_keys: [one, \"t wo\"]}");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].starts_with("c.yaml:1 error server.api_keys: ")) << found[0];
}

TEST_F(SettingsCheckTest, ADeadlineShorterThanTheDefaultWait) {
  const std::vector<std::string> found = Check("scheduler: {request_timeout: 0.001}");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].starts_with("c.yaml:1 warning scheduler.request_timeout: a wait of up to ")) << found[0];
}

TEST_F(SettingsCheckTest, Scheduler) {
  const std::vector<std::string> found = Check(
      "scheduler: {batch_timeout_ms: 1000, request_timeout: 1.0}\n"
      "backend.llama_cpp: {tensor_split: [1, 2], split_mode: none}\n");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found[0].starts_with("c.yaml:2 warning backend.llama_cpp.tensor_split: has no effect")) << found[0];
  EXPECT_TRUE(found[1].starts_with("c.yaml:1 warning scheduler.batch_timeout_ms: a wait of up to 1000 ms")) << found[1];
}

}  // namespace
}  // namespace cllm
