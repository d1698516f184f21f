// Server-sent events, as the WHATWG describes them, from bytes in whatever pieces they come.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace cllm {

class SseParser {
 public:
  // Called with the data of each event; an error ends the parsing.
  using OnEvent = std::function<Status(std::string_view data)>;

  // More than this in one event is an error: a stream without line ends must not fill the memory.
  static constexpr std::size_t kMostEventBytes = 4 << 20;

  // Handles what the bytes complete. Lines may end in LF, CR LF or CR. Comments, other fields than `data` and events
  // without data are skipped. An event counts once the blank line behind it is there.
  Status Push(std::string_view bytes, const OnEvent& on_event);

 private:
  Status EndLine(const OnEvent& on_event);

  std::string line_;
  std::string data_;
  bool has_data_ = false;
  bool after_cr_ = false;   // a LF that follows belongs to the same line end
  bool first_line_ = true;  // it may begin with a byte order mark
};

}  // namespace cllm
