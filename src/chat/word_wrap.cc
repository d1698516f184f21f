#include "chat/word_wrap.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/columns.h"
#include "base/utf8.h"

namespace cllm {
namespace {

constexpr std::size_t kLeastColumns = 16;
constexpr std::size_t kCodeIndent = 4;
constexpr std::size_t kTabStop = 8;
constexpr std::size_t kFenceBytes = 3;
constexpr std::string_view kNoLineBeginsWith = "、。，．：；！？）］｝」』】〉》〕ー々…‥・ゝゞっゃゅょッャュョァィゥェォ%)]},.:;!?\"'";
constexpr std::array<std::string_view, 13> kNoLineEndsWith = {"（", "「", "『", "【", "〈", "《",    "〔",
                                                              "［", "｛", "(",  "[",  "{",  "\u200D"};

// Whether no line may end between `word` and `character`, one of which has two columns.
bool StayTogether(std::string_view word, std::string_view character) {
  const char32_t point = CodePoint(character);
  const bool is_skin_tone = point >= 0x1F3FB && point <= 0x1F3FF;
  return ColumnsOf(point) == 0 || is_skin_tone || kNoLineBeginsWith.contains(character) ||
         std::ranges::any_of(kNoLineEndsWith, [&](std::string_view end) { return word.ends_with(end); });
}

// Joined pictures have the width of one on some terminals, and that of all on others.
bool HasUncertainWidth(char32_t point) { return point == 0x200D || point == 0xFE0F || point >= 0x1F000; }

// "-", "*", "12." …
bool IsItemMark(std::string_view word) {
  if (word == "-" || word == "*" || word == "+" || word == "•") return true;
  const std::size_t digits = std::min(word.find_first_not_of("0123456789"), word.size());
  return digits > 0 && (word.substr(digits) == "." || word.substr(digits) == ")");
}

std::size_t ColumnsFrom(std::size_t column, std::string_view blanks) {
  std::size_t columns = 0;
  for (const char blank : blanks) columns += blank == '\t' ? kTabStop - (column + columns) % kTabStop : 1;
  return columns;
}

}  // namespace

std::string WordWrap::Push(std::string_view text, std::size_t columns) {
  columns_ = columns;
  while (!text.empty()) {
    const std::string_view character = text.substr(0, std::max<std::size_t>(CharacterLength(text), 1));
    PushCharacter(character);
    text.remove_prefix(character.size());
  }
  return std::exchange(shown_, {});
}

void WordWrap::PushCharacter(std::string_view character) {
  if (character == "\n") {
    EndLine();
  } else if (character == " " || character == "\t") {
    PushBlank(character[0]);
  } else {
    PushToWord(character);
  }
}

void WordWrap::PushBlank(char blank) {
  EndWord();
  if (line_ == Line::kAsItIs) return Show({&blank, 1}, ColumnsFrom(column_, {&blank, 1}));
  blanks_ += blank;
}

void WordWrap::PushToWord(std::string_view character) {
  const char32_t point = CodePoint(character);
  const auto columns = static_cast<std::size_t>(ColumnsOf(point));
  const bool wide = columns == 2;
  if (!word_.empty() && (wide || word_is_wide_) && !StayTogether(word_, character)) EndWord();
  if (word_.empty()) word_is_wide_ = wide;
  MakeRoom(columns);
  Show(character, columns);
  word_ += character;
  word_columns_ += columns;
  word_stays_ = word_stays_ || HasUncertainWidth(point);
  if (line_ == Line::kBegins && !fence_.empty() && word_.size() >= kFenceBytes) BeginLine();
}

void WordWrap::MakeRoom(std::size_t columns) {
  const std::size_t before = ColumnsFrom(column_, blanks_);
  // The last column stays free: a cursor behind it stands somewhere else on each terminal.
  const bool fits = column_ + before + columns < columns_;
  const bool begins_line = column_ == word_columns_;
  if (line_ != Line::kFlows || fits || columns_ < kLeastColumns || word_stays_ || begins_line) {
    Show(blanks_, before);
    word_stays_ = word_stays_ || (!fits && !word_.empty());
  } else {
    shown_ += std::string(word_columns_, '\b') + std::string(word_columns_, ' ') + "\n" + word_;
    column_ = word_columns_;
  }
  blanks_.clear();
}

void WordWrap::EndWord() {
  if (word_.empty()) return;
  if (line_ == Line::kBegins) BeginLine();
  word_.clear();
  word_columns_ = 0;
  word_stays_ = false;
}

void WordWrap::EndLine() {
  EndWord();
  if (!fence_.empty()) Show(blanks_, 0);  // a line of blanks in a code block keeps them
  blanks_.clear();
  Show("\n", 0);
  column_ = 0;
  line_ = Line::kBegins;
}

void WordWrap::BeginLine() {
  const std::string_view opening = std::string_view(word_).substr(0, kFenceBytes);
  const bool is_fence = opening == "```" || opening == "~~~";
  const bool is_code = column_ - std::min(column_, word_columns_) >= kCodeIndent && !IsItemMark(word_);
  line_ = is_fence || is_code || !fence_.empty() || word_.starts_with('|') ? Line::kAsItIs : Line::kFlows;
  if (!is_fence || (fence_.empty() && is_code)) return;
  if (fence_.empty()) {
    fence_ = opening;
  } else if (fence_ == opening) {
    fence_.clear();
  }
}

void WordWrap::Show(std::string_view text, std::size_t columns) {
  shown_ += text;
  column_ += columns;
  // The terminal has broken the line.
  if (columns_ > 0 && column_ > columns_) column_ = (column_ - 1) % columns_ + 1;
}

}  // namespace cllm
