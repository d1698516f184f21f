#include "api/known_fields.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "api/json_object.h"

namespace cllm {
namespace {

TEST(IsMisspeltTest, OneEditOrOneSwap) {
  for (const char* word : {"temperatur", "temperaturee", "temperatura", "ttemperature", "emperature", "tempertaure", "Temperature",
                           "etmperature", "temperatuer"}) {
    EXPECT_TRUE(IsMisspelt(word, "temperature")) << word;
  }
  for (const char* word : {"temperature", "temp", "", "temperatu", "temperatureee", "tmepertaure", "pressure", "erutarepmet"}) {
    EXPECT_FALSE(IsMisspelt(word, "temperature")) << word;
  }
  EXPECT_TRUE(IsMisspelt("top_j", "top_k"));
  EXPECT_FALSE(IsMisspelt("m", "n")) << "the name of one letter would be near to every other";
  EXPECT_FALSE(IsMisspelt("id", "n"));
}

TEST(KnownFieldsTest, AnOwnFieldBeatsASharedOne) {
  constexpr KnownField kOwn[] = {{"echo", "[false]"}};
  constexpr KnownField kShared[] = {{"echo", nullptr}, {"user", nullptr}};
  const KnownFields fields(kOwn, kShared);
  EXPECT_EQ(fields.Find("echo"), &kOwn[0]);
  EXPECT_EQ(fields.Find("user"), &kShared[1]);
  EXPECT_EQ(fields.Find("nobody"), nullptr);
  EXPECT_EQ(fields.Near("uses"), "user");
  EXPECT_EQ(fields.Near("nobody"), "");
}

// Fields of the peers' APIs, spot checks of the list; the values ask for something that there is not.
TEST(KnownFieldsTest, WhatAsksForSomethingIsRefusedByItsName) {
  const char* fields = R"({"return_tokens": true, "return_progress": true, "timings_per_token": true, "mirostat": 2,
    "n_keep": 5, "top_a": 0.2, "tfs_z": 0.5, "typical_p": 0.9, "dry_multiplier": 0.8, "xtc_probability": 0.1, "dynatemp_range": 0.5,
    "length_penalty": 1.2, "use_beam_search": true, "prompt_logprobs": 3,
    "lora": [{"id": 0, "scale": 1}], "audio": {"voice": "v"},
    "modalities": ["text", "audio"],
    "documents": [{}], "truncate_prompt_tokens": 5, "bad_words": ["x"], "min_keep": 3, "n_probs": 4,
    "options": {"num_ctx": 1}, "do_sample": false,
    "safe_prompt": true, "plugins": [{}], "web_search_options": {"search_context_size": "low"}, "verbosity": "low"})";
  const Json all = Json::parse(fields);
  for (const auto& item : all.items()) {
    for (const KnownFields& known : {ChatFields(), CompletionFields()}) {
      const Json body{{item.key(), item.value()}};
      IgnoredFields ignored;
      const Status status = JsonObject(body, {}, &ignored).Finish(known);
      ASSERT_FALSE(status) << item.key();
      EXPECT_EQ(status.error().field, item.key());
      EXPECT_NE(status.error().message.find("is not supported"), std::string::npos) << status.error().message;
    }
  }
}

TEST(KnownFieldsTest, ValuesThatAskForNothingAreLetIn) {
  const Json body = Json::parse(R"({"return_tokens": false, "return_progress": false, "timings_per_token": false, "mirostat": 0,
    "n_keep": 0.0, "top_a": 0, "tfs_z": 1.0, "typical_p": 1, "dry_multiplier": 0, "xtc_probability": 0.0, "dynatemp_range": 0,
    "length_penalty": 1.0, "use_beam_search": false, "prompt_logprobs": null, "lora": [], "audio": null,
    "modalities": ["text"],
    "store": true, "metadata": {"a": null}, "user": "u",
    "service_tier": "auto", "options": {}, "do_sample": true, "safe_prompt": false, "dry_sequence_breakers": ["\n"], "verbosity": "medium"})");
  for (const KnownFields& known : {ChatFields(), CompletionFields()}) {
    const Status status = JsonObject(body).Finish(known);
    EXPECT_TRUE(status) << status.error().message;
  }
}

}  // namespace
}  // namespace cllm
