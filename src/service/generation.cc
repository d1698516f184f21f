#include "service/generation.h"

#include <iterator>
#include <utility>

namespace cllm {

std::size_t TextDelta::bytes() const {
  std::size_t bytes = text.size() + reasoning.size() + raw.size();
  for (const AnswerPart& part : calls) bytes += sizeof(part) + part.text.size() + part.call_name.size();
  return bytes;
}

// A call is one part in the end, however many pieces it came in.
void TextDelta::Append(TextDelta next) {
  text += next.text;
  reasoning += next.reasoning;
  raw += next.raw;
  echoed += next.echoed;
  for (AnswerPart& part : next.calls) {
    if (!calls.empty() && calls.back().call == part.call) {
      calls.back().text += part.text;
    } else {
      calls.push_back(std::move(part));
    }
  }
  prompt.insert(prompt.end(), std::make_move_iterator(next.prompt.begin()), std::make_move_iterator(next.prompt.end()));
  tokens.insert(tokens.end(), std::make_move_iterator(next.tokens.begin()), std::make_move_iterator(next.tokens.end()));
  counts = next.counts;
  times = next.times;
}

}  // namespace cllm
