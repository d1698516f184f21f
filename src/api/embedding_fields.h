// What the endpoints for embeddings and scores share.
#pragma once

#include <optional>
#include <vector>

#include "api/json_object.h"
#include "service/embedding.h"

namespace cllm {

// Most texts, or documents, of one request: OpenAI's bound.
inline constexpr std::size_t kMostTexts = 2048;

// A text, a list of token ids, or a list of these in the field `name`, where that is there; instead of any that were read before.
void ReadTexts(JsonObject& object, const char* name, EmbeddingRequest& request);

// How long a text may be (truncate_prompt_tokens, truncate, truncation_side), and priority and timeout.
void ReadEmbeddingLimits(JsonObject& object, EmbeddingRequest& request);

// What is made of an embedding as the model gives it.
struct VectorForm {
  // llama-server's numbers for embd_normalize.
  static constexpr int kAsItIs = -1, kLargestIs32760 = 0, kEuclidean = 2;

  std::optional<int> dimensions = {};  // so many first numbers, where they have a meaning of their own (Matryoshka models)
  int normalize = kEuclidean;          // others: the norm of which that is the exponent
};

// dimensions, normalize and embd_normalize. `embedding_size`: of the served model; 0: it gives none.
VectorForm ReadVectorForm(JsonObject& object, int embedding_size);

std::vector<float> Formed(const std::vector<float>& embedding, const VectorForm& form);

}  // namespace cllm
