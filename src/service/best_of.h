// More answers are computed than the client gets: the likeliest of them are passed on.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "service/generation.h"

namespace cllm {

// Keeps all text until the end, so it is not for streams. Counts tokens of all answers, as OpenAI does.
class BestOfSink : public GenerationSink {
 public:
  // Of each `best_of` answers in a row, the answers to one prompt, `choices` are passed on: those whose tokens have the
  // highest mean log-probability, the best first. The requests ask for log-probabilities.
  BestOfSink(int choices, int best_of, std::shared_ptr<GenerationSink> sink)
      : choices_(static_cast<std::size_t>(choices)), best_of_(static_cast<std::size_t>(best_of)), sink_(std::move(sink)) {}

  void OnStart(const AnswerStart& start) override { sink_->OnStart(start); }
  void OnText(TextDelta delta) override;
  void OnEnd(const GenerationEnd& end) override;

 private:
  // The indices of the best answers to the prompt whose first one is `first`.
  std::vector<std::size_t> Best(std::size_t first) const;

  std::size_t choices_;
  std::size_t best_of_;
  std::shared_ptr<GenerationSink> sink_;
  std::vector<TextDelta> answers_;
};

}  // namespace cllm
