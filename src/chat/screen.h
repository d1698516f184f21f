// What a chat shows: answers, notes and errors, without buffering.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "chat/word_wrap.h"

namespace cllm {

class Screen {
 public:
  struct Target {
    int fd;
    bool terminal = false;  // then control characters in what others wrote are made visible, and lines end between words
    bool color = false;
  };

  Screen(Target out, Target err) : out_(out), err_(err) {}
  // Standard output and standard error as they are. Colour only on terminals that have it.
  static Screen OfProcess(bool wants_color);

  const Target& out() const { return out_; }

  // A piece of an answer, valid UTF-8. The error says why it cannot be written (a full disk).
  Status WriteAnswer(std::string_view text);
  // Ends the line where the answer has not, or where something else (the ^C of a terminal) stands behind the answer.
  Status EndAnswer(bool line_open = false);

  // Lines of the program's own on standard output. Text of others in them that must stay on one line goes through ForMessage first.
  void Say(std::string_view text);
  // The same in dim letters: hints that are no answer.
  void Note(std::string_view text);
  // On standard error: "cllm: …", and figures in dim letters.
  void Complain(const Error& error);
  void Report(std::string_view text);

 private:
  Target out_;
  Target err_;
  WordWrap wrap_;
  bool line_open_ = false;  // the answer so far does not end in a newline
};

}  // namespace cllm
