// Cuts the bytes of a connection into HTTP/1.1 requests, more strictly than Drogon's parser: what two readers could
// take for different requests is refused, and so is what exceeds a limit. No sockets.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace cllm {

struct HttpField {
  std::string name;  // in lower case
  std::string value;
};

struct RequestHead {
  std::string method;
  std::string target;  // "/path?query", or "*" for OPTIONS
  bool is_http_1_0 = false;
  std::vector<HttpField> fields;

  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  // The value of the first field of this name; empty where there is none.
  std::string_view Find(std::string_view name) const;
  // Whether a list such as Connection's holds `token`, in any case.
  bool HasToken(std::string_view name, std::string_view token) const;
  // Whether the connection ends after the answer.
  bool ends_connection() const;
};

// Why a request gets no further: the HTTP status and the error of its body.
struct Refusal {
  int status = 400;
  Error error;
};

class RequestFramer {
 public:
  struct Limits {
    std::size_t target_bytes = 8 << 10;
    std::size_t head_bytes = 32 << 10;  // request line and fields together; trailers likewise
    std::size_t fields = 100;
    std::size_t body_bytes = 16 << 20;
    std::string body_text = "16 MiB of http.max_body_mb";  // the same, for messages
  };
  enum class Progress : std::uint8_t { kNeedsMore, kHeadRead, kComplete };

  explicit RequestFramer(Limits limits) : limits_(std::move(limits)) {}

  // Reads from the front of `bytes` and moves it on; what is left must come again, followed by what arrives next. Says
  // kHeadRead once a request, then kComplete. After an error or kComplete nothing is read until Reset.
  std::expected<Progress, Refusal> Advance(std::string_view& bytes);

  // Of the request that is being read.
  bool has_begun() const { return head_size_ > 0; }
  const RequestHead& head() const { return head_; }
  bool wants_continue() const;  // the client waits for "100 Continue"

  // The body of the request that is being read is counted, and forgotten as it comes. Call it once the head is read.
  void DropBody() { keeps_body_ = false; }

  // From now on the request has this field, once, whatever it came with. `name` is in lower case.
  void SetField(std::string_view name, std::string value);

  // The request without its body, in a form that leaves nothing to understand differently: lower-case fields, nothing about the
  // connection but whether it ends.
  std::string CanonicalHead() const;

  // What the body takes of memory so far.
  std::size_t body_capacity() const { return body_.capacity(); }
  // The body without its chunks; once.
  std::string TakeBody() { return std::exchange(body_, {}); }

  void Reset();

 private:
  enum class State : std::uint8_t { kStartLine, kFields, kBody, kChunkSize, kChunkData, kChunkEnd, kTrailers, kDone };
  using Step = std::expected<bool, Refusal>;  // whether to go on; false: more bytes are needed

  Step ReadLine(std::string_view& bytes);
  Step TakeBody(std::string_view& bytes);
  Step TakeChunkEnd(std::string_view& bytes);
  Step OnStartLine();
  Step OnField();
  Step OnHeadEnd();
  Step OnChunkSize();
  Step SetTarget(std::string_view target);
  Step SetContentLength(std::string_view text);
  Step CheckMayHaveBody() const;
  std::size_t LineLimit() const;
  Refusal LineTooLong() const;
  Refusal TargetTooLong() const;

  Limits limits_;
  State state_ = State::kStartLine;
  RequestHead head_;
  std::string body_;
  bool keeps_body_ = true;
  std::size_t body_size_ = 0;  // so far
  std::string line_;           // the line that was read last, without its end
  std::size_t scanned_ = 0;    // bytes at the front of the input that belong to an unfinished line
  std::size_t head_size_ = 0;  // bytes of the head, or of the trailers, that were consumed or scanned
  std::size_t left_ = 0;       // bytes of the body or of the chunk to come
};

}  // namespace cllm
