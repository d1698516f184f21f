#include "grammar/gbnf.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/utf8.h"

namespace cllm {
namespace {

constexpr int kMostNested = 100;              // parentheses
constexpr std::uint64_t kMostRepeats = 2000;  // llama.cpp's; a higher upper bound is none to it
constexpr std::uint32_t kLastCharacter = 0x10FFFF;
constexpr std::string_view kAnyCharacter = "[\\U00000000-\\U0010ffff]";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
// As llama.cpp has it, and the underscore, which it doesn't take.
bool IsOfRuleName(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IsDigit(c) || c == '-' || c == '_'; }

std::string Escaped(std::uint32_t character) {
  const bool is_plain = character < 0x80 && (IsOfRuleName(static_cast<char>(character)) && character != '-');
  return is_plain ? std::string(1, static_cast<char>(character)) : fmt::format("\\U{:08x}", character);
}

// Names of rules that mean something else to the library ("true", "TagDispatch", "7up") are none of its own any more.
std::string NameShown(std::string_view name) { return name == "root" ? "root" : fmt::format("r-{}", name); }

// Recursive descent, as llama.cpp reads it. The first error stays.
class GbnfReader {
 public:
  explicit GbnfReader(std::string_view text) : text_(text) {}

  Result<std::string> Read();

 private:
  char Peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool AtEnd() const { return at_ >= text_.size() || !status_; }
  void Reject(const std::string& message);
  void SkipSpace(bool with_lines);
  std::string_view Name();
  void Rule();
  std::string Alternates(bool is_nested);
  std::string Sequence(bool is_nested);
  std::string Item();
  std::string Literal();
  std::string Class();
  std::string Repetition(bool is_nested);
  std::optional<std::uint64_t> Number();
  std::uint32_t Character();
  std::uint32_t Hexadecimal(std::size_t digits);
  std::uint32_t Utf8();

  std::string_view text_;
  std::size_t at_ = 0;
  int nested_ = 0;
  Status status_;
  std::map<std::string, std::string, std::less<>> rules_;  // the last of a name counts
  std::map<std::string, std::size_t, std::less<>> used_;   // and where first
};

void GbnfReader::Reject(const std::string& message) {
  if (!status_) return;
  const auto line = 1 + std::ranges::count(text_.substr(0, std::min(at_, text_.size())), '\n');
  status_ = InvalidArgument(fmt::format("line {} of the grammar: {}", line, message));
}

void GbnfReader::SkipSpace(bool with_lines) {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '#') {
      at_ = std::min(text_.find_first_of("\r\n", at_), text_.size());
    } else if (c == ' ' || c == '\t' || (with_lines && (c == '\r' || c == '\n'))) {
      ++at_;
    } else {
      return;
    }
  }
}

std::string_view GbnfReader::Name() {
  const std::size_t begin = at_;
  while (IsOfRuleName(Peek())) ++at_;
  if (at_ == begin) Reject("the name of a rule is missing");
  return text_.substr(begin, at_ - begin);
}

Result<std::string> GbnfReader::Read() {
  if (text_.contains('\0') || !IsValidUtf8(text_)) return InvalidArgument("the grammar is no text: it holds a NUL, or what is not UTF-8");
  SkipSpace(true);
  while (!AtEnd()) Rule();
  if (!status_) return std::unexpected(status_.error());
  if (!rules_.contains("root")) return InvalidArgument("the grammar has no rule \"root\"");
  for (const auto& [name, place] : used_) {
    at_ = place;
    if (!rules_.contains(name)) Reject(fmt::format("there is no rule \"{}\"", name));
  }
  if (!status_) return std::unexpected(status_.error());
  std::string all;
  for (const auto& [name, rule] : rules_) all += fmt::format("{} ::= {}\n", NameShown(name), rule);
  return all;
}

void GbnfReader::Rule() {
  const std::string name(Name());
  SkipSpace(false);
  if (!text_.substr(at_).starts_with("::=")) return Reject("::= is missing");
  at_ += 3;
  SkipSpace(true);
  std::string rule = Alternates(false);
  if (at_ < text_.size() && Peek() != '\n' && Peek() != '\r') return Reject(fmt::format("'{}' stands where it may not", Peek()));
  rules_.insert_or_assign(name, std::move(rule));
  SkipSpace(true);
}

std::string GbnfReader::Alternates(bool is_nested) {
  std::string all = Sequence(is_nested);
  while (!AtEnd() && Peek() == '|') {
    ++at_;
    SkipSpace(true);
    all += " | " + Sequence(is_nested);
  }
  return all;
}

std::string GbnfReader::Sequence(bool is_nested) {
  std::string all;
  while (!AtEnd()) {
    constexpr std::string_view kBegins = "\"[(.<!";
    constexpr std::string_view kRepeats = "*+?{";
    if (kRepeats.contains(Peek())) Reject("there is nothing to repeat");
    if (!kBegins.contains(Peek()) && !IsOfRuleName(Peek())) break;
    std::string item = Item();
    SkipSpace(is_nested);
    // A repetition of a repetition stands in parentheses.
    for (int count = 0; !AtEnd() && kRepeats.contains(Peek()); ++count) {
      if (count > kMostNested) Reject("too many repetitions of one another");
      if (count > 0) item = "(" + item + ")";
      item += Repetition(is_nested);
      SkipSpace(is_nested);
    }
    if (!all.empty()) all += ' ';
    all += item;
  }
  return all.empty() ? "\"\"" : all;
}

std::string GbnfReader::Item() {
  const char c = Peek();
  if (c == '<' || c == '!') {
    Reject("tokens, as in <[12]> or !<think>, are not supported: texts are");
    return {};
  }
  if (IsOfRuleName(c)) {
    const std::size_t place = at_;
    const std::string_view name = Name();
    used_.emplace(name, place);
    return NameShown(name);
  }
  ++at_;
  if (c == '"') return Literal();
  if (c == '[') return Class();
  if (c == '.') return std::string(kAnyCharacter);
  if (++nested_ > kMostNested) Reject(fmt::format("more than {} parentheses in each other", kMostNested));
  SkipSpace(true);
  std::string group = "(" + Alternates(true) + ")";
  if (Peek() != ')') Reject("')' is missing");
  ++at_;
  --nested_;
  return group;
}

std::string GbnfReader::Literal() {
  std::string literal = "\"";
  while (!AtEnd() && Peek() != '"') literal += Escaped(Character());
  if (AtEnd()) Reject("a text has no end");
  ++at_;
  return literal + '"';
}

std::string GbnfReader::Class() {
  std::string all = "[";
  if (Peek() == '^') {
    ++at_;
    all += '^';
  }
  const std::size_t opening = all.size();
  while (!AtEnd() && Peek() != ']') {
    const std::uint32_t first = Character();
    all += Escaped(first);
    if (Peek() != '-' || Peek(1) == ']') continue;
    ++at_;
    const std::uint32_t last = Character();
    if (last < first) Reject("a range of characters ends before it begins");
    all += "-" + Escaped(last);
  }
  if (AtEnd()) Reject("a class of characters has no end");
  if (all.size() == opening) Reject("a class of characters is empty");
  ++at_;
  return all + ']';
}

std::string GbnfReader::Repetition(bool is_nested) {
  const char c = Peek();
  ++at_;
  if (c != '{') return std::string(1, c);
  SkipSpace(is_nested);
  const auto least = Number();
  SkipSpace(is_nested);
  auto most = least;
  if (Peek() == ',') {
    ++at_;
    SkipSpace(is_nested);
    most = Number();
    SkipSpace(is_nested);
  }
  if (!least || Peek() != '}') {
    Reject("a repetition is {n}, {n,} or {n,m}");
    return {};
  }
  ++at_;
  if (*least > kMostRepeats) Reject(fmt::format("more than {} repetitions", kMostRepeats));
  if (most && *most < *least) Reject("a repetition has an upper bound below its lower one");
  if (!most || *most > kMostRepeats) return fmt::format("{{{},}}", *least);
  return fmt::format("{{{},{}}}", *least, *most);
}

std::optional<std::uint64_t> GbnfReader::Number() {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), number);
  if (error == std::errc::invalid_argument) return std::nullopt;
  at_ = static_cast<std::size_t>(end - text_.data());
  return error == std::errc() ? number : kMostRepeats + 1;
}

std::uint32_t GbnfReader::Character() {
  if (Peek() != '\\') return Utf8();
  const char c = Peek(1);
  at_ += 2;
  switch (c) {
    case 'x':
      return Hexadecimal(2);
    case 'u':
      return Hexadecimal(4);
    case 'U':
      return Hexadecimal(8);
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'n':
      return '\n';
    default:
      if (c == '\0') Reject("an escape has no end");
      if (!std::string_view("\\\"[]-").contains(c)) Reject(fmt::format("\\{} is no escape of a grammar", c));
      return static_cast<unsigned char>(c);
  }
}

std::uint32_t GbnfReader::Hexadecimal(std::size_t digits) {
  const std::string_view text = text_.substr(std::min(at_, text_.size()), digits);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  const bool is_whole = error == std::errc() && text.size() == digits && end == text.data() + digits;
  const bool is_character = value <= kLastCharacter && (value < 0xD800 || value > 0xDFFF);
  if (!is_whole || !is_character) Reject(fmt::format("an escape needs {} hexadecimal digits that are a character", digits));
  at_ += text.size();
  return value;
}

std::uint32_t GbnfReader::Utf8() {
  const auto byte = static_cast<unsigned char>(Peek());
  const std::size_t length = byte < 0x80 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
  std::uint32_t value = length == 1 ? byte : byte & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) value = value << 6 | (static_cast<unsigned char>(Peek(i)) & 0x3F);
  at_ += length;
  return value;
}

}  // namespace

Result<std::string> FromGbnf(std::string_view gbnf) { return GbnfReader(gbnf).Read(); }

}  // namespace cllm
