// Errors are values: every function that can fail on outside input returns a Result.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace cllm {

// What went wrong, as far as a caller has to decide on it. api/ maps each code to one HTTP status.
enum class ErrorCode : std::uint8_t {
  kInvalidArgument,   // the request is wrong and stays wrong: 400
  kContextLength,     // its prompt does not fit into the context: 400
  kUnauthorized,      // no key, or a wrong one: 401
  kForbidden,         // who asks may not do that: 403
  kNotFound,          // 404
  kModelNotFound,     // 404: a model that is not served
  kPreviousNotFound,  // 400: the answer that a request goes on from is not kept
  kMethodNotAllowed,  // 405
  kTimedOut,          // a deadline passed: 408
  kTooLarge,          // 413
  kQueueFull,         // try again later: 429
  kCancelled,         // the client left or the caller gave up
  kUnavailable,       // loading or shutting down: 503
  kNotSupported,      // what this server or its model can't do: 501
  kInternal,          // a bug or a failing engine: 500
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  // The request field, configuration key or file that the message is about; empty where there is none.
  std::string field;
  // Where trying again later may help: when. 0 where nothing is known.
  int retry_after_s = 0;

  bool operator==(const Error&) const = default;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> Fail(ErrorCode code, std::string message, std::string field = {}) {
  return std::unexpected(Error{code, std::move(message), std::move(field), 0});
}

inline std::unexpected<Error> InvalidArgument(std::string message, std::string field = {}) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message), std::move(field));
}

}  // namespace cllm
