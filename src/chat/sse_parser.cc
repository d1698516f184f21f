#include "chat/sse_parser.h"

#include <utility>

#include <fmt/format.h>

namespace cllm {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

Status SseParser::Push(std::string_view bytes, const OnEvent& on_event) {
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    line_ += bytes.substr(0, end);
    if (line_.size() + data_.size() > kMostEventBytes) {
      return InvalidArgument(fmt::format("the server sent an event of more than {} MiB", kMostEventBytes >> 20));
    }
    if (end == std::string_view::npos) return {};
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (Status status = EndLine(on_event); !status) return status;
  }
  return {};
}

Status SseParser::EndLine(const OnEvent& on_event) {
  const std::string whole = std::exchange(line_, {});
  std::string_view line = whole;
  if (std::exchange(first_line_, false) && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  if (line.empty()) {
    const std::string data = std::exchange(data_, {});
    return std::exchange(has_data_, false) ? on_event(data) : Status();
  }
  const std::size_t colon = line.find(':');
  if (line.substr(0, colon) != "data") return {};
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (has_data_) data_ += '\n';
  data_ += value;
  has_data_ = true;
  return {};
}

}  // namespace cllm
