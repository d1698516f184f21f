#include "grammar/text_rules.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/utf8.h"

namespace cllm {
namespace {

using Characters = std::u32string;

Characters CharactersOf(std::string_view text) {
  Characters characters;
  while (!text.empty()) {
    const std::size_t length = std::max<std::size_t>(CharacterLength(text), 1);
    characters += CodePoint(text.substr(0, length));
    text.remove_prefix(length);
  }
  return characters;
}

std::string InClass(const std::set<char32_t>& characters) {
  std::string all;
  for (const char32_t character : characters) all += fmt::format("\\U{:08x}", static_cast<std::uint32_t>(character));
  return all;
}

// What of a text matters for what may follow: the longest beginning of an excluded text that it ends with.
class ExcludedTexts {
 public:
  explicit ExcludedTexts(std::span<const std::string> texts) {
    for (const std::string& text : texts) texts_.push_back(CharactersOf(text));
    for (const Characters& text : texts_) {
      for (std::size_t size = 0; size < text.size(); ++size) states_.emplace(text.substr(0, size), 0);
      alphabet_.insert(text.begin(), text.end());
    }
    states_.emplace(Characters(), 0);
    std::size_t number = 0;
    for (auto& [state, its_number] : states_) its_number = number++;  // the empty one is the first
  }

  std::string RuleOf(const Characters& state, std::string_view not_first, const std::string& name) const {
    std::map<std::size_t, std::set<char32_t>> next;
    std::set<char32_t> named = alphabet_;
    for (const char c : not_first) named.insert(static_cast<unsigned char>(c));
    for (const char32_t character : alphabet_) {
      if (character < 0x80 && not_first.contains(static_cast<char>(character))) continue;
      if (const auto to = Behind(state + character)) next[*to].insert(character);
    }
    std::string rule = "\"\"";
    for (const auto& [to, characters] : next) rule += fmt::format(" | [{}] {}", InClass(characters), NameOf(to, name));
    return rule + fmt::format(" | [^{}] {}\n", InClass(named), NameOf(0, name));
  }
  const std::map<Characters, std::size_t>& states() const { return states_; }
  static std::string NameOf(std::size_t state, const std::string& name) { return fmt::format("{}-{}", name, state); }

 private:
  // Nothing where the text ends with an excluded one.
  std::optional<std::size_t> Behind(const Characters& text) const {
    for (const Characters& excluded : texts_) {
      if (text.ends_with(excluded)) return std::nullopt;
    }
    for (std::size_t from = 0; from < text.size(); ++from) {
      if (const auto found = states_.find(text.substr(from)); found != states_.end()) return found->second;
    }
    return 0;
  }

  std::vector<Characters> texts_;
  std::set<char32_t> alphabet_;
  std::map<Characters, std::size_t> states_;
};

}  // namespace

std::string RulesWithout(std::span<const std::string> excluded, std::string_view not_first, const std::string& name) {
  const ExcludedTexts texts(excluded);
  std::string rules = fmt::format("{} ::= {}", name, texts.RuleOf({}, not_first, name));
  for (const auto& [state, number] : texts.states())
    rules += fmt::format("{} ::= {}", texts.NameOf(number, name), texts.RuleOf(state, {}, name));
  return rules;
}

std::string CharactersWithout(std::string_view excluded, std::int64_t least, std::optional<std::int64_t> most) {
  const Characters characters = CharactersOf(excluded);
  return fmt::format("[^{}]{{{},{}}}", InClass({characters.begin(), characters.end()}), least, most ? std::to_string(*most) : "");
}

std::string LiteralRule(std::string_view text) {
  std::string literal;
  for (const char32_t character : CharactersOf(text)) literal += fmt::format("\\U{:08x}", static_cast<std::uint32_t>(character));
  return fmt::format("\"{}\"", literal);
}

}  // namespace cllm
