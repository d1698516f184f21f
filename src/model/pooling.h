// What the embedding of a text is made of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/model_facts.h"

namespace cllm {

enum class Pooling : std::uint8_t {
  kNone,  // the model gives no embeddings
  kMean,  // the mean of what comes out for its tokens
  kCls,   // what comes out for the first token
  kLast,  // for the last one
  kRank,  // what a classifier makes of it: how well a text answers a question
};

std::string_view PoolingName(Pooling pooling);

// `wanted` is "auto" (what the file says, and the mean for a model that can do nothing but embed) or a name. An error where the model
// can't be used in that way.
Result<Pooling> ChoosePooling(const ModelFacts& facts, const std::string& wanted);

// What the model can do with it: completion, embedding, rerank.
std::vector<std::string> CapabilityNames(const ModelFacts& facts, Pooling pooling);

}  // namespace cllm
