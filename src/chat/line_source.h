// Where a chat's lines come from: a terminal, or a test.
#pragma once

#include <string>
#include <string_view>

namespace cllm {

struct Line {
  enum class Kind {
    kText,
    kInterrupted,  // Ctrl-C; `text` is what had been typed
    kEnd,          // Ctrl-D, or the terminal has gone
  };
  Kind kind = Kind::kText;
  std::string text;  // without a line end
};

class LineSource {
 public:
  virtual ~LineSource() = default;
  // Blocks until there is a line.
  virtual Line Read(const std::string& prompt) = 0;
};

}  // namespace cllm
