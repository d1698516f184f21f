// A text of which we know what wrote each byte.
#pragma once
#include <cstddef>
#include <string>
#include <vector>
namespace cllm {
struct ByteRange {
  std::size_t begin = 0;
  std::size_t end = 0;  // one past the last
  bool operator==(const ByteRange&) const = default;
};
// `trusted`: what a template, BOS, EOS or a checked role wrote; ascending, apart from each other. Everything else is input.
struct MarkedText {
  std::string text;
  std::vector<ByteRange> trusted;
};
}  // namespace cllm
