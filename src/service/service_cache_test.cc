#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "service/testing_service.h"

namespace cllm {
namespace {

class ResultCacheServiceTest : public ServiceTest {
 protected:
  ResultCacheServiceTest() { Start({}, {}, false, {.max_memory_mb = 1, .ttl_s = 1000}); }

  // The steps that the engine computed for the request.
  std::int64_t StepsFor(GenerateRequest request) {
    const std::int64_t before = service_->stats().loop.steps;
    sink_ = Submit(std::move(request));
    end_ = sink_->WaitForEnd();
    EXPECT_TRUE(service_->WaitUntilIdle(Later()));
    return service_->stats().loop.steps - before;
  }

  std::shared_ptr<RememberingSink> sink_;
  GenerationEnd end_;
};

TEST_F(ResultCacheServiceTest, ARepeatedGreedyRequestIsNotComputedAndLooksTheSame) {
  for (const bool ends : {true, false}) {
    const std::string prompt = PromptThatEnds(ends, 20);
    EXPECT_GT(StepsFor(GreedyRequest(prompt, 20)), 0);
    const auto first = sink_;
    const GenerationEnd first_end = end_;
    EXPECT_FALSE(first->start().is_cached);
    EXPECT_EQ(StepsFor(GreedyRequest(prompt, 20)), 0);
    EXPECT_TRUE(sink_->start().is_cached);
    EXPECT_TRUE(end_.status);
    EXPECT_EQ(end_.reason, first_end.reason);
    EXPECT_EQ(end_.generated_tokens, first_end.generated_tokens);
    EXPECT_EQ(end_.cached_tokens, end_.prompt_tokens);
    ASSERT_EQ(sink_->deltas().size(), first->deltas().size()) << "frame by frame";
    for (std::size_t i = 0; i < first->deltas().size(); ++i) {
      EXPECT_EQ(sink_->deltas()[i].text, first->deltas()[i].text);
    }
  }
  EXPECT_EQ(service_->result_cache_stats().hits, 2);
}

TEST_F(ResultCacheServiceTest, AnotherParameterOrPromptIsComputed) {
  const std::string prompt = PromptThatEnds(false, 20);
  StepsFor(GreedyRequest(prompt, 20));
  EXPECT_GT(StepsFor(GreedyRequest(prompt, 19)), 0);
  EXPECT_GT(StepsFor(GreedyRequest(prompt + "x", 20)), 0);
  GenerateRequest stops = GreedyRequest(prompt, 20);
  stops.stop = {"never"};
  EXPECT_GT(StepsFor(std::move(stops)), 0);
}

TEST_F(ResultCacheServiceTest, NeitherAnAnswerNorAPrefixIsAnothersWithAnotherSaltOrOwner) {
  const std::string prompt = PromptThatEnds(false, 20);
  const auto ask = [&](const char* owner, const char* salt) {
    GenerateRequest request = GreedyRequest(prompt, 20);
    request.cache_owner = owner;
    request.cache_salt = salt;
    const std::int64_t steps = StepsFor(std::move(request));
    EXPECT_EQ(steps == 0, end_.cached_tokens == end_.prompt_tokens);
    return std::pair(steps > 0, end_.cached_tokens);
  };
  const std::pair computed(true, 0);
  for (const auto& [owner, salt] : {std::pair("", ""), {"a", ""}, {"b", ""}, {"", "a"}, {"a", "s"}, {"a", "t"}}) {
    EXPECT_EQ(ask(owner, salt), computed) << owner << salt;
  }
  EXPECT_EQ(service_->result_cache_stats().hits, 0);
  EXPECT_EQ(service_->stats().loop.cached_prompt_tokens, 0);
  EXPECT_FALSE(ask("a", "s").first) << "its own are there";
}

TEST_F(ResultCacheServiceTest, WithLogprobsTheyComeBackToo) {
  const std::string prompt = PromptThatEnds(false, 5);
  GenerateRequest request = GreedyRequest(prompt, 5);
  request.sampling.top_logprobs = 2;
  StepsFor(request);
  const auto first = sink_->tokens();
  EXPECT_EQ(StepsFor(request), 0);
  ASSERT_EQ(sink_->tokens().size(), 5U);
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(sink_->tokens()[i].token.logprob, first[i].token.logprob);
    EXPECT_EQ(sink_->tokens()[i].token.top, first[i].token.top);
    EXPECT_EQ(sink_->tokens()[i].top_bytes, first[i].top_bytes);
  }
}

TEST_F(ResultCacheServiceTest, OnlyASeedMakesASampledRequestRepeatable) {
  GenerateRequest request = GreedyRequest(PromptThatEnds(false, 20), 20);
  request.sampling.temperature = 1;
  EXPECT_GT(StepsFor(request), 0);
  EXPECT_GT(StepsFor(request), 0);
  request.seed = 5;
  EXPECT_GT(StepsFor(request), 0);
  EXPECT_EQ(StepsFor(request), 0);
  EXPECT_EQ(end_.seed, 5U);
  request.seed = 6;
  EXPECT_GT(StepsFor(request), 0);
}

TEST_F(ResultCacheServiceTest, AStopStringCutsTheSameAgain) {
  const std::string prompt = PromptThatEnds(false, 20);
  StepsFor(GreedyRequest(prompt, 20));
  GenerateRequest request = GreedyRequest(prompt, 20);
  request.stop = {sink_->deltas().at(3).text};
  EXPECT_GT(StepsFor(request), 0);
  const std::string text = sink_->text();
  EXPECT_EQ(StepsFor(request), 0);
  EXPECT_EQ(sink_->text(), text);
  EXPECT_EQ(end_.reason, FinishReason::kStop);
}

TEST_F(ServiceTest, AnAnswerThatDidNotFinishIsNotKept) {
  Start({}, {}, /*held=*/true, {.max_memory_mb = 1, .ttl_s = 1000});
  const std::string prompt = PromptThatEnds(false, 20);
  const auto sink = Submit(GreedyRequest(prompt, 20));
  gate_.WaitForStep();
  control_->Send(RequestControl::Signal::kCancel);
  gate_.Open();
  EXPECT_FALSE(sink->WaitForEnd().status);
  EXPECT_EQ(service_->result_cache_stats().entries, 0);
  EXPECT_EQ(Submit(GreedyRequest(prompt, 20))->WaitForEnd().generated_tokens, 20);
}

}  // namespace
}  // namespace cllm
