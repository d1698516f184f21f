// What llama-server's clients may see of an answer while it comes: its times, and how far its prompt is.
#pragma once

#include "api/json_object.h"
#include "base/json.h"
#include "service/generation.h"

namespace cllm {

struct LlamaProgress {
  bool shows_timings = false;  // timings_per_token: every piece has the times so far
  bool shows_prompt = false;   // return_progress: a stream begins with prompt_progress, an object for each step of the prompt

  // What a piece has of it, and what a whole answer has.
  void AddTo(Json& piece, const TextDelta& delta) const;
  void AddTo(Json& answer, const GenerationEnd& end) const;
  // The members of their schema.
  static Json TimingsSchema();
  static Json PromptSchema();
};

// timings_per_token and return_progress; the latter asks for nothing where there is no stream.
LlamaProgress ReadLlamaProgress(JsonObject& object, bool is_stream, GenerateRequest& request);

// {"prompt_n", "prompt_ms", …}
Json LlamaTimings(const TokenCounts& counts, const AnswerTimes& times);

}  // namespace cllm
