// A constraint that begins in the midst of an answer, and may begin again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/text_trigger.h"
#include "grammar/thoughts.h"
#include "sampling/token_constraint.h"

namespace cllm {

// Any text may come until one of some texts opens what a grammar holds for. Where that is complete any text may come again. Nobody waits
// for a mask meanwhile.
class TriggeredConstraint : public TokenConstraint {
 public:
  struct Settings {
    std::vector<TextTrigger> triggers = {};
    ThoughtMarks marks = {};              // within thoughts nothing is opened
    bool once = false;                    // what is complete is the end of the answer
    std::vector<std::int32_t> ends = {};  // tokens that a mask allows where its grammar is satisfied
    TokenBytes bytes = {};
    // The grammar's constraint where `begun`, the trigger and what came with it, has come.
    std::function<std::shared_ptr<TokenConstraint>(std::string begun)> begin = {};
  };
  explicit TriggeredConstraint(Settings settings);

  Result<std::optional<TokenMask>> Next(std::chrono::microseconds patience) override;
  void Accept(std::int32_t token) override;

 private:
  void Look(std::string_view text);
  void Forget(std::size_t bytes);
  bool IsComplete(const TokenMask& mask) const;

  const Settings settings_;
  std::size_t longest_trigger_ = 0;
  ThoughtTracker tracker_;
  std::shared_ptr<TokenConstraint> inner_;
  bool has_begun_ = false;    // `inner_` takes what opened it
  std::string seen_;          // the end of the free text, or what opened `inner_`
  bool is_beginning_ = true;  // it is all text so far
};

}  // namespace cllm
