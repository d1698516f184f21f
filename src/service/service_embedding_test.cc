// Embeddings through the service, on the toy model and the toy engine.
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/fake/fake_engine.h"
#include "service/testing_gate.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

constexpr int kSize = 5;

class WaitingSink : public EmbeddingSink {
 public:
  void OnEnd(Result<EmbeddingAnswer> answer) override {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(answer));
    changed_.notify_all();
  }
  Result<EmbeddingAnswer> Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !answers_.empty(); });
    return answers_.front();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Result<EmbeddingAnswer>> answers_;
};

std::vector<float> EmbeddingOf(const std::vector<TokenId>& tokens) { return FakeEngine::Embedding(tokens, kSize); }

class ServiceEmbeddingTest : public testing::Test {
 protected:
  void Start(FakeEngineOptions engine = {.embedding_size = kSize}, const SchedulerOptions& options = {}, bool held = false) {
    engine.on_step = gate_.Hook();
    if (!held) gate_.Open();
    engine_ = std::make_unique<FakeEngine>(std::move(engine));
    service_ = std::make_unique<Service>(model_, *engine_, options, [] {});
  }
  ~ServiceEmbeddingTest() override { gate_.Open(); }

  std::shared_ptr<WaitingSink> Embed(EmbeddingRequest request, std::shared_ptr<const RequestControl> client = nullptr) {
    auto sink = std::make_shared<WaitingSink>();
    const Status status = service_->Embed(std::move(request), sink, std::move(client));
    EXPECT_TRUE(status) << (status ? "" : status.error().message);
    return sink;
  }
  Error ErrorOf(EmbeddingRequest request) {
    const auto answer = Embed(std::move(request))->Wait();
    EXPECT_FALSE(answer);
    return answer ? Error{} : answer.error();
  }

  ToyTextModel model_;
  StepGate gate_;
  std::unique_ptr<FakeEngine> engine_;
  std::unique_ptr<Service> service_;
};

TEST_F(ServiceEmbeddingTest, TextsAndTokensAreAnsweredInOrder) {
  Start();
  const auto answer = Embed({.texts = {"ab", std::vector<TokenId>{7, 8}, "c"}, .is_list = true})->Wait();
  ASSERT_TRUE(answer) << answer.error().message;
  // The toy puts token 1 before a text.
  const std::vector<std::vector<float>> expected{EmbeddingOf({1, 'a', 'b'}), EmbeddingOf({7, 8}), EmbeddingOf({1, 'c'})};
  EXPECT_EQ(answer->embeddings, expected);
  EXPECT_EQ(answer->prompt_tokens, 7);
  EXPECT_EQ(service_->stats().embedding_requests, 1);
  EXPECT_TRUE(service_->WaitUntilIdle(std::chrono::steady_clock::now() + std::chrono::seconds(30)));
  EXPECT_EQ(service_->stats().loop.embeddings, 3);
  EXPECT_EQ(service_->stats().loop.embedding_tokens, 7);
  EXPECT_EQ(service_->stats().loop.prompt_tokens, 0);
}

TEST_F(ServiceEmbeddingTest, ManyTextsAreOneOpenRequest) {
  Start({.max_sequences = 2, .embedding_size = kSize}, {.max_queue_size = 1}, /*held=*/true);
  EmbeddingRequest request{.texts = {}, .is_list = true};
  for (int i = 0; i < 100; ++i) request.texts.emplace_back(std::vector<TokenId>{i + 1, 2});
  const auto sink = Embed(std::move(request));
  EXPECT_EQ(service_->stats().open_requests, 1);
  gate_.Open();
  const auto answer = sink->Wait();
  ASSERT_TRUE(answer);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(answer->embeddings[i], EmbeddingOf({i + 1, 2}));
}

TEST_F(ServiceEmbeddingTest, ATextIsNeverAControlToken) {
  Start();
  const auto answer = Embed({.texts = {"aSb"}})->Wait();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->embeddings.front(), EmbeddingOf({1, 'a', 'S', 'b'}));
}

TEST_F(ServiceEmbeddingTest, ATextMayFillTheContextAndNoMore) {
  Start({.max_context = 4, .embedding_size = kSize});
  EXPECT_TRUE(Embed({.texts = {"abc"}})->Wait());
  const Error error = ErrorOf({.texts = {"a", "abcd"}, .is_list = true});
  EXPECT_EQ(error.code, ErrorCode::kContextLength);
  EXPECT_EQ(error.field, "input");
  EXPECT_TRUE(error.message.contains("maximum context length is 4 tokens. However, input[1] has 5 tokens.")) << error.message;
}

TEST_F(ServiceEmbeddingTest, ALongTextIsCutWhereThatIsWanted) {
  Start({.max_context = 4, .embedding_size = kSize});
  const auto cut = [&](EmbeddingRequest request) { return Embed(std::move(request))->Wait()->embeddings.front(); };
  EXPECT_EQ(cut({.texts = {"abcdef"}, .most_tokens = kUntilTextEnd}), EmbeddingOf({1, 'a', 'b', 'c'}));
  EXPECT_EQ(cut({.texts = {"abcdef"}, .most_tokens = 3}), EmbeddingOf({1, 'a', 'b'}));
  EXPECT_EQ(cut({.texts = {"abcdef"}, .most_tokens = 3, .cuts_front = true}), EmbeddingOf({1, 'e', 'f'}));
  EXPECT_EQ(cut({.texts = {"ab"}, .most_tokens = 3}), EmbeddingOf({1, 'a', 'b'}));
  EXPECT_EQ(cut({.texts = {std::vector<TokenId>{5, 6, 7, 8, 9}}, .most_tokens = 2}), EmbeddingOf({5, 6}));
  EXPECT_EQ(cut({.texts = {std::vector<TokenId>{5, 6, 7, 8, 9}}, .most_tokens = 2, .cuts_front = true}), EmbeddingOf({8, 9}));
}

TEST_F(ServiceEmbeddingTest, ATokenOutsideOfTheVocabularyIsNamed) {
  Start();
  const Error error = ErrorOf({.texts = {"a", std::vector<TokenId>{3, 999}}, .is_list = true});
  EXPECT_EQ(error, (Error{ErrorCode::kInvalidArgument, "input[1] names token 999, the vocabulary has 256 tokens", "input"}));
}

TEST_F(ServiceEmbeddingTest, AClientThatLeavesEndsItsRequest) {
  Start({.embedding_size = kSize}, {}, /*held=*/true);
  const auto client = std::make_shared<RequestControl>();
  const auto sink = Embed({.texts = {"a", "b"}, .is_list = true}, client);
  client->Send(RequestControl::Signal::kCancel);
  gate_.Open();
  const auto answer = sink->Wait();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(service_->WaitUntilIdle(std::chrono::steady_clock::now() + std::chrono::seconds(30)));
}

TEST_F(ServiceEmbeddingTest, OneTextThatFailsFailsItsRequestAndNoOther) {
  Start({.embedding_size = kSize, .poison_token = 'x'});
  const auto good = Embed({.texts = {"a"}});
  EXPECT_EQ(ErrorOf({.texts = {"a", "x", "b"}, .is_list = true}).message, "poisoned token");
  EXPECT_TRUE(good->Wait());
}

TEST_F(ServiceEmbeddingTest, TheEndOfTheServiceIsAnAnswer) {
  Start({.embedding_size = kSize}, {}, /*held=*/true);
  EmbeddingRequest request{.texts = {}, .is_list = true};
  for (int i = 0; i < 50; ++i) request.texts.emplace_back("text");
  const auto sink = Embed(std::move(request));
  std::thread opener([this] { gate_.Open(); });
  service_.reset();
  opener.join();
  const auto answer = sink->Wait();
  EXPECT_TRUE(answer || answer.error().code == ErrorCode::kUnavailable || answer.error().code == ErrorCode::kCancelled);
}

TEST_F(ServiceEmbeddingTest, AModelSaysWhatItCannotDo) {
  Start({});
  const auto refused = [&](EmbeddingRequest request) {
    return service_->Embed(std::move(request), std::make_shared<WaitingSink>()).error();
  };
  EXPECT_TRUE(refused({.texts = {"a"}}).message.contains("--pooling mean"));
  EXPECT_TRUE(refused({.texts = {TextPair{"q", "d"}}}).message.contains("--pooling rank"));
  EXPECT_TRUE(service_->CheckGenerates());
}

TEST_F(ServiceEmbeddingTest, AnEncoderGeneratesNothing) {
  Start({.max_step_tokens = 256, .generates = false, .embedding_size = kSize, .embeds_whole = true});
  EXPECT_TRUE(Embed({.texts = {"a"}})->Wait());
  GenerateRequest request;
  request.prompt = "hello";
  const auto refused = service_->Submit(std::move(request), std::make_shared<RememberingSink>());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(refused.error().message.contains("/v1/embeddings")) << refused.error().message;
  EXPECT_TRUE(service_->CheckEmbeds(true).error().message.contains("rank"));
}

TEST_F(ServiceEmbeddingTest, ALongTextOfManyPairsIsRefusedUnread) {
  Start({.embedding_size = 1, .scores = true});
  const auto query = std::make_shared<const std::string>(std::size_t{1} << 20, 'q');
  const auto document = std::make_shared<const std::string>("d");
  EmbeddingRequest request{.texts = {}, .field = "documents", .is_list = true, .most_tokens = kUntilTextEnd};
  for (int i = 0; i < 64; ++i) request.texts.emplace_back(TextPair(query, document));
  const Status status = service_->Embed(std::move(request), std::make_shared<WaitingSink>());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().field, "documents");
}

TEST_F(ServiceEmbeddingTest, ARankerScoresPairsAndNothingElse) {
  Start({.embedding_size = 1, .scores = true});
  const auto answer = Embed({.texts = {TextPair{"q", "d1"}, TextPair{"q", "d2"}}, .field = "documents", .is_list = true})->Wait();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->embeddings[1], FakeEngine::Embedding(std::vector<TokenId>{'q', '\n', 'd', '2'}, 1));
  EXPECT_TRUE(service_->CheckEmbeds(false).error().message.contains("/v1/rerank"));
}

}  // namespace
}  // namespace cllm
