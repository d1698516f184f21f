// How a model that says how well a text answers a question was trained to see the two: with tokens between them, or in a text of its own.
// Thread safe: everything is const.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/stop_check.h"
#include "model/model.h"

namespace cllm {

class PairFormat {
 public:
  // `model` outlives it.
  explicit PairFormat(const Model& model);

  // Nothing in the two counts as a control token. Of more than `most_tokens` (0: no bound) the document's end is left out, where tokens
  // stand between the two; a query that leaves no room for any of it is an error.
  Result<std::vector<std::int32_t>> Encode(std::string_view query, std::string_view document, std::size_t most_tokens,
                                           const StopCheck& stop) const;

 private:
  Result<std::vector<std::int32_t>> EncodeInTemplate(std::string_view query, std::string_view document, const StopCheck& stop) const;

  const Tokenizer& tokenizer_;
  std::string template_;  // with {query} and {document}; empty: there is none
  std::vector<std::int32_t> before_, between_, after_;
};

}  // namespace cllm
