// HTTP requests whose bodies arrive piece by piece, over libcurl.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/interrupts.h"
#include "base/status.h"

namespace cllm {

class HttpClient {
 public:
  struct Call {
    std::string url;
    std::optional<std::string> body;  // JSON to POST; without one it is a GET
    std::optional<long> timeout_s;    // for all of it
  };
  // A piece of the response's body; an error ends the transfer and is what Send returns.
  using OnBody = std::function<Status(int status, std::string_view bytes)>;
  struct Response {
    int status = 0;
    bool interrupted = false;
  };

  // `api_key` goes with every request as a bearer token, unless it is empty. `interrupts` outlives the client.
  static Result<std::unique_ptr<HttpClient>> Create(const std::string& api_key, Interrupts& interrupts);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Blocks until the response has ended, `done` says so after a piece, SIGINT has come or the connection fails.
  Result<Response> Send(const Call& call, const OnBody& on_body, const std::function<bool()>& done);

 private:
  struct Handles;
  explicit HttpClient(std::unique_ptr<Handles> handles);

  std::unique_ptr<Handles> handles_;
};

}  // namespace cllm
