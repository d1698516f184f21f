#include "model/infill.h"

#include <array>
#include <utility>

namespace cllm {

Result<std::vector<std::int32_t>> TokenizeGap(const Tokenizer& tokenizer, std::string_view prefix, std::string_view suffix,
                                              std::string_view middle, bool add_special, const StopCheck& stop) {
  const auto marks = tokenizer.infill_tokens();
  if (!marks) return InvalidArgument("the model has no fill-in-the-middle tokens, so it cannot write before a suffix", "suffix");
  std::vector<std::int32_t> all;
  if (const auto begin = tokenizer.beginning(); begin && add_special) all.push_back(*begin);
  const std::array parts = {std::pair(marks->prefix, prefix), std::pair(marks->suffix, suffix), std::pair(marks->middle, middle)};
  for (const auto& [mark, text] : parts) {
    all.push_back(mark);
    const auto tokens = tokenizer.Tokenize(text, false, false, stop);
    if (!tokens) return std::unexpected(tokens.error());
    all.insert(all.end(), tokens->begin(), tokens->end());
  }
  return all;
}

}  // namespace cllm
