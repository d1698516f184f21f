#include "models/model_names.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/utf8.h"

namespace cllm {
namespace {

constexpr std::string_view kUsualTag = ":latest";
// No model is called by more.
constexpr std::size_t kMostNameBytes = 1024;

bool IsPattern(std::string_view alias) { return alias.contains('*'); }

}  // namespace

bool MatchesPattern(std::string_view text, std::string_view pattern) {
  std::size_t at = 0, in_pattern = 0;
  std::size_t star = std::string_view::npos, after_star = 0;  // the last * and the text that it does not take yet
  while (at < text.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      after_star = at;
    } else if (in_pattern < pattern.size() && pattern[in_pattern] == text[at]) {
      ++in_pattern;
      ++at;
    } else if (star != std::string_view::npos) {
      in_pattern = star + 1;
      at = ++after_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

Result<ModelNames> ModelNames::Create(std::vector<NamedModel> models) {
  std::set<std::string_view> known;
  const auto add = [&](const std::string& name, const char* what) -> Status {
    if (name.empty() || name.size() > kMostNameBytes) return InvalidArgument(fmt::format("the {} of a model is empty or too long", what));
    if (!known.insert(name).second) return InvalidArgument(fmt::format("{} names two models", Shortened(name)));
    return {};
  };
  for (const NamedModel& model : models) {
    if (Status status = add(model.name, "name"); !status) return std::unexpected(status.error());
    for (const std::string& alias : model.aliases) {
      if (Status status = add(alias, "alias"); !status) return std::unexpected(status.error());
    }
  }
  ModelNames names;
  names.models_ = std::move(models);
  return names;
}

std::optional<std::size_t> ModelNames::FindExactly(std::string_view text) const {
  const auto place = [&](const auto& is_meant) -> std::optional<std::size_t> {
    const auto found = std::ranges::find_if(models_, is_meant);
    if (found == models_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - models_.begin());
  };
  if (const auto named = place([&](const NamedModel& model) { return model.name == text; })) return named;
  return place([&](const NamedModel& model) { return std::ranges::find(model.aliases, text) != model.aliases.end(); });
}

std::optional<std::size_t> ModelNames::FindPattern(std::string_view text) const {
  const auto fits = [&](const std::string& alias) { return IsPattern(alias) && MatchesPattern(text, alias); };
  const auto found = std::ranges::find_if(models_, [&](const NamedModel& model) { return std::ranges::any_of(model.aliases, fits); });
  if (found == models_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - models_.begin());
}

Result<std::size_t> ModelNames::Find(std::string_view text) const {
  if (text.empty()) return 0;
  if (text.size() <= kMostNameBytes) {
    if (const auto found = FindExactly(text)) return *found;
    if (text.ends_with(kUsualTag)) {
      if (const auto found = FindExactly(text.substr(0, text.size() - kUsualTag.size()))) return *found;
    }
    if (const auto found = FindExactly(fmt::format("{}{}", text, kUsualTag))) return *found;
    std::string dashed(text);
    std::ranges::replace(dashed, ':', '-');
    if (const auto found = FindExactly(dashed)) return *found;
    if (const auto found = FindPattern(text)) return *found;
  }
  return Fail(ErrorCode::kModelNotFound, fmt::format("the model {} is not served here; there is {}", Shortened(text), List()), "model");
}

std::string ModelNames::List() const {
  constexpr std::size_t kMostShown = 20;
  std::string list;
  for (std::size_t i = 0; i < std::min(models_.size(), kMostShown); ++i) list += fmt::format("{}{}", i == 0 ? "" : ", ", models_[i].name);
  return models_.size() > kMostShown ? fmt::format("{} and {} more", list, models_.size() - kMostShown) : list;
}

}  // namespace cllm
