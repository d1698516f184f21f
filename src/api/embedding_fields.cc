#include "api/embedding_fields.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "api/sampling_fields.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

constexpr int kMostExponent = 100;
constexpr std::int64_t kMostTokensOfAText = 1 << 24;

std::optional<EmbeddingText> ReadOneText(const Json& json) {
  if (json.is_string()) return EmbeddingText(json.get<std::string>());
  if (!json.is_array()) return std::nullopt;
  std::vector<TokenId> tokens;
  for (const Json& item : json) {
    const auto id = AsTokenId(item);
    if (!id) return std::nullopt;
    tokens.push_back(*id);
  }
  return tokens;
}

bool IsEmpty(const EmbeddingText& text) {
  const auto* words = std::get_if<std::string>(&text);
  return words != nullptr ? words->empty() : std::get<std::vector<TokenId>>(text).empty();
}

void AddText(JsonObject& object, const char* name, const Json& json, EmbeddingRequest& request) {
  const std::string place = request.NameOf(request.texts.size());
  auto text = ReadOneText(json);
  if (!text) return object.Reject(name, fmt::format("{} must be a string or an array of token ids", place));
  if (IsEmpty(*text)) return object.Reject(name, fmt::format("{} is empty", place));
  request.texts.push_back(std::move(*text));
}

// TEI's and Ollama's boolean, and Cohere's words.
void ReadTruncate(JsonObject& object, EmbeddingRequest& request) {
  const Json* truncate = object.Any("truncate", [] { return words::AnyOf({words::Bool(), words::Enum({"NONE", "END", "START"})}); });
  if (truncate == nullptr) return;
  if (*truncate == false || *truncate == "NONE") return;
  if (*truncate != true && *truncate != "END" && *truncate != "START") {
    return object.Reject("truncate", "truncate must be a boolean, or one of NONE, START and END");
  }
  if (!request.most_tokens) request.most_tokens = kUntilTextEnd;
  if (*truncate == "START") request.cuts_front = true;
}

// As ReadTexts reads it.
Json TextsSchema() {
  const Json text = words::Text(1, std::numeric_limits<std::int32_t>::max());
  const Json tokens = words::ListOf(words::TokenId(), 1, std::numeric_limits<std::int32_t>::max());
  return words::AnyOf({text, tokens, words::ListOf(words::AnyOf({text, tokens}), 1, kMostTexts)});
}

double NormOf(const std::vector<float>& numbers, int exponent) {
  double sum = 0;
  for (const float number : numbers) {
    const double size = std::abs(static_cast<double>(number));
    if (exponent == VectorForm::kLargestIs32760) {
      sum = std::max(sum, size);
    } else {
      sum += exponent == VectorForm::kEuclidean ? size * size : std::pow(size, exponent);
    }
  }
  if (exponent == VectorForm::kLargestIs32760) return sum / 32760;
  return exponent == VectorForm::kEuclidean ? std::sqrt(sum) : std::pow(sum, 1.0 / exponent);
}

}  // namespace

void ReadTexts(JsonObject& object, const char* name, EmbeddingRequest& request) {
  const Json* json = object.Any(name, TextsSchema);
  if (json == nullptr) return;
  request.texts.clear();
  request.field = name;
  const auto is_number = [](const Json& item) { return item.is_number(); };
  request.is_list = json->is_array() && !json->empty() && std::ranges::none_of(*json, is_number);
  if (!request.is_list) return AddText(object, name, *json, request);
  if (json->size() > kMostTexts) return object.Reject(name, fmt::format("{} has {} entries, more than {}", name, json->size(), kMostTexts));
  for (const Json& item : *json) AddText(object, name, item, request);
}

void ReadEmbeddingLimits(JsonObject& object, EmbeddingRequest& request) {
  if (const auto most = object.Int("truncate_prompt_tokens", -1, kMostTokensOfAText)) {
    if (*most == 0) object.Reject("truncate_prompt_tokens", "truncate_prompt_tokens must be -1 or at least 1");
    request.most_tokens = static_cast<int>(*most);
  }
  ReadTruncate(object, request);
  if (const auto side = object.Word("truncation_side", {"left", "right"})) request.cuts_front = *side == "left";
  ReadTurnFields(object, request.timeout_s, request.priority);
}

VectorForm ReadVectorForm(JsonObject& object, int embedding_size) {
  VectorForm form;
  if (const auto dimensions = object.Int("dimensions", 1, embedding_size > 0 ? embedding_size : kMostTokensOfAText)) {
    form.dimensions = static_cast<int>(*dimensions);
  }
  if (object.Bool("normalize") == false) form.normalize = VectorForm::kAsItIs;
  if (const auto exponent = object.Int("embd_normalize", VectorForm::kAsItIs, kMostExponent)) form.normalize = static_cast<int>(*exponent);
  return form;
}

std::vector<float> Formed(const std::vector<float>& embedding, const VectorForm& form) {
  const std::size_t size = std::min<std::size_t>(embedding.size(), static_cast<std::size_t>(form.dimensions.value_or(INT_MAX)));
  std::vector<float> formed(embedding.begin(), embedding.begin() + static_cast<std::ptrdiff_t>(size));
  if (form.normalize == VectorForm::kAsItIs) return formed;
  const double norm = NormOf(formed, form.normalize);
  if (!(norm > 0)) return formed;
  for (float& number : formed) number = static_cast<float>(number / norm);
  return formed;
}

}  // namespace cllm
