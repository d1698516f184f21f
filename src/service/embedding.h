// A request for the embeddings of texts, or for how well texts answer a question, whatever dialect it came in.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"
#include "scheduler/request.h"

namespace cllm {

// A text and what it may be an answer to. Either may be a part of many pairs, and long.
struct TextPair {
  TextPair(std::string a_query, std::string a_document)
      : TextPair(std::make_shared<const std::string>(std::move(a_query)), std::make_shared<const std::string>(std::move(a_document))) {}
  TextPair(std::shared_ptr<const std::string> a_query, std::shared_ptr<const std::string> a_document)
      : query(std::move(a_query)), document(std::move(a_document)) {}

  std::shared_ptr<const std::string> query;
  std::shared_ptr<const std::string> document;
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

  bool wants_scores() const { return !texts.empty() && std::holds_alternative<TextPair>(texts.front()); }
  std::string NameOf(std::size_t text) const { return is_list ? field + "[" + std::to_string(text) + "]" : field; }
};

struct EmbeddingAnswer {
  // In the order of the texts, as they come out of the model: of what length they are says nothing. Of a pair the first number is its
  // score.
  std::vector<std::vector<float>> embeddings;
  int prompt_tokens = 0;  // of all texts
};

// Hears of the end exactly once, on a thread of the service; must not block.
class EmbeddingSink {
 public:
  virtual ~EmbeddingSink() = default;
  virtual void OnEnd(Result<EmbeddingAnswer> answer) = 0;
};

}  // namespace cllm
