// One HTTP request at a time, as an interface: curl behind it in the program, a script in tests.
#pragma once

#include <charconv>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "hub/url.h"

namespace cllm {

// Why a transfer ended without what was wanted, and whether trying again may help.
struct TransferError {
  enum class Kind : std::uint8_t {
    kFinal,        // wrong, and wrong again next time
    kTransient,    // broke off, too slow, or the server is busy
    kUnreachable,  // no connection at all: offline, a wrong name, a firewall
    kStartOver,    // what is kept does not fit what the server has now
  };

  Error error;
  Kind kind = Kind::kFinal;
  int http_status = 0;                                   // of the answer that was refused; 0: none
  std::optional<std::chrono::seconds> retry_after = {};  // what the server asks for
};

template <typename T>
using Transfer = std::expected<T, TransferError>;

inline std::unexpected<TransferError> TransferFailed(TransferError::Kind kind, std::string message,
                                                     ErrorCode code = ErrorCode::kUnavailable) {
  return std::unexpected(TransferError{.error = {code, std::move(message), {}}, .kind = kind});
}

struct HttpRequest {
  Url url;
  std::vector<std::string> headers;  // "Name: value"
};

// Status line and headers of an answer.
struct HttpHead {
  Url url;  // that answered
  int status = 0;
  std::map<std::string, std::string> headers = {};  // names in lower case

  std::string Header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
  // A number without sign; -1 where the header is missing or is none.
  std::int64_t Number(const std::string& name) const {
    const std::string text = Header(name);
    std::int64_t value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && value >= 0 ? value : -1;
  }
};

// Receives an answer. An error ends the transfer and is what the request returns.
class BodySink {
 public:
  virtual ~BodySink() = default;
  virtual Transfer<void> OnHead(const HttpHead& head) = 0;
  virtual Transfer<void> OnBody(std::string_view bytes) = 0;
  // A few times a second, whether something arrives or not.
  virtual void OnTick() {}
};

class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  // One GET; redirects are not followed. kCancelled where the user interrupts.
  virtual Transfer<void> Get(const HttpRequest& request, BodySink& sink) = 0;
};

}  // namespace cllm
