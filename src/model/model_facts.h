// What the metadata of a GGUF file says about the model, and whether it makes sense: by our own reader alone, without
// llama.cpp and without touching a weight.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "formats/gguf_file.h"

namespace cllm {

// The one description of a model: of a file for `show`, `config` and the checks, and of the model that is loaded from it.
// Numbers are 0 and texts empty where the file does not say. Texts are as they are in the file: not always printable.
struct ModelFacts {
  std::string architecture;
  std::string name;
  std::string license;
  std::string quantization;  // as llama.cpp names the file type, e.g. "Q4_K - Medium"
  std::string tokenizer;     // "gpt2 (smollm)"
  std::string chat_template;
  // What the embedding of a text is made of: none, mean, cls, last or rank.
  std::string pooling;
  // Whether a token sees only those before it, so that text can be generated token by token.
  bool generates = true;
  bool has_classifier = false;  // which says how well a text answers a question

  std::int64_t parameters = 0;
  std::int64_t weight_bytes = 0;
  std::int64_t file_bytes = 0;
  std::int64_t layers = 0;
  std::int64_t embedding_size = 0;
  std::int64_t heads = 0;     // of the layer that has most
  std::int64_t kv_heads = 0;  // likewise
  std::int64_t key_size = 0;  // elements of a key, and of a value, in one head
  std::int64_t value_size = 0;
  std::int64_t trained_context = 0;  // tokens
  std::int64_t sliding_window = 0;   // tokens
  std::int64_t experts = 0;
  std::int64_t experts_used = 0;
  std::int64_t vocab_size = 0;
  // Bytes of K and V that one token takes over all layers, in F16 and without sliding windows: an upper bound.
  std::int64_t kv_bytes_per_token_f16 = 0;

  struct TypeUse {
    std::string_view type;
    int tensors = 0;
    std::int64_t elements = 0;
    std::int64_t bytes = 0;
  };
  std::vector<TypeUse> types;  // most bytes first
};

// Fails where a key has a type that makes no sense; a file that cannot be served can still have facts.
Result<ModelFacts> ReadModelFacts(const GgufFile& file);

// Refuses what llama.cpp would divide by, size buffers with or abort on: counts out of range, vocabulary arrays that do not
// match, a token that occurs twice; and files that are no whole model: one part of several, an adapter, a vocabulary.
Status CheckModelMetadata(const GgufFile& file);

}  // namespace cllm
