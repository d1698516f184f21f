// A request for the embeddings of texts, or for how well texts answer a question, whatever dialect it came in.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "scheduler/request.h"

namespace cllm {

// A text and what it may be an answer to.
struct TextPair {
  std::string query;
  std::string document;
};

using EmbeddingText = std::variant<std::string, std::vector<TokenId>, TextPair>;

// As EmbeddingRequest::most_tokens: what the model can take.
inline constexpr int kUntilTextEnd = -1;

struct EmbeddingRequest {
  std::vector<EmbeddingText> texts;  // at least one; all of them pairs, or none
  // How errors name a text: the field of the request, and whether it has a list of them.
  std::string field = "input";
  bool is_list = false;
  // A longer text is cut to so many tokens, with what the model wants around it. Absent: it is an error.
  std::optional<int> most_tokens = {};
  bool cuts_front = false;               // of a text that is cut the end stays, not the beginning
  std::optional<double> timeout_s = {};  // less than the server's request_timeout
  std::optional<int> priority = {};      // seconds, as in SequenceRequest
  TimePoint arrived{};                   // when it was there as a whole; not set: when it is submitted

  // A query stands once in a body and once in each pair.
  std::size_t shared_bytes() const { return wants_scores() ? std::get<TextPair>(texts.front()).query.size() * (1 + sizeof(TokenId)) : 0; }
  bool wants_scores() const { return !texts.empty() && std::holds_alternative<TextPair>(texts.front()); }
  std::string NameOf(std::size_t text) const { return is_list ? field + "[" + std::to_string(text) + "]" : field; }
};

struct EmbeddingAnswer {
  // In the order of the texts, as they come out of the model: of what length they are says nothing. Of a pair the first number is its
  // score.
  std::vector<std::vector<float>> embeddings;
  int prompt_tokens = 0;  // of all texts
};

// What it takes in memory.
inline std::size_t HeldBytes(const EmbeddingAnswer& answer) {
  std::size_t bytes = 0;
  for (const std::vector<float>& embedding : answer.embeddings) bytes += sizeof(embedding) + embedding.size() * sizeof(float);
  return bytes;
}

// Hears of the end exactly once, on a thread of the service; must not block.
class EmbeddingSink {
 public:
  virtual ~EmbeddingSink() = default;
  virtual void OnEnd(Result<EmbeddingAnswer> answer) = 0;
};

}  // namespace cllm
