// The texts of one request on their way through the engine: a few at a time, so that a request of thousands leaves turns to others.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "service/embedding.h"

namespace cllm {

class EmbeddingBatch : public std::enable_shared_from_this<EmbeddingBatch> {
 public:
  using Tokens = std::vector<TokenId>;
  struct Settings {
    std::vector<Tokens> texts = {};
    std::size_t window = 1;  // texts that are with the engine at a time
    // Hands a text to the engine; after an error nothing more is heard of it.
    std::function<Status(const std::shared_ptr<EmbeddingBatch>&, std::size_t text, Tokens tokens)> submit = {};
    // All texts have ended, well or with the first error.
    std::function<void(Result<EmbeddingAnswer>)> on_end = {};
    std::shared_ptr<RequestControl> control = nullptr;
  };
  explicit EmbeddingBatch(Settings settings);

  // Hands on the first texts.
  void Start() { SubmitMore(); }

  // What the engine says of a text: its embedding, then its end. One thread.
  void Add(std::size_t text, std::vector<float> embedding);
  void End(const EndEvent& end);

 private:
  struct Turn {
    std::size_t text;
    Tokens tokens;
  };
  void SubmitMore();
  std::vector<Turn> TakeTurns();
  void EndOne(std::optional<Error> error);

  Settings settings_;
  std::mutex mutex_;
  EmbeddingAnswer answer_;
  std::optional<Error> error_;
  std::size_t next_ = 0;
  std::size_t running_ = 0;
  bool ended_ = false;
};

}  // namespace cllm
