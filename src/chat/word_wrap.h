// Lines that end between words, of text that arrives in pieces.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cllm {

// Answers are lines of any length; where a terminal breaks them itself, it does so within words. Here everything is shown as it
// comes, and a word that turns out too long for its line is taken back (with backspaces and blanks, which every terminal
// knows) and begins the next one. Left as they are: the lines of Markdown's code blocks (fenced, or indented by four columns
// and more without being items of a list) and tables, and words longer than a line, all of which the terminal breaks where it
// must.
//
// Ideographs, syllables of Hangul, kana and pictures are words of their own, but punctuation that must not begin or end a line
// stays with them.
class WordWrap {
 public:
  // What to show for the next piece of the text, which is valid UTF-8 without control characters other than newline and tab.
  // The blanks at its end wait for what follows. `columns` is the terminal's width, which may change from call to call; below
  // 16 no line is broken.
  std::string Push(std::string_view text, std::size_t columns);
  // The next text begins a line.
  void Reset() { *this = WordWrap(); }

 private:
  enum class Line { kBegins, kFlows, kAsItIs };

  void PushCharacter(std::string_view character);
  void PushBlank(char blank);
  void PushToWord(std::string_view character);
  void EndWord();
  void EndLine();
  // Decides by its first word how a line is treated.
  void BeginLine();
  // Makes room for so many columns more of the word, on the next line where there is none on this one.
  void MakeRoom(std::size_t columns);
  void Show(std::string_view text, std::size_t columns);

  std::string shown_;  // what the next return gives
  std::size_t columns_ = 0;
  std::size_t column_ = 0;  // where the cursor stands
  std::string blanks_;      // before the word, not shown yet
  std::string word_;        // shown already
  std::size_t word_columns_ = 0;
  bool word_is_wide_ = false;  // it may be broken before and after
  bool word_stays_ = false;    // it cannot be taken back: too long, or terminals differ in its width
  Line line_ = Line::kBegins;
  std::string fence_;  // the beginning of the fence of the code block that is open
};

}  // namespace cllm
