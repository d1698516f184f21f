#include "schema/ecma_pattern.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/utf8.h"

namespace cllm {
namespace {

constexpr std::string_view kSpaces = R"(\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff})";
constexpr std::string_view kNoSpaces =
    R"(\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff})";

// General categories have long names that RE2 doesn't know.
constexpr auto kCategories = std::to_array<std::pair<std::string_view, std::string_view>>({{"Letter", "L"},
                                                                                           {"Cased_Letter", "LC"},
                                                                                           {"Uppercase_Letter", "Lu"},
                                                                                           {"Lowercase_Letter", "Ll"},
                                                                                           {"Titlecase_Letter", "Lt"},
                                                                                           {"Modifier_Letter", "Lm"},
                                                                                           {"Other_Letter", "Lo"},
                                                                                           {"Mark", "M"},
                                                                                           {"Combining_Mark", "M"},
                                                                                           {"Nonspacing_Mark", "Mn"},
                                                                                           {"Spacing_Mark", "Mc"},
                                                                                           {"Enclosing_Mark", "Me"},
                                                                                           {"Number", "N"},
                                                                                           {"Decimal_Number", "Nd"},
                                                                                           {"digit", "Nd"},
                                                                                           {"Letter_Number", "Nl"},
                                                                                           {"Other_Number", "No"},
                                                                                           {"Punctuation", "P"},
                                                                                           {"punct", "P"},
                                                                                           {"Connector_Punctuation", "Pc"},
                                                                                           {"Dash_Punctuation", "Pd"},
                                                                                           {"Open_Punctuation", "Ps"},
                                                                                           {"Close_Punctuation", "Pe"},
                                                                                           {"Initial_Punctuation", "Pi"},
                                                                                           {"Final_Punctuation", "Pf"},
                                                                                           {"Other_Punctuation", "Po"},
                                                                                           {"Symbol", "S"},
                                                                                           {"Math_Symbol", "Sm"},
                                                                                           {"Currency_Symbol", "Sc"},
                                                                                           {"Modifier_Symbol", "Sk"},
                                                                                           {"Other_Symbol", "So"},
                                                                                           {"Separator", "Z"},
                                                                                           {"Space_Separator", "Zs"},
                                                                                           {"Line_Separator", "Zl"},
                                                                                           {"Paragraph_Separator", "Zp"},
                                                                                           {"Control", "Cc"},
                                                                                           {"cntrl", "Cc"},
                                                                                           {"Format", "Cf"},
                                                                                           {"Private_Use", "Co"}});

constexpr bool IsDigitOf(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsLetterOf(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// "{2}", "{2,}" or "{2,5}" at the beginning of `text`: its length and the larger count; nothing where the brace is a character.
struct Repetition {
  std::size_t length = 0;
  int most = 0;
};
std::optional<Repetition> RepetitionAt(std::string_view text) {
  Repetition found;
  const char* const end = text.data() + text.size();
  auto read = std::from_chars(text.data() + 1, end, found.most);
  if (text.size() < 2 || !IsDigitOf(text[1]) || read.ec != std::errc()) return std::nullopt;
  if (read.ptr != end && *read.ptr == ',') {
    ++read.ptr;
    if (read.ptr != end && IsDigitOf(*read.ptr)) read = std::from_chars(read.ptr, end, found.most);
  }
  if (read.ec != std::errc() || read.ptr == end || *read.ptr != '}') return std::nullopt;
  found.length = static_cast<std::size_t>(read.ptr + 1 - text.data());
  return found;
}

// Writes the expression anew, piece by piece.
class Re2Writer {
 public:
  explicit Re2Writer(std::string_view pattern) : rest_(pattern) {}

  Result<std::string> Write() {
    while (!rest_.empty() && error_.empty()) WritePiece();
    if (is_class_) Refuse("a class that isn't closed");
    if (!error_.empty()) return InvalidArgument(std::move(error_));
    return std::move(out_);
  }

 private:
  void WritePiece();
  void WriteClassPiece();
  void WriteGroup();
  void WriteEscape();
  void WriteProperty(char kind);
  void WriteCodePoint(std::optional<std::uint32_t> code_point) {
    if (!code_point || *code_point > 0x10FFFF || (*code_point >= 0xD800 && *code_point < 0xE000))
      return Refuse("an escape that is no character");
    fmt::format_to(std::back_inserter(out_), "\\x{{{:x}}}", *code_point);
  }
  std::optional<std::uint32_t> Hex(std::size_t digits);
  std::optional<std::uint32_t> UnicodeEscape();
  void Refuse(std::string_view what) {
    if (error_.empty()) error_ = fmt::format("the pattern has {}", what);
  }
  char Take() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  bool TakeIf(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  std::string_view rest_;
  std::string out_;
  std::string error_;
  bool is_class_ = false;
};

void Re2Writer::WritePiece() {
  if (is_class_) return WriteClassPiece();
  if (rest_.front() == '{') {
    const auto repetition = RepetitionAt(rest_);
    const std::size_t length = repetition ? repetition->length : 1;
    out_ += repetition ? rest_.substr(0, length) : "\\{";
    rest_.remove_prefix(length);
    return;
  }
  const char c = Take();
  if (c == '\\') return WriteEscape();
  if (c == '(') return WriteGroup();
  if (c == '.') {
    out_ += R"([^\n\r\x{2028}\x{2029}])";
  } else if (c == '}' || c == ']') {
    out_ += '\\';
    out_ += c;
  } else if (c == '[') {
    const bool is_negated = TakeIf("^");
    if (TakeIf("]")) {  // all characters, or none
      if (!is_negated) return Refuse("an empty class");
      out_ += R"([\x{0}-\x{10ffff}])";
      return;
    }
    out_ += is_negated ? "[^" : "[";
    is_class_ = true;
  } else {
    out_ += c;
  }
}

void Re2Writer::WriteClassPiece() {
  const char c = Take();
  if (c == '\\') return WriteEscape();
  if (c == '[' || c == '^') out_ += '\\';
  out_ += c;
  is_class_ = c != ']';
}

void Re2Writer::WriteGroup() {
  out_ += '(';
  if (!TakeIf("?")) return;
  if (TakeIf(":")) {
    out_ += "?:";
  } else if (rest_.starts_with("<") && !rest_.starts_with("<=") && !rest_.starts_with("<!")) {
    const std::size_t end = rest_.find('>');
    if (end == std::string_view::npos) return Refuse("a group whose name isn't closed");
    rest_.remove_prefix(end + 1);
  } else {
    Refuse("a lookaround or a group with flags");
  }
}

std::optional<std::uint32_t> Re2Writer::Hex(std::size_t digits) {
  std::uint32_t value = 0;
  if (rest_.size() < digits) return std::nullopt;
  const char* const end = rest_.data() + digits;
  if (std::from_chars(rest_.data(), end, value, 16).ptr != end) return std::nullopt;
  rest_.remove_prefix(digits);
  return value;
}

// After "\u".
std::optional<std::uint32_t> Re2Writer::UnicodeEscape() {
  if (TakeIf("{")) {
    const std::size_t digits = rest_.find('}');
    if (digits == 0 || digits == std::string_view::npos || digits > 8) return std::nullopt;
    const auto value = Hex(digits);
    return TakeIf("}") ? value : std::nullopt;
  }
  const auto high = Hex(4);
  if (!high || *high < 0xD800 || *high >= 0xDC00 || !TakeIf("\\u")) return high;
  const auto low = Hex(4);
  if (!low || *low < 0xDC00 || *low >= 0xE000) return std::nullopt;
  return 0x10000 + ((*high - 0xD800) << 10) + (*low - 0xDC00);
}

void Re2Writer::WriteProperty(char kind) {
  const std::size_t end = rest_.find('}');
  if (!TakeIf("{") || end == std::string_view::npos) return Refuse("a property of characters without its name");
  std::string_view name = rest_.substr(0, end - 1);
  rest_.remove_prefix(end);
  const bool is_script = name.starts_with("Script=") || name.starts_with("sc=");
  const bool is_category = name.starts_with("General_Category=") || name.starts_with("gc=");
  if (is_script || is_category) name.remove_prefix(name.find('=') + 1);
  for (const auto& [long_name, short_name] : kCategories) {
    if (!is_script && name == long_name) name = short_name;
  }
  for (const char c : name) {
    if (!IsLetterOf(c) && c != '_') return Refuse("a property of characters that isn't known");
  }
  if (!is_script && name.size() > 2) return Refuse("a property of characters that isn't known");
  if (name == "LC") return Refuse("a property of characters that isn't known");
  fmt::format_to(std::back_inserter(out_), "\\{}{{{}}}", kind, name);
}

void Re2Writer::WriteEscape() {
  if (rest_.empty()) return Refuse("a backslash at its end");
  const char c = Take();
  switch (c) {
    case 'd':
    case 'D':
    case 'w':
    case 'W':
    case 't':
    case 'n':
    case 'v':
    case 'f':
    case 'r':
      out_ += '\\';
      out_ += c;
      return;
    case 's':
      out_ += is_class_ ? std::string(kSpaces) : fmt::format("[{}]", kSpaces);
      return;
    case 'S':
      out_ += is_class_ ? std::string(kNoSpaces) : fmt::format("[{}]", kNoSpaces);
      return;
    case 'p':
    case 'P':
      return WriteProperty(c);
    case 'b':
      out_ += is_class_ ? "\\x{8}" : "\\b";
      return;
    case 'B':
      return is_class_ ? Refuse("\\B in a class") : void(out_ += "\\B");
    case '0':
      return !rest_.empty() && IsDigitOf(rest_.front()) ? Refuse("an octal escape") : WriteCodePoint(0);
    case 'x':
      return WriteCodePoint(Hex(2));
    case 'u':
      return WriteCodePoint(UnicodeEscape());
    case 'c':
      return rest_.empty() || !IsLetterOf(rest_.front()) ? Refuse("\\c without a letter") : WriteCodePoint(Take() & 0x1F);
    default:
      break;
  }
  if (IsDigitOf(c) || c == 'k') return Refuse("a reference to a group");
  if (IsLetterOf(c) || c == '_' || (c & 0x80) != 0) return Refuse("an escape that isn't known");
  out_ += '\\';
  out_ += c;
}

// Reads the expression as the grammar compiler would.
class GenerationCheck {
 public:
  explicit GenerationCheck(std::string_view pattern) : pattern_(pattern) {}

  std::optional<std::string> Run() {
    for (const char c : pattern_) {
      if (c < ' ' || c > '~') return "has characters other than printable ASCII";
    }
    if (pattern_.find('"') != std::string_view::npos) return "has a quote";
    for (at_ = 0; at_ < pattern_.size() && !reason_; ++at_) Look();
    if (!reason_ && (is_class_ || open_.size() != 1)) Refuse("has a class or a group that isn't closed");
    return reason_;
  }

 private:
  // How often something is repeated within a group, counts within counts multiplied, and in the piece that ended last.
  struct Group {
    int most = 1;
    int last = 1;
  };
  static constexpr int kMostCopies = 1000;

  void Look();
  void LookAtClass();
  void LookAtEscape();
  void LookAtCount();
  void Close();
  void Refuse(const char* reason) {
    if (!reason_) reason_ = reason;
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  bool is_class_ = false;
  std::vector<Group> open_ = {{}};
  std::optional<std::string> reason_;
};

void GenerationCheck::Look() {
  const char c = pattern_[at_];
  if (is_class_) return LookAtClass();
  const bool is_lazy = c == '?' && at_ > 0 && std::string_view("*+?}").find(pattern_[at_ - 1]) != std::string_view::npos &&
                       !(at_ > 1 && pattern_[at_ - 2] == '\\');
  if (is_lazy) return Refuse("has a lazy repetition");
  if (c == '{') return LookAtCount();
  if (c == ')') return Close();
  if (c == '}' || c == ']') return Refuse("has a bracket without its partner");
  if ((c == '^' && at_ != 0) || (c == '$' && at_ + 1 != pattern_.size())) return Refuse("has ^ or $ elsewhere than at its ends");
  if (c != '*' && c != '+' && c != '?') open_.back().last = 1;
  if (c == '\\') return LookAtEscape();
  if (c == '[') {
    is_class_ = true;
    if (pattern_.substr(at_ + 1).starts_with('^')) ++at_;
    if (pattern_.substr(at_ + 1).starts_with(']')) Refuse("has an empty class");
  } else if (c == '(') {
    if (pattern_.substr(at_ + 1).starts_with("?:")) {
      at_ += 2;
    } else if (pattern_.substr(at_ + 1).starts_with('?')) {
      Refuse("has a lookaround, a named group or a group with flags");
    }
    open_.emplace_back();
  }
}

void GenerationCheck::LookAtClass() {
  const char c = pattern_[at_];
  if (c == '[') return Refuse("has a bracket in a class");
  if (c == '\\') return LookAtEscape();
  is_class_ = c != ']';
}

void GenerationCheck::LookAtEscape() {
  ++at_;
  if (at_ == pattern_.size()) return Refuse("has a backslash at its end");
  const char c = pattern_[at_];
  if (c == '\\') return Refuse("has a backslash as a character");
  // In a class they could leave nothing that may be generated.
  const std::string_view letters = is_class_ ? "dws" : "dwsDWS";
  if ((IsLetterOf(c) || IsDigitOf(c)) && letters.find(c) == std::string_view::npos) Refuse("has an escape that isn't kept");
}

void GenerationCheck::LookAtCount() {
  const auto repetition = RepetitionAt(pattern_.substr(at_));
  if (!repetition) return Refuse("has a bracket without its partner");
  at_ += repetition->length - 1;
  Group& group = open_.back();
  if (repetition->most > kMostCopies || group.last * std::max(repetition->most, 1) > kMostCopies) return Refuse("repeats too much");
  group.most = std::max(group.most, group.last * std::max(repetition->most, 1));
}

void GenerationCheck::Close() {
  if (open_.size() == 1) return Refuse("has a bracket without its partner");
  const int within = open_.back().most;
  open_.pop_back();
  open_.back().last = within;
  open_.back().most = std::max(open_.back().most, within);
}

}  // namespace

Result<std::string> PatternForRe2(std::string_view pattern) {
  if (pattern.size() > kMostPatternBytes) return InvalidArgument(fmt::format("the pattern is longer than {} bytes", kMostPatternBytes));
  return Re2Writer(pattern).Write();
}

std::optional<std::string> WhyNotGenerated(std::string_view pattern) {
  if (pattern.size() > kMostPatternBytes) return fmt::format("is longer than {} bytes", kMostPatternBytes);
  return GenerationCheck(pattern).Run();
}

}  // namespace cllm
