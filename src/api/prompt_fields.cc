#include "api/prompt_fields.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/openai_fields.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

constexpr const char* kPromptString = "prompt_string";

// llama-server's way to send images beside a text, without any.
std::optional<Prompt> ReadPromptObject(const Json& json) {
  const auto text = json.find(kPromptString);
  if (json.size() != 1 || text == json.end() || !text->is_string()) return std::nullopt;
  return text->get<std::string>();
}

// A string, a list of token ids, or llama-server's list of both. Nothing where it is something else.
std::optional<Prompt> ReadOnePrompt(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_object()) return ReadPromptObject(json);
  if (!json.is_array()) return std::nullopt;
  PromptParts prompt;
  bool has_text = false;
  for (const Json& item : json) {
    if (item.is_string()) {
      prompt.parts.emplace_back(item.get<std::string>());
      has_text = true;
      continue;
    }
    const auto id = AsTokenId(item);
    if (!id) return std::nullopt;
    if (prompt.parts.empty() || prompt.parts.back().index() == 0) prompt.parts.emplace_back(std::vector<TokenId>());
    std::get<std::vector<TokenId>>(prompt.parts.back()).push_back(*id);
  }
  if (has_text) return prompt;
  return prompt.parts.empty() ? std::vector<TokenId>() : std::get<std::vector<TokenId>>(std::move(prompt.parts.front()));
}

// The beginning of a text that has a gap before `suffix`; nothing where it is no text.
std::optional<Prompt> WithSuffix(const Prompt& prompt, const std::string& suffix, bool add_special_tokens) {
  const auto* text = std::get_if<std::string>(&prompt);
  if (text == nullptr) return std::nullopt;
  return GapPrompt{.prefix = *text, .suffix = suffix, .middle = {}, .add_special_tokens = add_special_tokens};
}

// A text whose tokens are to have nothing around them.
Prompt WithoutSpecialTokens(Prompt prompt) {
  if (auto* text = std::get_if<std::string>(&prompt)) {
    PromptParts parts{.parts = {}, .add_special_tokens = false};
    parts.parts.emplace_back(std::move(*text));
    return parts;
  }
  if (auto* parts = std::get_if<PromptParts>(&prompt)) parts->add_special_tokens = false;
  return prompt;
}

// As ReadPrompts reads it.
Json PromptsSchema() {
  const Json parts = words::ListOf(words::AnyOf({words::TokenId(), words::String()}));
  const Json object = words::Record({{kPromptString, words::String()}});
  return words::AnyOf({words::String(), parts, object, words::ListOf(words::AnyOf({words::String(), parts, object}), 1, kMostChoices)});
}

}  // namespace

void ReadPrompts(JsonObject& object, ParsedCall& call) {
  const Json* json = object.Any("prompt", PromptsSchema);
  object.Require("prompt");
  const bool add_special_tokens = object.Bool("add_special_tokens").value_or(true);
  const std::string suffix = object.String("suffix").value_or("");
  const auto finished = [&](Prompt prompt) {
    if (suffix.empty()) return add_special_tokens ? std::move(prompt) : WithoutSpecialTokens(std::move(prompt));
    std::optional<Prompt> gap = WithSuffix(prompt, suffix, add_special_tokens);
    if (!gap) object.Reject("suffix", "suffix needs a prompt that is a text");
    return gap ? std::move(*gap) : std::move(prompt);
  };
  if (json == nullptr) return;
  const bool is_list = json->is_array() && !json->empty() && std::ranges::none_of(*json, [](const Json& item) { return item.is_number(); });
  if (!is_list) {
    std::optional<Prompt> prompt = ReadOnePrompt(*json);
    if (!prompt) return object.Reject("prompt", "prompt must be a string, an array of token ids and strings, or an array of these");
    call.request.prompt = finished(std::move(*prompt));
    return;
  }
  if (json->size() > kMostChoices) {
    return object.Reject("prompt", fmt::format("prompt has {} entries, more than {}", json->size(), kMostChoices));
  }
  for (std::size_t i = 0; i < json->size(); ++i) {
    std::optional<Prompt> prompt = ReadOnePrompt((*json)[i]);
    if (!prompt) return object.Reject("prompt", fmt::format("prompt[{}] must be a string or an array of token ids and strings", i));
    if (i == 0) {
      call.request.prompt = finished(std::move(*prompt));
    } else {
      call.further_prompts.push_back(finished(std::move(*prompt)));
    }
  }
}

}  // namespace cllm
