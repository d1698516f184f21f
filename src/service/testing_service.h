// A service of the toy model for tests, and what the toy answers.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/utf8.h"
#include "engine/fake/fake_engine.h"
#include "service/service.h"
#include "service/testing_gate.h"
#include "service/testing_toys.h"

namespace cllm {

// The toy model's bytes after `prompt`. A banned end token leaves all other tokens equal, so the lowest one follows.
inline std::string ToyAnswer(std::string prompt, int most, bool ignore_eos = false) {
  std::string answer;
  while (static_cast<int>(answer.size()) < most) {
    std::vector<TokenId> context;
    for (const unsigned char byte : prompt) context.push_back(byte);
    TokenId next = FakeEngine::NextToken(context, 256);
    if (next == ToyTextModel::kEndToken) {
      if (!ignore_eos) break;
      next = 0;
    }
    answer += static_cast<char>(next);
    prompt += static_cast<char>(next);
  }
  return answer;
}

inline std::string ShownText(const std::string& bytes) {
  Utf8Assembler assembler;
  std::string text = assembler.Push(bytes);
  return text + assembler.Finish();
}

// A prompt whose answer of `most` tokens meets the end token after at least one token, or does not.
inline std::string PromptThatEnds(bool ends, int most) {
  for (int i = 0;; ++i) {
    const std::string prompt = fmt::format("p{}", i);
    const auto length = static_cast<int>(ToyAnswer(prompt, most).size());
    if (ends ? length > 0 && length < most : length == most) return prompt;
  }
}

inline GenerateRequest GreedyRequest(std::string prompt, std::optional<int> max_tokens) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  return request;
}

class ServiceTest : public testing::Test {
 protected:
  void Start(FakeEngineOptions engine = {}, SchedulerOptions options = {}, bool held = false, const ResultCacheOptions& cache = {}) {
    engine.on_step = gate_.Hook();
    if (!held) gate_.Open();
    engine_ = std::make_unique<FakeEngine>(std::move(engine));
    service_ = std::make_unique<Service>(model_, *engine_, options, [this] { ++steps_sent_; }, 0, cache);
  }
  ~ServiceTest() override { gate_.Open(); }

  std::shared_ptr<RememberingSink> Submit(GenerateRequest request) {
    auto sink = std::make_shared<RememberingSink>();
    const auto control = service_->Submit(std::move(request), sink);
    EXPECT_TRUE(control) << (control ? "" : control.error().message);
    if (control) control_ = *control;
    return sink;
  }

  Error ErrorOf(GenerateRequest request) {
    const auto end = Submit(std::move(request))->WaitForEnd();
    EXPECT_FALSE(end.status);
    return end.status ? Error{} : end.status.error();
  }

  static TimePoint Now() { return std::chrono::steady_clock::now(); }
  // Long enough for any machine; a test that waits this long has failed.
  static TimePoint Later() { return Now() + std::chrono::minutes(5); }

  ToyTextModel model_;
  StepGate gate_;
  std::unique_ptr<FakeEngine> engine_;
  std::atomic<int> steps_sent_ = 0;
  std::unique_ptr<Service> service_;
  std::shared_ptr<RequestControl> control_;
};

}  // namespace cllm
