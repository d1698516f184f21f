#include "chat/settings.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "api/sampling_fields.h"
#include "base/nearest_word.h"
#include "base/utf8.h"

namespace cllm {
namespace {

constexpr std::array<ChatSettings::Known, 11> kAllSettings = {{
    {"temperature", "How freely the next token is drawn; 0 always takes the likeliest."},
    {"top_p", "Draw from the likeliest tokens that together have this probability."},
    {"top_k", "Draw from this many tokens at most; 0 means all."},
    {"min_p", "Leave out tokens less likely than this share of the likeliest one."},
    {"repetition_penalty", "Above 1 makes repeats less likely."},
    {"presence_penalty", "Taken from the score of every token that was seen."},
    {"frequency_penalty", "Taken from the score of a token for each time that it was seen."},
    {"repeat_last_n", "How many tokens the penalties look back; -1 means all."},
    {"max_tokens", "Longest answer in tokens."},
    {"seed", "The same seed and the same conversation give the same answer; -1 means a new one each time."},
    {"stop", "Text that ends the answer; a JSON array where there are several."},
}};

bool IsKnown(std::string_view name) {
  return std::ranges::any_of(kAllSettings, [&](const ChatSettings::Known& known) { return name == known.name; });
}

std::unexpected<Error> Unknown(std::string_view name) {
  std::vector<std::string_view> names;
  for (const ChatSettings::Known& known : kAllSettings) names.emplace_back(known.name);
  return InvalidArgument(fmt::format("there is no setting {}; the nearest is {}", Shortened(name), *NearestWord(name, names)));
}

// What a person types has no quotes around text; a number that is none is left to the bounds check, which names it.
Json Value(std::string_view name, std::string_view text) {
  const bool is_json = name != "stop" || text.starts_with('"') || text.starts_with('[');
  Json value = is_json ? Json::parse(text, nullptr, false) : Json(Json::value_t::discarded);
  return value.is_discarded() ? Json(text) : value;
}

Status Apply(const Json& fields, GenerateRequest& request) {
  JsonObject object(fields);
  ReadSamplingFields(object, request);
  ReadMaxTokens(object, {"max_tokens"}, request);
  return object.Finish();
}

}  // namespace

std::span<const ChatSettings::Known> ChatSettings::All() { return kAllSettings; }

Status ChatSettings::Set(std::string_view name, std::string_view text) {
  if (!IsKnown(name)) return Unknown(name);
  Json changed = fields_;
  const std::string key(name);
  if (text == "default") {
    changed.erase(key);
  } else {
    changed[key] = Value(name, text);
    if (changed[key].is_null()) return InvalidArgument(fmt::format("{} cannot be null", name), key);
  }
  GenerateRequest unused;
  if (Status status = cllm::Apply(changed, unused); !status) return status;
  fields_ = std::move(changed);
  return {};
}

Result<std::string> ChatSettings::Text(std::string_view name) const {
  if (!IsKnown(name)) return Unknown(name);
  const auto found = fields_.find(std::string(name));
  return found == fields_.end() ? "default" : Dump(*found);
}

Status ChatSettings::Apply(GenerateRequest& request) const { return cllm::Apply(fields_, request); }

}  // namespace cllm
