#include "service/embedding_batch.h"

#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

// A batch, an engine that is told what to say, and what whoever asked hears.
class BatchRig {
 public:
  BatchRig(std::vector<std::vector<TokenId>> texts, std::size_t window) {
    batch_ = std::make_shared<EmbeddingBatch>(EmbeddingBatch::Settings{
        .texts = std::move(texts),
        .window = window,
        .submit = [this](const std::shared_ptr<EmbeddingBatch>&, std::size_t text, std::vector<TokenId> tokens) -> Status {
          if (refuses) return Fail(ErrorCode::kUnavailable, "no more");
          submitted.emplace_back(text, std::move(tokens));
          return {};
        },
        .on_end = [this](Result<EmbeddingAnswer> answer) { answers.push_back(std::move(answer)); },
        .control = control});
  }
  void Start() { batch_->Start(); }
  void Finish(std::size_t text) {
    batch_->Add(text, {static_cast<float>(text)});
    batch_->End({.id = text, .state = RequestState::kFinished, .reason = FinishReason::kStop, .error = {}});
  }
  void FailText(std::size_t text, ErrorCode code = ErrorCode::kInternal) {
    batch_->End({.id = text, .state = RequestState::kFailed, .reason = FinishReason::kStop, .error = {code, "broken", {}}});
  }
  bool cancelled() const { return control->signal() == RequestControl::Signal::kCancel; }

  std::vector<std::pair<std::size_t, std::vector<TokenId>>> submitted;
  std::vector<Result<EmbeddingAnswer>> answers;
  std::shared_ptr<RequestControl> control = std::make_shared<RequestControl>();
  bool refuses = false;

 private:
  std::shared_ptr<EmbeddingBatch> batch_;
};

TEST(EmbeddingBatchTest, AFewTextsAreWithTheEngineAtATimeAndTheAnswerIsInOrder) {
  BatchRig rig({{1}, {2, 3}, {4}, {5}}, 2);
  rig.Start();
  ASSERT_EQ(rig.submitted.size(), 2U);
  EXPECT_EQ(rig.submitted[1].second, (std::vector<TokenId>{2, 3}));
  rig.Finish(1);
  EXPECT_EQ(rig.submitted.size(), 3U);
  rig.Finish(2);
  rig.Finish(0);
  EXPECT_TRUE(rig.answers.empty());
  rig.Finish(3);
  ASSERT_EQ(rig.answers.size(), 1U);
  ASSERT_TRUE(rig.answers[0]);
  EXPECT_EQ(rig.answers[0]->embeddings, (std::vector<std::vector<float>>{{0}, {1}, {2}, {3}}));
  EXPECT_EQ(rig.answers[0]->prompt_tokens, 5);
}

TEST(EmbeddingBatchTest, TheFirstErrorEndsTheOthersAndIsToldWhenNoneRunsAnyMore) {
  BatchRig rig({{1}, {2}, {3}, {4}}, 2);
  rig.Start();
  rig.FailText(0);
  EXPECT_TRUE(rig.cancelled());
  EXPECT_EQ(rig.submitted.size(), 2U) << "nothing further is handed on";
  EXPECT_TRUE(rig.answers.empty());
  rig.FailText(1, ErrorCode::kCancelled);
  ASSERT_EQ(rig.answers.size(), 1U);
  EXPECT_EQ(rig.answers[0].error().code, ErrorCode::kInternal);
}

TEST(EmbeddingBatchTest, ATextThatIsNotTakenEndsTheRequest) {
  BatchRig rig({{1}, {2}, {3}}, 1);
  rig.Start();
  rig.refuses = true;
  rig.Finish(0);
  ASSERT_EQ(rig.answers.size(), 1U);
  EXPECT_EQ(rig.answers[0].error().code, ErrorCode::kUnavailable);
}

TEST(EmbeddingBatchTest, NumbersThatAreNoneAreAnError) {
  auto control = std::make_shared<RequestControl>();
  std::vector<Result<EmbeddingAnswer>> answers;
  const auto batch = std::make_shared<EmbeddingBatch>(
      EmbeddingBatch::Settings{.texts = {{1}},
                               .submit = [](const auto&, std::size_t, std::vector<TokenId>) { return Status(); },
                               .on_end = [&](Result<EmbeddingAnswer> answer) { answers.push_back(std::move(answer)); },
                               .control = control});
  batch->Start();
  batch->Add(0, {1.0F, std::numeric_limits<float>::quiet_NaN()});
  batch->End({.id = 0, .state = RequestState::kFinished, .reason = FinishReason::kStop, .error = {}});
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace cllm
