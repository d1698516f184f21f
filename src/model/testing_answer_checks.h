// What holds of every text read as an answer, whatever it is. For tests and fuzz targets.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "model/testing_answers.h"

namespace cllm {

// Empty, or what is wrong. The text is valid UTF-8. `all_q`: each of its Qs stands where somebody is to see it.
inline std::string WhatIsWrong(const std::shared_ptr<const AnswerFormat>& format, std::string_view text, bool all_q) {
  const ReadAnswer whole = ReadWhole(format, text);
  const std::string shown = whole.Shown();
  if (ReadInPieces(format, text, 1).Shown() != shown) return "its pieces mean something else: " + ReadInPieces(format, text, 1).Shown();
  if (ReadInPieces(format, text, 5).Shown() != shown) return "its pieces mean something else";
  if (whole.parsed_bytes > AnswerParser::kMostParsedBytes + (AnswerParser::kMostParsedPerByte + 2) * text.size())
    return "it costs too much";
  // What is seen stands in the text, in its order; reasoning may stand before content that comes first.
  for (const AnswerPart::Kind kind : {AnswerPart::Kind::kContent, AnswerPart::Kind::kReasoning}) {
    std::size_t at = 0;
    for (const char c : whole.Text(kind)) {
      at = text.find(c, at);
      if (at == std::string_view::npos) return "it says what the text does not";
      ++at;
    }
  }
  bool is_first = true;
  for (const AnswerPart& part : whole.parts) {
    if (part.kind != AnswerPart::Kind::kToolCall) continue;
    if (part.call_name.empty() != part.call_id.empty()) return "a call has no id or no name";
    if (part.call_name.empty() && is_first) return "a call begins with its arguments";
    is_first = false;
  }
  std::size_t marked = 0;
  for (const AnswerPart& part : whole.parts) marked += static_cast<std::size_t>(std::ranges::count(part.text, 'Q'));
  if (all_q && marked < static_cast<std::size_t>(std::ranges::count(text, 'Q'))) return "it loses text";
  return {};
}

}  // namespace cllm
