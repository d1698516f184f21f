#include "chat/settings.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

std::string ErrorOf(const Status& status) { return status ? "" : status.error().message; }

TEST(ChatSettings, NothingIsSetAtFirst) {
  ChatSettings settings;
  EXPECT_TRUE(settings.fields().empty());
  for (const ChatSettings::Known& known : ChatSettings::All()) EXPECT_EQ(settings.Text(known.name), "default");
}

TEST(ChatSettings, WhatIsSetReachesTheRequest) {
  ChatSettings settings;
  for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{{"temperature", "0.5"},
                                                                                   {"top_p", "0.9"},
                                                                                   {"top_k", "3"},
                                                                                   {"min_p", "0.25"},
                                                                                   {"repetition_penalty", "1.5"},
                                                                                   {"presence_penalty", "-1"},
                                                                                   {"frequency_penalty", "0.75"},
                                                                                   {"repeat_last_n", "-1"},
                                                                                   {"max_tokens", "17"},
                                                                                   {"seed", "42"},
                                                                                   {"stop", "###"}}) {
    EXPECT_EQ(ErrorOf(settings.Set(name, text)), "") << name;
  }
  GenerateRequest request;
  ASSERT_TRUE(settings.Apply(request));
  EXPECT_EQ(request.sampling.temperature, 0.5);
  EXPECT_EQ(request.sampling.top_p, 0.9);
  EXPECT_EQ(request.sampling.top_k, 3);
  EXPECT_EQ(request.sampling.min_p, 0.25);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.5);
  EXPECT_EQ(request.sampling.presence_penalty, -1);
  EXPECT_EQ(request.sampling.frequency_penalty, 0.75);
  EXPECT_EQ(request.sampling.penalty_last_n, kWholeContext);
  EXPECT_EQ(request.max_tokens, 17);
  EXPECT_EQ(request.seed, 42U);
  EXPECT_EQ(request.stop, std::vector<std::string>{"###"});
  EXPECT_EQ(settings.fields().size(), ChatSettings::All().size());
}

TEST(ChatSettings, AWrongValueChangesNothingAndSaysWhatIsRight) {
  ChatSettings settings;
  ASSERT_TRUE(settings.Set("temperature", "0.5"));
  EXPECT_EQ(ErrorOf(settings.Set("temperature", "3")), "temperature must be a number from 0 to 2, not 3");
  EXPECT_EQ(ErrorOf(settings.Set("temperature", "warm")), "temperature must be a number from 0 to 2, not \"warm\"");
  EXPECT_EQ(ErrorOf(settings.Set("temperature", "null")), "temperature cannot be null");
  EXPECT_EQ(ErrorOf(settings.Set("temperature", "1e999")), "temperature must be a number from 0 to 2, not \"1e999\"");
  EXPECT_EQ(ErrorOf(settings.Set("max_tokens", "0")),
            "max_tokens must be at least 1, or -1 for as many as the context has room for, not 0");
  EXPECT_EQ(ErrorOf(settings.Set("top_k", "1.5")).substr(0, 24), "top_k must be an integer");
  EXPECT_EQ(settings.Text("temperature"), "0.5");
  EXPECT_EQ(settings.Text("max_tokens"), "default");
}

TEST(ChatSettings, AnUnknownOneNamesTheNearest) {
  ChatSettings settings;
  EXPECT_EQ(ErrorOf(settings.Set("temprature", "1")), "there is no setting temprature; the nearest is temperature");
  EXPECT_EQ(ErrorOf(settings.Set("logit_bias", "{}")).substr(0, 30), "there is no setting logit_bias");
  EXPECT_FALSE(settings.Text("sed"));
}

TEST(ChatSettings, DefaultTakesAValueBack) {
  ChatSettings settings;
  ASSERT_TRUE(settings.Set("seed", "1"));
  EXPECT_EQ(settings.Text("seed"), "1");
  ASSERT_TRUE(settings.Set("seed", "default"));
  EXPECT_EQ(settings.Text("seed"), "default");
  EXPECT_TRUE(settings.fields().empty());
}

TEST(ChatSettings, StopIsTextOrJson) {
  const auto stops = [](const char* text) {
    ChatSettings settings;
    GenerateRequest request;
    EXPECT_EQ(ErrorOf(settings.Set("stop", text)), "");
    EXPECT_TRUE(settings.Apply(request));
    return request.stop;
  };
  using Stops = std::vector<std::string>;
  EXPECT_EQ(stops("two words"), Stops{"two words"});
  EXPECT_EQ(stops("42"), Stops{"42"});
  EXPECT_EQ(stops("\"\\n\\n\""), Stops{"\n\n"});
  EXPECT_EQ(stops("[\"a\", \"b\"]"), (Stops{"a", "b"}));
  EXPECT_EQ(stops("[a"), Stops{"[a"});
}

}  // namespace
}  // namespace cllm
