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

#include "service/testing_service.h"

namespace cllm {
namespace {

using std::chrono::milliseconds;

TEST_F(ServiceTest, AnAnswerIsTheModelsTextAndItsEndHasTheFigures) {
  Start();
  const std::string prompt = PromptThatEnds(false, 20);
  GenerateRequest request = GreedyRequest(prompt, 20);
  request.seed = 5;
  const auto sink = Submit(std::move(request));
  const GenerationEnd end = sink->WaitForEnd();
  EXPECT_TRUE(end.status);
  EXPECT_EQ(sink->text(), ShownText(ToyAnswer(prompt, 20)));
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
  GenerateRequest tokens = GreedyRequest("", 8);
  tokens.prompt = std::vector<TokenId>(prompt.begin(), prompt.end());
  GenerateRequest chat = GreedyRequest("", 8);
  chat.prompt = ChatPrompt{.messages = {{"system", prompt.substr(0, 1)}, {"user", prompt.substr(1)}}, .template_arguments = {}};
  for (GenerateRequest& request : std::vector{GreedyRequest(prompt, 8), tokens, chat}) {
    const auto sink = Submit(request);
    EXPECT_TRUE(sink->WaitForEnd().status);
    EXPECT_EQ(sink->text(), ShownText(ToyAnswer(prompt, 8)));
  }
}

TEST_F(ServiceTest, NothingEndsAnAnswerBeforeItsMinTokens) {
  Start();
  const std::string prompt = PromptThatEnds(true, 60);
  const auto natural = static_cast<int>(ToyAnswer(prompt, 60).size());
  GenerateRequest request = GreedyRequest(prompt, 60);
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
  const auto answer = ToyAnswer(prompt, 20);
  GenerateRequest request = GreedyRequest(prompt, 20);
  request.ignore_eos = true;
  request.stop_tokens = {static_cast<unsigned char>(answer[5]), 250};
  const auto sink = Submit(request);
  EXPECT_EQ(sink->WaitForEnd().reason, FinishReason::kStop);
  EXPECT_EQ(sink->text(), ShownText(answer.substr(0, answer.find(answer[5]))));
}

TEST_F(ServiceTest, TokenIdsBeyondTheVocabularyNameTheirField) {
  Start();
  const auto message = [&](const std::function<void(GenerateRequest&)>& change) {
    GenerateRequest request = GreedyRequest("x", 5);
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
  const auto stopped = Submit(GreedyRequest(prompt, 60));
  EXPECT_EQ(stopped->WaitForEnd().reason, FinishReason::kStop);
  EXPECT_EQ(stopped->text(), ShownText(ToyAnswer(prompt, 60)));
  EXPECT_EQ(stopped->WaitForEnd().generated_tokens, static_cast<int>(ToyAnswer(prompt, 60).size()));

  GenerateRequest request = GreedyRequest(prompt, 60);
  request.ignore_eos = true;
  const auto whole = Submit(std::move(request));
  EXPECT_EQ(whole->WaitForEnd().reason, FinishReason::kLength);
  EXPECT_EQ(whole->WaitForEnd().generated_tokens, 60);
  EXPECT_EQ(whole->text(), ShownText(ToyAnswer(prompt, 60, true)));
}

TEST_F(ServiceTest, AStopStringCutsTheAnswerAndFreesTheEngine) {
  Start({.max_context = 4096});
  const std::string prompt = PromptThatEnds(false, 40);
  const std::string text = ShownText(ToyAnswer(prompt, 40));
  const std::size_t at = text.find_first_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
  ASSERT_NE(at, std::string::npos);
  GenerateRequest request = GreedyRequest(prompt, 4000);
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
  GenerateRequest request = GreedyRequest("0123456789", std::nullopt);
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
  const Error error = ErrorOf(GreedyRequest(std::string(65, 'a'), 15));
  EXPECT_EQ(error, (Error{ErrorCode::kContextLength,
                          "This model's maximum context length is 64 tokens. However, your prompt resulted in 65 tokens. Please reduce the "
                          "length of the prompt: the prompt is too long: 65 tokens > 64 maximum.",
                          "prompt"}));
  GenerateRequest chat = GreedyRequest("", 1'000'000'000);
  chat.prompt = ChatPrompt{.messages = {{"user", std::string(64, 'a')}}};
  EXPECT_EQ(ErrorOf(chat).field, "messages");
  EXPECT_EQ(ErrorOf(chat).message,
            "This model's maximum context length is 64 tokens. However, your messages resulted in 64 tokens, which leaves no room for an "
            "answer. Please reduce the length of the messages: the prompt is too long: 64 tokens > 63 maximum.");
  const Error full = ErrorOf(GreedyRequest(std::string(64, 'a'), std::nullopt));
  EXPECT_EQ(full.code, ErrorCode::kContextLength) << "one token must have room";
  EXPECT_TRUE(service_->WaitUntilIdle(Later())) << "a refused prompt is no open request";
}

TEST_F(ServiceTest, APromptThatWasNotTokenisedBecauseItCannotFitIsTheSameError) {
  Start({.max_context = 64});
  const Error error = ErrorOf(GreedyRequest(std::string(1000, 'a'), 1));
  EXPECT_EQ(error.code, ErrorCode::kContextLength);
  EXPECT_NE(error.message.find("at least 500 tokens"), std::string::npos) << error.message;
}

TEST_F(ServiceTest, ABoundAboveTheRoomIsABound) {
  Start({.max_context = 64});
  GenerateRequest request = GreedyRequest(std::string(50, 'a'), 15);
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
  GenerateRequest request = GreedyRequest("hello", 3);
  request.ignore_eos = true;
  const std::string answer = ShownText(ToyAnswer("hello", 3, true));
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
  EXPECT_EQ(ErrorOf(GreedyRequest("", 5)), (Error{ErrorCode::kInvalidArgument, "the prompt is empty", "prompt"}));
  GenerateRequest wrong = GreedyRequest("", 5);
  wrong.prompt = std::vector<TokenId>{1, 256};
  EXPECT_EQ(ErrorOf(wrong), (Error{ErrorCode::kInvalidArgument, "no such token", "prompt"}));
}

TEST_F(ServiceTest, ABiasForATokenBeyondTheVocabularyIsAnError) {
  Start();
  GenerateRequest request = GreedyRequest("hello", 3);
  request.sampling.logit_bias = {{255, -100.0F}};
  EXPECT_TRUE(Submit(request)->WaitForEnd().status);
  request.sampling.logit_bias.emplace_back(256, 1.0F);
  EXPECT_EQ(ErrorOf(request),
            (Error{ErrorCode::kInvalidArgument, "logit_bias names token 256, the vocabulary has 256 tokens", "logit_bias"}));
}

TEST_F(ServiceTest, AnEngineFailureIsTheAnswersError) {
  Start({.poison_token = 'x'});
  EXPECT_EQ(ErrorOf(GreedyRequest("abxc", 5)), (Error{ErrorCode::kInternal, "poisoned token", {}}));
}

TEST_F(ServiceTest, ARandomSeedIsReportedAndGivesTheSameAnswerAgain) {
  Start();
  GenerateRequest request = GreedyRequest("hello", 30);
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
  GenerateRequest request = GreedyRequest("hello", 12);
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
  EXPECT_EQ(bytes, ToyAnswer("hello", 12, true));
}

TEST_F(ServiceTest, ARunningRequestIsCancelled) {
  Start({}, {}, /*held=*/true);
  const auto sink = Submit(GreedyRequest("hello", 100));
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
    GenerateRequest request = GreedyRequest("hello", 100);
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
  for (int i = 0; i < 3; ++i) sinks.push_back(Submit(GreedyRequest("hello", 3)));
  const auto refused = std::make_shared<RememberingSink>();
  const auto result = service_->Submit(GreedyRequest("hello", 3), refused);
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
  EXPECT_TRUE(Submit(GreedyRequest("hello", 3))->WaitForEnd().status);
}

TEST_F(ServiceTest, ADrainRefusesTheNewAndFinishesTheOld) {
  Start({}, {}, /*held=*/true);
  EXPECT_TRUE(service_->WaitUntilIdle(Now()));
  GenerateRequest request = GreedyRequest("hello", 20);
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
    GenerateRequest request = GreedyRequest("hello", 900'000);
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
        const auto control = service_->Submit(GreedyRequest(one.prompt, one.most), one.sink);
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
        EXPECT_EQ(one.sink->text(), ShownText(ToyAnswer(one.prompt, one.most)));
      } else if (!end.status) {
        EXPECT_EQ(end.status.error().code, ErrorCode::kCancelled);
      }
    }
  }
  EXPECT_EQ(service_->stats().accepted, kThreads * kEach);
  EXPECT_EQ(service_->stats().open_requests, 0);
}

}  // namespace
}  // namespace cllm
