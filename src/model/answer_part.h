// What an answer's text means, in pieces.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

struct AnswerPart {
  enum class Kind : std::uint8_t { kContent, kReasoning, kToolCall };
  Kind kind = Kind::kContent;
  std::string text = {};  // content, reasoning, or a piece of the call's arguments, which are JSON
  int call = 0;           // which of the answer's calls
  // With the first part of a call.
  std::string call_id = {};
  std::string call_name = {};
  bool operator==(const AnswerPart&) const = default;
};

}  // namespace cllm
