// One kept connection of a client that measures: HTTP/1.1, one request at a time, a system call to send and one to read.
//
// A library's client (libcurl took 0.33 ms for each request beside a busy server, most of it cold code) would take from a server
// on the same cores a part of what is measured. It understands only responses with a Content-Length.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <netinet/in.h>

namespace cllm::bench {

// Of "http://IPV4:PORT"; none if it has another form.
std::optional<sockaddr_in> ParseAddress(std::string_view url);

class HttpConnection {
 public:
  enum class State { kWaiting, kWhole, kBroken };

  // Connects, and waits at most `timeout_s` for each read that waits. `is_open` says whether it succeeded.
  HttpConnection(const sockaddr_in& address, int timeout_s);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  bool is_open() const { return socket_ >= 0; }
  int socket() const { return socket_; }

  // The next request, whole. Small enough for the socket's empty buffer, so it doesn't wait. False if the connection is lost.
  bool Send(std::string_view request);

  // Reads what has come, once; waits for something if `is_waiting`. Broken: closed, timed out, or no such response.
  State Read(bool is_waiting);

  // The response once it is whole, head and body; empties it for the next one.
  std::string Take();

 private:
  State Judge();

  int socket_ = -1;
  std::string response_;
  std::size_t size_ = 0;  // of the whole response, 0 until its head is there
};

// Of a response that `Take` gave.
int StatusOf(std::string_view response);
bool HasField(std::string_view response, std::string_view lower_case_name);
std::string_view BodyOf(std::string_view response);

}  // namespace cllm::bench
