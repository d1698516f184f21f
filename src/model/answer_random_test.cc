// Transcripts of many formats, cut, mixed and disturbed.
#include <gtest/gtest.h>

#include <random>

#include "base/testing_build.h"
#include "base/utf8.h"
#include "model/testing_answer_checks.h"
#include "model/testing_answer_transcripts.h"

namespace cllm {
namespace {

class Disturber {
 public:
  explicit Disturber(const std::vector<AnswerFamily>& families) : families_(families) {}

  // Mostly of that family.
  std::string Next(std::size_t family) {
    family_ = family;
    std::string text = Pick();
    for (std::size_t i = 1 + Below(3); i > 0; --i) text = Disturbed(std::move(text));
    std::string valid;
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t size = CharacterLength(rest);
      valid += size == 0 ? "?" : rest.substr(0, size);
      rest.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return valid;
  }

 private:
  std::size_t Below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }
  const std::string& Pick() {
    const std::vector<AnswerCase>& cases = families_[Below(8) > 0 ? family_ : Below(families_.size())].cases;
    return cases[Below(cases.size())].text;
  }

  std::string Disturbed(std::string text) {
    static const std::vector<std::string> kPieces = {"Q",        "QQ ",         "\n",
                                                     " ",        "{",           "}",
                                                     "\"",       "\\",          "<",
                                                     "[",        "]",           "'",
                                                     ",",        ":",           "<think>",
                                                     "</think>", "<tool_call>", "</tool_call>",
                                                     "😀Q",      "null",        "{\"name\": \"",
                                                     "\x01"};
    const std::size_t at = Below(text.size() + 1);
    switch (Below(6)) {
      case 0:
        return text.substr(0, at);
      case 1:
        return text.substr(at);
      case 2:
        return text + Pick();
      case 3:
        return text.erase(at, 1 + Below(8));
      default:
        return text.insert(at, kPieces[Below(kPieces.size())]);
    }
  }

  std::mt19937 random_{20260101};
  const std::vector<AnswerFamily>& families_;
  std::size_t family_ = 0;
};

// Ids, and what harmony calls a type or a format, may hold Qs that nobody sees.
bool NamesAFormat(const std::string& text) {
  const std::string final_message = "<|channel|>final";
  for (std::size_t at = text.find(final_message); at != std::string::npos; at = text.find(final_message, at + 1)) {
    if (!std::string_view(text).substr(at + final_message.size()).starts_with("<|message|>")) return true;
  }
  return false;
}

// Formats without a family get texts of others.
TEST(AnswerRandom, NothingThatHoldsOfAnswersBreaks) {
  const std::vector<AnswerFamily> families = AllAnswerFamilies();
  Disturber disturber(families);
  std::vector<std::shared_ptr<const AnswerFormat>> formats;
  for (const AnswerFamily& family : families) formats.push_back(FormatOf(family.templates.front(), family.chat));
  for (const char* name : {"google-gemma-4-31B-it", "GLM-4.6", "Kimi-K2-Instruct", "MiniMax-M2", "MiniMax-M3", "LFM2-8B-A1B",
                           "deepseek-ai-DeepSeek-V3.2", "NVIDIA-Nemotron-Nano-v2", "Apertus-8B-Instruct", "ByteDance-Seed-OSS"}) {
    formats.push_back(FormatOf(name, TestChat()));
  }
  const int texts = kIsSanitized ? 500 : 10'000;
  int wrong = 0;
  int calls = 0;
  for (int i = 0; i < texts && wrong < 10; ++i) {
    const std::size_t chosen = static_cast<std::size_t>(i) % formats.size();
    const std::string text = disturber.Next(chosen % families.size());
    const bool all_q = !text.contains("id\"") && !text.contains("[CALL_ID]") && !text.contains("to=functions") && !NamesAFormat(text);
    const std::string problem = WhatIsWrong(formats[chosen], text, all_q);
    EXPECT_EQ(problem, "") << chosen << "\n" << text << "\n→ " << ReadWhole(formats[chosen], text).Shown();
    wrong += !problem.empty();
    calls += ReadWhole(formats[chosen], text).Shown().find("T[") != std::string::npos;
  }
  EXPECT_GT(calls, texts / 20);
}

}  // namespace
}  // namespace cllm
