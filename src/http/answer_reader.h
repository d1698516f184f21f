// Reads the answer of a server of ours to one request, as its bytes come.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace cllm {

class AnswerReader {
 public:
  // `has_body`: false for an answer to HEAD.
  explicit AnswerReader(bool has_body = true) : has_body_(has_body) {}

  // An error is an answer that no server of ours gives.
  Status Add(std::string_view bytes);

  // From the end of the head on.
  bool has_head() const { return state_ != State::kHead; }
  int status() const { return status_; }
  // Names in lower case.
  const std::vector<std::pair<std::string, std::string>>& headers() const { return headers_; }
  std::string_view Header(std::string_view name) const;
  // Comes in pieces, each of which was sent as a whole; else it has a length.
  bool is_stream() const { return is_stream_; }

  // What has come of the body since the last call: of a stream whole pieces alone.
  std::string TakeBody() { return std::exchange(body_, {}); }
  bool is_complete() const { return state_ == State::kEnd; }

 private:
  enum class State : std::uint8_t { kHead, kBody, kChunkSize, kChunk, kChunkEnd, kTrailer, kEnd };
  static constexpr std::size_t kMostHeadBytes = std::size_t{64} << 10;
  // A frame holds at most what a request repeats.
  static constexpr std::size_t kMostChunkBytes = std::size_t{1} << 30;

  Result<bool> Step();
  Result<bool> ReadHead();
  Result<bool> ReadChunkSize();
  // The next line of what has come; null where there is no whole one.
  bool TakeLine(std::string& line);

  const bool has_body_;
  State state_ = State::kHead;
  std::string pending_;
  std::size_t begin_ = 0;  // of what is left of pending_
  int status_ = 0;
  std::vector<std::pair<std::string, std::string>> headers_;
  bool is_stream_ = false;
  std::size_t left_ = 0;  // of the body or the chunk
  std::string body_;
};

}  // namespace cllm
