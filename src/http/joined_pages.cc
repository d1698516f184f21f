#include "http/joined_pages.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/escape.h"

namespace cllm {
namespace {

// A label's value: quotes, backslashes and ends of lines would end it.
std::string LabelValue(std::string_view text) {
  std::string value;
  for (const char c : Escaped(text)) value += c == '"' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
  return value;
}

// `name{labels} value` or `name value`, with one label more, unless it has one of that name.
std::string WithModel(std::string_view line, std::string_view model) {
  const std::size_t name_end = std::min(line.find_first_of("{ "), line.size());
  const std::string_view name = line.substr(0, name_end), rest = line.substr(name_end);
  if (!rest.starts_with('{')) return fmt::format("{}{{model=\"{}\"}}{}\n", name, model, rest);
  if (rest.contains("model=\"")) return fmt::format("{}\n", line);
  return fmt::format("{}{{model=\"{}\",{}\n", name, model, rest.substr(1));
}

}  // namespace

void JoinedPages::Add(std::string_view page, std::string_view model) {
  const std::string label = LabelValue(model);
  Family* family = nullptr;
  bool is_new = false;
  for (std::size_t at = 0; at < page.size();) {
    const std::size_t end = std::min(page.find('\n', at), page.size());
    const std::string_view line = page.substr(at, end - at);
    at = end + 1;
    if (line.empty()) continue;
    if (constexpr std::string_view kHelp = "# HELP "; line.starts_with(kHelp)) {
      const std::string name(line.substr(kHelp.size(), line.find(' ', kHelp.size()) - kHelp.size()));
      const auto [place, inserted] = families_.try_emplace(name);
      if (inserted) order_.push_back(name);
      is_new = inserted;
      family = &place->second;
    }
    if (family == nullptr) continue;
    if (!line.starts_with('#')) {
      family->lines += WithModel(line, label);
    } else if (is_new) {
      family->head += fmt::format("{}\n", line);
    }
  }
}

std::string JoinedPages::Text() const {
  std::string text;
  for (const std::string& name : order_) {
    const Family& family = families_.find(name)->second;
    text += family.head + family.lines;
  }
  return text;
}

}  // namespace cllm
