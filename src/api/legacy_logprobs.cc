#include "api/legacy_logprobs.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "api/openai_fields.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

// A token as OpenAI's legacy log-probabilities name it: its text, or its bytes where they are no text by themselves.
std::string LegacyName(const std::string& bytes) {
  if (IsValidUtf8(bytes)) return bytes;
  std::string name = "bytes:";
  for (const unsigned char byte : bytes) name += fmt::format("\\x{:02x}", byte);
  return name;
}

// The most likely tokens and, as OpenAI has it, the chosen one, whose name is `chosen`. Where two tokens have the same text, each
// has an entry of its own, and the text stays with the chosen one.
Json TopLogprobs(const TokenText& token, const std::string& chosen, std::size_t most) {
  Json top = Json::object();
  for (std::size_t i = 0; i < std::min(most, token.token.top.size()); ++i) {
    const auto& [id, logprob] = token.token.top[i];
    std::string name = LegacyName(token.top_bytes[i]);
    const bool is_taken = name == chosen || top.contains(name);
    if (id != token.token.token && is_taken) name = fmt::format("token_id:{}", id);
    top[name] = LogprobShown(logprob);
  }
  top[chosen] = LogprobShown(token.token.logprob);
  return top;
}

std::size_t Characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](unsigned char byte) { return (byte & 0xC0) != 0x80; }));
}

struct Arrays {
  Json texts = Json::array();
  Json logprobs = Json::array();
  Json tops = Json::array();
  Json offsets = Json::array();

  void Add(const TokenText& token, std::size_t offset, std::size_t most, bool has_score) {
    std::string name = LegacyName(token.bytes);
    logprobs.push_back(has_score ? Json(LogprobShown(token.token.logprob)) : Json(nullptr));
    tops.push_back(has_score ? TopLogprobs(token, name, most) : Json(nullptr));
    texts.push_back(std::move(name));
    offsets.push_back(offset);
  }
};

}  // namespace

Json LegacyLogprobs::Next(const TextDelta& delta) {
  if (!delta.prompt.empty() && !in_prompt_) {
    in_prompt_ = true;
    echoed_ = Characters(std::string_view(delta.text).substr(0, delta.echoed));
    begins_with_space_ = delta.text.starts_with(' ');
  }
  Arrays arrays;
  for (const PromptToken& token : delta.prompt) arrays.Add(token.text, OffsetInPrompt(token), alternatives_, token.rank > 0);
  if (!delta.tokens.empty() && in_prompt_) EndPrompt();
  for (const TokenText& token : delta.tokens) {
    arrays.Add(token, offset_, token.token.top.size(), true);
    if (token.in_text) offset_ += Characters(assembler_.Push(token.bytes));
  }
  return {{"tokens", std::move(arrays.texts)},
          {"token_logprobs", std::move(arrays.logprobs)},
          {"top_logprobs", std::move(arrays.tops)},
          {"text_offset", std::move(arrays.offsets)}};
}

std::size_t LegacyLogprobs::OffsetInPrompt(const PromptToken& token) {
  const std::size_t begin = std::min(offset_, echoed_);
  if (!token.text.in_text) return begin;
  const bool drops_space = std::exchange(is_first_of_text_, false) && !begins_with_space_ && token.text.bytes.starts_with(' ');
  offset_ += Characters(assembler_.Push(drops_space ? token.text.bytes.substr(1) : token.text.bytes));
  return begin;
}

void LegacyLogprobs::EndPrompt() {
  in_prompt_ = false;
  assembler_ = {};
  offset_ = echoed_;
}

Json LegacyLogprobsSchema() {
  Json numbers = words::AnyObject();
  numbers["additionalProperties"] = words::Number();
  return words::Record({{"tokens", words::ListOf(words::String())},
                        {"token_logprobs", words::ListOf(words::OrNull(words::Number()))},
                        {"top_logprobs", words::ListOf(words::OrNull(std::move(numbers)))},
                        {"text_offset", words::ListOf(words::Integer())}});
}

}  // namespace cllm
