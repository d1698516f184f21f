// How long requests may be and how many run at a time, for the memory that their KV cache may take.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "cli/options.h"
#include "engine/llamacpp/llamacpp_engine.h"

namespace cllm {

// More is rarely asked for, and takes places from others.
inline constexpr int kMostAutoContext = 8192;
// A context that leaves room for fewer requests than this is halved.
inline constexpr int kFewRequests = 4;

// The context where nobody sets one: kMostAutoContext tokens or what the model was trained for, if less (`trained` 0: not known), halved
// until as many as `places`, or kFewRequests, fit into `tokens`; never below 512.
int AutoContext(std::int64_t tokens, std::int64_t trained, int places);

struct ContextChoice {
  int context = 0;  // tokens of one request
  KvSizing kv;
  std::string why;  // one line
};

// What serving `model` comes to with these options where `available_bytes` are free beside its weights, and `budget_mb` may be used
// for the KV cache (0: no limit). A context that is set is obeyed; where not even one request of that length fits this fails.
//
// A model that gives embeddings alone has no KV cache. All tokens of a text see each other: it can't be longer than what the model was
// trained for, and what it takes rises with the square of its length.
Result<ContextChoice> ChooseContext(const ServeOptions& options, const ModelFacts& model, std::int64_t budget_mb,
                                    std::int64_t available_bytes);

}  // namespace cllm
