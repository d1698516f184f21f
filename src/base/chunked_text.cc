#include "base/chunked_text.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace cllm {

ChunkedText::ChunkedText(std::string text) : size_(text.size()) {
  if (size_ > 0) chunks_.push_back(std::move(text));
}

void ChunkedText::Append(std::string_view text) {
  size_ += text.size();
  while (!text.empty()) {
    if (chunks_.empty() || chunks_.back().size() >= kChunkBytes) chunks_.emplace_back().reserve(std::min(kChunkBytes, text.size() * 2));
    const std::string_view now = text.substr(0, kChunkBytes - chunks_.back().size());
    chunks_.back() += now;
    text.remove_prefix(now.size());
  }
}

std::size_t ChunkedText::Take(char* to, std::size_t most) {
  std::size_t moved = 0;
  while (moved < most && size_ > 0) {
    const std::string& first = chunks_.front();
    const std::size_t bytes = std::min(most - moved, first.size() - taken_);
    std::memcpy(to + moved, first.data() + taken_, bytes);
    moved += bytes;
    taken_ += bytes;
    size_ -= bytes;
    if (taken_ < first.size()) break;
    chunks_.pop_front();
    taken_ = 0;
  }
  return moved;
}

std::string ChunkedText::TakeAll() {
  if (chunks_.size() == 1 && taken_ == 0) {
    std::string only = std::move(chunks_.front());
    chunks_.clear();
    size_ = 0;
    return only;
  }
  std::string all(size_, '\0');
  Take(all.data(), all.size());
  return all;
}

}  // namespace cllm
