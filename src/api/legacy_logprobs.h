// Log-probabilities as OpenAI's completions have them: parallel arrays, one entry a token.
#pragma once

#include <cstddef>

#include "base/json.h"
#include "base/utf8.h"
#include "service/generation.h"

namespace cllm {

// Of one answer that comes in pieces, behind its prompt where that is echoed with scores. text_offset is where in all of the text, in
// characters, a token's text begins; tokens that share a character begin there together.
class LegacyLogprobs {
 public:
  // `alternatives`: those that are shown of a prompt's token, which may have more.
  explicit LegacyLogprobs(int alternatives) : alternatives_(static_cast<std::size_t>(alternatives)) {}

  Json Next(const TextDelta& delta);

 private:
  std::size_t OffsetInPrompt(const PromptToken& token);
  void EndPrompt();

  std::size_t alternatives_;
  Utf8Assembler assembler_;
  std::size_t offset_ = 0;
  std::size_t echoed_ = 0;  // characters
  bool in_prompt_ = false;
  // Some tokenizers put a space before a text, which then is in its first token alone.
  bool is_first_of_text_ = true;
  bool begins_with_space_ = false;
};

Json LegacyLogprobsSchema();

}  // namespace cllm
