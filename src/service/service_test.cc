#include "service/service.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/utf8.h"
#include "engine/fake/fake_engine.h"
#include "service/testing_gate.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

using std::chrono::milliseconds;

// The toy model's bytes after `prompt`. A banned end token leaves all other tokens equal, so the lowest one follows.
std::string Bytes(std::string prompt, int most, bool ignore_eos = false) {
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

std::string Text(const std::string& bytes) {
  Utf8Assembler assembler;
  std::string text = assembler.Push(bytes);
  return text + assembler.Finish();
}

// A prompt whose answer of `most` tokens meets the end token after at least one token, or does not.
std::string PromptThatEnds(bool ends, int most) {
  for (int i = 0;; ++i) {
    const std::string prompt = fmt::format("p{}", i);
    const auto length = static_cast<int>(Bytes(prompt, most).size());
    if (ends ? length > 0 && length < most : length == most) return prompt;
  }
}

GenerateRequest Ask(std::string prompt, std::optional<int> max_tokens) {
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

TEST_F(ServiceTest, AnAnswerIsTheModelsTextAndItsEndHasTheFigures) {
  Start();
  const std::string prompt = PromptThatEnds(false, 20);
  GenerateRequest request = Ask(prompt, 20);
  request.seed = 5;
  const auto sink = Submit(std::move(request));
  const GenerationEnd end = sink->WaitForEnd();
  EXPECT_TRUE(end.status);
  EXPECT_EQ(sink->text(), Text(Bytes(prompt, 20)));
  EXPECT_EQ(end.reason, FinishReason::kLength);
  EXPECT_EQ(end.prompt_tokens, static_cast<int>(prompt.size()));
  EXPECT_EQ(end.generated_tokens, 20);
  EXPECT_EQ(end.seed, 5U);
  EXPECT_GT(end.response_time_s, 0);
  EXPECT_GE(end.response_time_s, end.generation_time_s);
  EXPECT_TRUE(service_->WaitUntilIdle(Later()));
  EXPECT_GT(steps_sent_, 0);
}

TEST_F(ServiceTest, PromptsAreTextTokensOrChats) {
  Start();
  const std::string prompt = PromptThatEnds(false, 8);
  GenerateRequest tokens = Ask("", 8);
  tokens.prompt = std::vector<TokenId>(prompt.begin(), prompt.end());
  GenerateRequest chat = Ask("", 8);
  chat.prompt = ChatPrompt{.messages = {{"system", prompt.substr(0, 1)}, {"user", prompt.substr(1)}}, .template_arguments = {}};
  for (GenerateRequest& request : std::vector{Ask(prompt, 8), tokens, chat}) {
    const auto sink = Submit(request);
    EXPECT_TRUE(sink->WaitForEnd().status);
    EXPECT_EQ(sink->text(), Text(Bytes(prompt, 8)));
  }
}

TEST_F(ServiceTest, NothingEndsAnAnswerBeforeItsMinTokens) {
  Start();
  const std::string prompt = PromptThatEnds(true, 60);
  const auto natural = static_cast<int>(Bytes(prompt, 60).size());
  GenerateRequest request = Ask(prompt, 60);
  request.min_tokens = natural + 3;
  const auto sink = Submit(request);
  EXPECT_TRUE(sink->WaitForEnd().status);
  EXPECT_GE(sink->WaitForEnd().generated_tokens, natural + 3);
  request.min_tokens = natural;
  const auto as_ever = Submit(request);
  EXPECT_EQ(as_ever->WaitForEnd().generated_tokens, natural) << "the end may come right after them";
  request.min_tokens = 61;
  EXPECT_EQ(ErrorOf(request),
            (Error{ErrorCode::kInvalidArgument, "min_tokens is 61, more than the 60 tokens that the answer may have", "min_tokens"}));
}

TEST_F(ServiceTest, FurtherStopTokensEndAnAnswerAlsoWhenTheEndOfTextIsIgnored) {
  Start();
  const std::string prompt = PromptThatEnds(false, 20);
  const auto answer = Bytes(prompt, 20);
  GenerateRequest request = Ask(prompt, 20);
  request.ignore_eos = true;
  request.stop_tokens = {static_cast<unsigned char>(answer[5]), 250};
  const auto sink = Submit(request);
  EXPECT_EQ(sink->WaitForEnd().reason, FinishReason::kStop);
  EXPECT_EQ(sink->text(), Text(answer.substr(0, answer.find(answer[5]))));
}

TEST_F(ServiceTest, TokenIdsBeyondTheVocabularyNameTheirField) {
  Start();
  const auto message = [&](const std::function<void(GenerateRequest&)>& change) {
    GenerateRequest request = Ask("x", 5);
    change(request);
    return ErrorOf(std::move(request)).message;
  };
  EXPECT_EQ(message([](auto& r) { r.stop_tokens = {256}; }), "stop_token_ids names token 256, the vocabulary has 256 tokens");
  EXPECT_EQ(message([](auto& r) { r.sampling.banned = {5, 300}; }), "banned_token_ids names token 300, the vocabulary has 256 tokens");
  EXPECT_EQ(message([](auto& r) { r.sampling.allowed = {256}; }), "allowed_token_ids names token 256, the vocabulary has 256 tokens");
}

TEST_F(ServiceTest, TheEndTokenEndsTheAnswerUnlessItIsIgnored) {
  Start();
  const std::string prompt = PromptThatEnds(true, 60);
  const auto stopped = Submit(Ask(prompt, 60));
  EXPECT_EQ(stopped->WaitForEnd().reason, FinishReason::kStop);
  EXPECT_EQ(stopped->text(), Text(Bytes(prompt, 60)));
  EXPECT_EQ(stopped->WaitForEnd().generated_tokens, static_cast<int>(Bytes(prompt, 60).size()));

  GenerateRequest request = Ask(prompt, 60);
  request.ignore_eos = true;
  const auto whole = Submit(std::move(request));
  EXPECT_EQ(whole->WaitForEnd().reason, FinishReason::kLength);
  EXPECT_EQ(whole->WaitForEnd().generated_tokens, 60);
  EXPECT_EQ(whole->text(), Text(Bytes(prompt, 60, true)));
}

TEST_F(ServiceTest, AStopStringCutsTheAnswerAndFreesTheEngine) {
  Start({.max_context = 4096});
  const std::string prompt = PromptThatEnds(false, 40);
  const std::string text = Text(Bytes(prompt, 40));
  const std::size_t at = text.find_first_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
  ASSERT_NE(at, std::string::npos);
  GenerateRequest request = Ask(prompt, 4000);
  request.ignore_eos = true;
  request.stop = {text.substr(at, 1)};
  const auto sink = Submit(std::move(request));
  EXPECT_EQ(sink->WaitForEnd().reason, FinishReason::kStop);
  EXPECT_EQ(sink->text(), text.substr(0, at));
  EXPECT_LE(sink->WaitForEnd().generated_tokens, 40);
  EXPECT_TRUE(service_->WaitUntilIdle(Later()));
  EXPECT_EQ(sink->ends(), 1);
}

TEST_F(ServiceTest, MaxTokensHasADefaultWithinTheContext) {
  Start({.max_context = 64});
  GenerateRequest request = Ask("0123456789", std::nullopt);
  request.ignore_eos = true;
  EXPECT_EQ(Submit(request)->WaitForEnd().generated_tokens, 54) << "all that there is room for";
  request.default_max_tokens = 16;
  EXPECT_EQ(Submit(request)->WaitForEnd().generated_tokens, 16);
  request.default_max_tokens = 600;
  EXPECT_EQ(Submit(request)->WaitForEnd().generated_tokens, 54) << "a default is no demand";
  request.max_tokens = 54;
  EXPECT_EQ(Submit(request)->WaitForEnd().generated_tokens, 54);
}

TEST_F(ServiceTest, APromptWithoutRoomIsAnErrorWithBothNumbers) {
  Start({.max_context = 64});
  const Error error = ErrorOf(Ask(std::string(65, 'a'), 15));
  EXPECT_EQ(error, (Error{ErrorCode::kContextLength,
                          "This model's maximum context length is 64 tokens. However, your prompt resulted in 65 tokens. Please reduce the "
                          "length of the prompt: the prompt is too long.",
                          "prompt"}));
  GenerateRequest chat = Ask("", 1'000'000'000);
  chat.prompt = ChatPrompt{.messages = {{"user", std::string(64, 'a')}}};
  EXPECT_EQ(ErrorOf(chat).field, "messages");
  EXPECT_EQ(ErrorOf(chat).message,
            "This model's maximum context length is 64 tokens. However, your messages resulted in 64 tokens, which leaves no room for an "
            "answer. Please reduce the length of the messages: the prompt is too long.");
  const Error full = ErrorOf(Ask(std::string(64, 'a'), std::nullopt));
  EXPECT_EQ(full.code, ErrorCode::kContextLength) << "one token must have room";
  EXPECT_TRUE(service_->WaitUntilIdle(Later())) << "a refused prompt is no open request";
}

TEST_F(ServiceTest, APromptThatWasNotTokenisedBecauseItCannotFitIsTheSameError) {
  Start({.max_context = 64});
  const Error error = ErrorOf(Ask(std::string(1000, 'a'), 1));
  EXPECT_EQ(error.code, ErrorCode::kContextLength);
  EXPECT_NE(error.message.find("at least 500 tokens"), std::string::npos) << error.message;
}

TEST_F(ServiceTest, ABoundAboveTheRoomIsABound) {
  Start({.max_context = 64});
  GenerateRequest request = Ask(std::string(50, 'a'), 15);
  request.ignore_eos = true;
  GenerationEnd end = Submit(request)->WaitForEnd();
  EXPECT_EQ(end.generated_tokens, 14);
  EXPECT_EQ(end.reason, FinishReason::kLength);
  EXPECT_EQ(end.cut_max_tokens, 14);
  request.min_tokens = 15;
  EXPECT_EQ(Submit(request)->WaitForEnd().generated_tokens, 14) << "nor is what the answer must have at least a demand for room";
  request.min_tokens = 16;
  EXPECT_EQ(ErrorOf(request).field, "min_tokens");
  request.min_tokens = 0;
  request.max_tokens = kUntilContextEnd;
  end = Submit(request)->WaitForEnd();
  EXPECT_EQ(end.generated_tokens, 14);
  EXPECT_FALSE(end.cut_max_tokens) << "that was the wish";
  request.max_tokens = 14;
  EXPECT_FALSE(Submit(request)->WaitForEnd().cut_max_tokens);
}

TEST_F(ServiceTest, AnEchoIsThePromptsTextBeforeTheAnswer) {
  Start();
  GenerateRequest request = Ask("hello", 3);
  request.ignore_eos = true;
  const std::string answer = Text(Bytes("hello", 3, true));
  request.echo = true;
  const auto sink = Submit(request);
  EXPECT_EQ(sink->WaitForEnd().generated_tokens, 3);
  EXPECT_EQ(sink->text(), "hello" + answer);
  EXPECT_EQ(sink->deltas().front().counts.prompt, 5);
  EXPECT_EQ(sink->deltas().front().counts.generated, 0);
  EXPECT_EQ(sink->deltas().back().counts.generated, 3);
  request.prompt = std::vector<TokenId>{'h', 'e', 'l', 'l', 'o'};
  const auto of_tokens = Submit(request);
  of_tokens->WaitForEnd();
  EXPECT_EQ(of_tokens->text(), "hello" + answer);
  PromptParts parts{.parts = {std::vector<TokenId>{'h', 'e'}, "ll", std::vector<TokenId>{'o'}}};
  request.prompt = parts;
  const auto of_both = Submit(request);
  of_both->WaitForEnd();
  EXPECT_EQ(of_both->text(), "hello" + answer);
  request.prompt = std::vector<TokenId>{'a', 0xC3};
  const auto cut = Submit(request);
  cut->WaitForEnd();
  EXPECT_TRUE(cut->text().starts_with("a\xEF\xBF\xBD")) << "a cut character is no valid text";
}

TEST_F(ServiceTest, AnEmptyPromptAndTheModelsOwnErrorsAreErrors) {
  Start();
  EXPECT_EQ(ErrorOf(Ask("", 5)), (Error{ErrorCode::kInvalidArgument, "the prompt is empty", "prompt"}));
  GenerateRequest wrong = Ask("", 5);
  wrong.prompt = std::vector<TokenId>{1, 256};
  EXPECT_EQ(ErrorOf(wrong), (Error{ErrorCode::kInvalidArgument, "no such token", "prompt"}));
}

TEST_F(ServiceTest, ABiasForATokenBeyondTheVocabularyIsAnError) {
  Start();
  GenerateRequest request = Ask("hello", 3);
  request.sampling.logit_bias = {{255, -100.0F}};
  EXPECT_TRUE(Submit(request)->WaitForEnd().status);
  request.sampling.logit_bias.emplace_back(256, 1.0F);
  EXPECT_EQ(ErrorOf(request),
            (Error{ErrorCode::kInvalidArgument, "logit_bias names token 256, the vocabulary has 256 tokens", "logit_bias"}));
}

TEST_F(ServiceTest, AnEngineFailureIsTheAnswersError) {
  Start({.poison_token = 'x'});
  EXPECT_EQ(ErrorOf(Ask("abxc", 5)), (Error{ErrorCode::kInternal, "poisoned token", {}}));
}

TEST_F(ServiceTest, ARandomSeedIsReportedAndGivesTheSameAnswerAgain) {
  Start();
  GenerateRequest request = Ask("hello", 30);
  request.sampling = {.temperature = 100, .top_k = 0, .top_p = 1, .min_p = 0};
  request.ignore_eos = true;
  const auto first = Submit(request);
  const auto second = Submit(request);
  EXPECT_NE(first->WaitForEnd().seed, second->WaitForEnd().seed);
  EXPECT_NE(first->text(), second->text());
  request.seed = first->WaitForEnd().seed;
  const auto again = Submit(request);
  EXPECT_EQ(again->WaitForEnd().seed, first->WaitForEnd().seed);
  EXPECT_EQ(again->text(), first->text());
}

TEST_F(ServiceTest, LogprobTokensComeOnlyWhereAskedFor) {
  Start();
  GenerateRequest request = Ask("hello", 12);
  request.ignore_eos = true;
  const auto without = Submit(request);
  without->WaitForEnd();
  EXPECT_TRUE(without->tokens().empty());
  request.sampling.top_logprobs = 2;
  const auto with = Submit(request);
  with->WaitForEnd();
  ASSERT_EQ(with->tokens().size(), 12U);
  std::string bytes;
  for (const TokenText& token : with->tokens()) {
    bytes += token.bytes;
    EXPECT_EQ(token.top_bytes.size(), 2U);
    EXPECT_LT(token.token.logprob, 0.0F);
  }
  EXPECT_EQ(bytes, Bytes("hello", 12, true));
}

TEST_F(ServiceTest, ARunningRequestIsCancelled) {
  Start({}, {}, /*held=*/true);
  const auto sink = Submit(Ask("hello", 100));
  gate_.WaitForStep();
  control_->Send(RequestControl::Signal::kCancel);
  gate_.Release();
  gate_.Open();
  EXPECT_EQ(sink->WaitForEnd().status.error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(service_->WaitUntilIdle(Later()));
  EXPECT_EQ(sink->ends(), 1);
}

TEST_F(ServiceTest, TheServersTimeoutAndARequestsOwnEndIt) {
  for (const bool own : {false, true}) {
    StepGate gate;
    FakeEngine engine({.on_step = gate.Hook()});
    Service service(model_, engine, {.request_timeout = own ? 1000.0 : 0.05}, [] {});
    GenerateRequest request = Ask("hello", 100);
    request.timeout_s = own ? 0.05 : 1000.0;
    auto sink = std::make_shared<RememberingSink>();
    ASSERT_TRUE(service.Submit(request, sink));
    std::this_thread::sleep_for(milliseconds(50));  // the time that the request has; the engine holds it
    gate.Open();
    const GenerationEnd end = sink->WaitForEnd();
    ASSERT_FALSE(end.status);
    EXPECT_EQ(end.status.error().code, ErrorCode::kTimedOut);
    EXPECT_EQ(end.status.error().message.find("the request's deadline passed"), 0U);
    EXPECT_GE(end.response_time_s, 0.05);
  }
}

TEST_F(ServiceTest, AFullQueueRefuses) {
  Start({.max_sequences = 1}, {.max_queue_size = 2}, /*held=*/true);
  std::vector<std::shared_ptr<RememberingSink>> sinks;
  for (int i = 0; i < 3; ++i) sinks.push_back(Submit(Ask("hello", 3)));
  const auto refused = std::make_shared<RememberingSink>();
  const auto result = service_->Submit(Ask("hello", 3), refused);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kQueueFull);
  EXPECT_EQ(result.error().message, "1 requests run and 2 wait already: try again later");
  const ServiceStats stats = service_->stats();
  EXPECT_EQ(stats.open_requests, 3);
  EXPECT_EQ(stats.max_open, 3);
  EXPECT_EQ(stats.max_running, 1);
  EXPECT_EQ(stats.accepted, 3);
  EXPECT_EQ(stats.refused, 1);
  const Status room = service_->LookForRoom();
  ASSERT_FALSE(room);
  EXPECT_EQ(room.error().code, ErrorCode::kQueueFull);
  EXPECT_EQ(service_->stats().refused, 2) << "a look that refuses is a refusal";
  gate_.Open();
  for (const auto& sink : sinks) EXPECT_TRUE(sink->WaitForEnd().status);
  EXPECT_TRUE(service_->WaitUntilIdle(Later()));
  EXPECT_EQ(refused->ends(), 0) << "the refusal was the only answer";
  EXPECT_TRUE(Submit(Ask("hello", 3))->WaitForEnd().status);
}

TEST_F(ServiceTest, ADrainRefusesTheNewAndFinishesTheOld) {
  Start({}, {}, /*held=*/true);
  EXPECT_TRUE(service_->WaitUntilIdle(Now()));
  GenerateRequest request = Ask("hello", 20);
  request.ignore_eos = true;
  const auto sink = Submit(request);
  gate_.WaitForStep();
  service_->StopAccepting();
  const auto result = service_->Submit(request, std::make_shared<RememberingSink>());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(service_->stats().refused, 1);
  EXPECT_FALSE(service_->WaitUntilIdle(Now() + milliseconds(5)));
  gate_.Open();
  EXPECT_TRUE(service_->WaitUntilIdle(Later()));
  EXPECT_EQ(sink->ends(), 1) << "idle means that each answer has been told its end";
  EXPECT_EQ(sink->WaitForEnd().generated_tokens, 20);
}

TEST_F(ServiceTest, TheDestructorEndsWhatIsLeft) {
  Start({.max_sequences = 2, .max_context = 1'000'000});
  std::vector<std::shared_ptr<RememberingSink>> sinks;
  for (int i = 0; i < 6; ++i) {
    GenerateRequest request = Ask("hello", 900'000);
    request.ignore_eos = true;
    sinks.push_back(Submit(request));
    if (i == 0) sinks[0]->WaitForText();  // it runs: the workers may hand the others on in any order
  }
  service_.reset();
  for (const auto& sink : sinks) {
    EXPECT_EQ(sink->ends(), 1);
    EXPECT_EQ(sink->WaitForEnd().status.error().code, ErrorCode::kUnavailable);
    EXPECT_FALSE(sink->text_after_end());
  }
}

TEST_F(ServiceTest, ManyRequestsFromManyThreadsGetOneEndEach) {
  constexpr int kThreads = 4;
  constexpr int kEach = 50;
  Start({.max_sequences = 3, .max_step_tokens = 16}, {.max_queue_size = kThreads * kEach});
  struct Sent {
    std::string prompt;
    int most;
    bool cancelled;
    std::shared_ptr<RememberingSink> sink;
  };
  std::vector<std::vector<Sent>> sent(kThreads);
  std::vector<std::thread> clients;
  for (int t = 0; t < kThreads; ++t) {
    clients.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < kEach; ++i) {
        Sent one{std::string(1 + random() % 40, static_cast<char>('a' + random() % 26)), static_cast<int>(1 + random() % 30),
                 random() % 4 == 0, std::make_shared<RememberingSink>()};
        const auto control = service_->Submit(Ask(one.prompt, one.most), one.sink);
        ASSERT_TRUE(control);
        if (one.cancelled) (*control)->Send(RequestControl::Signal::kCancel);
        sent[t].push_back(std::move(one));
      }
    });
  }
  for (std::thread& client : clients) client.join();
  ASSERT_TRUE(service_->WaitUntilIdle(Later()));
  for (const auto& list : sent) {
    for (const Sent& one : list) {
      ASSERT_EQ(one.sink->ends(), 1);
      EXPECT_FALSE(one.sink->text_after_end());
      const GenerationEnd end = one.sink->WaitForEnd();
      if (!one.cancelled) {
        EXPECT_TRUE(end.status);
        EXPECT_EQ(one.sink->text(), Text(Bytes(one.prompt, one.most)));
      } else if (!end.status) {
        EXPECT_EQ(end.status.error().code, ErrorCode::kCancelled);
      }
    }
  }
  EXPECT_EQ(service_->stats().accepted, kThreads * kEach);
  EXPECT_EQ(service_->stats().open_requests, 0);
}

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
    EXPECT_GT(StepsFor(Ask(prompt, 20)), 0);
    const auto first = sink_;
    const GenerationEnd first_end = end_;
    EXPECT_FALSE(first->start().is_cached);
    EXPECT_EQ(StepsFor(Ask(prompt, 20)), 0);
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
  StepsFor(Ask(prompt, 20));
  EXPECT_GT(StepsFor(Ask(prompt, 19)), 0);
  EXPECT_GT(StepsFor(Ask(prompt + "x", 20)), 0);
  GenerateRequest stops = Ask(prompt, 20);
  stops.stop = {"never"};
  EXPECT_GT(StepsFor(std::move(stops)), 0);
}

TEST_F(ResultCacheServiceTest, NeitherAnAnswerNorAPrefixIsAnothersWithAnotherSaltOrOwner) {
  const std::string prompt = PromptThatEnds(false, 20);
  const auto ask = [&](const char* owner, const char* salt) {
    GenerateRequest request = Ask(prompt, 20);
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
  GenerateRequest request = Ask(prompt, 5);
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
  GenerateRequest request = Ask(PromptThatEnds(false, 20), 20);
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
  StepsFor(Ask(prompt, 20));
  GenerateRequest request = Ask(prompt, 20);
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
  const auto sink = Submit(Ask(prompt, 20));
  gate_.WaitForStep();
  control_->Send(RequestControl::Signal::kCancel);
  gate_.Open();
  EXPECT_FALSE(sink->WaitForEnd().status);
  EXPECT_EQ(service_->result_cache_stats().entries, 0);
  EXPECT_EQ(Submit(Ask(prompt, 20))->WaitForEnd().generated_tokens, 20);
}

}  // namespace
}  // namespace cllm
