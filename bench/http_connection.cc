#include "http_connection.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <utility>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace cllm::bench {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kScheme = "http://";

std::string_view HeadOf(std::string_view response) { return response.substr(0, response.find(kHeadEnd)); }

// The value of a field of the head, without the spaces before it.
std::optional<std::string_view> Field(std::string_view head, std::string_view lower_case_name) {
  for (std::size_t at = head.find("\r\n"); at != head.npos; at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    const std::size_t colon = line.find(':');
    if (colon == line.npos) continue;
    const auto is_same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
    if (!std::ranges::equal(line.substr(0, colon), lower_case_name, is_same)) continue;
    const std::size_t value = line.find_first_not_of(' ', colon + 1);
    return value == line.npos ? "" : line.substr(value);
  }
  return std::nullopt;
}

template <typename Number>
std::optional<Number> Parse(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::optional<sockaddr_in> ParseAddress(std::string_view url) {
  if (!url.starts_with(kScheme)) return std::nullopt;
  url.remove_prefix(kScheme.size());
  const std::size_t colon = url.find(':');
  if (colon == url.npos) return std::nullopt;
  const auto port = Parse<std::uint16_t>(url.substr(colon + 1));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (!port || inet_pton(AF_INET, std::string(url.substr(0, colon)).c_str(), &address.sin_addr) != 1) return std::nullopt;
  address.sin_port = htons(*port);
  return address;
}

HttpConnection::HttpConnection(const sockaddr_in& address, int timeout_s) {
  const int opened = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (opened < 0) return;
  const int on = 1;
  const timeval timeout{.tv_sec = timeout_s, .tv_usec = 0};
  setsockopt(opened, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(opened, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  if (connect(opened, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    socket_ = opened;
  } else {
    close(opened);
  }
}

HttpConnection::~HttpConnection() {
  if (is_open()) close(socket_);
}

bool HttpConnection::Send(std::string_view request) {
  return send(socket_, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size());
}

HttpConnection::State HttpConnection::Read(bool is_waiting) {
  std::array<char, 16384> piece;
  const ssize_t got = recv(socket_, piece.data(), piece.size(), is_waiting ? 0 : MSG_DONTWAIT);
  if (got < 0 && !is_waiting && (errno == EAGAIN || errno == EINTR)) return State::kWaiting;
  if (got <= 0) return State::kBroken;
  response_.append(piece.data(), static_cast<std::size_t>(got));
  return Judge();
}

HttpConnection::State HttpConnection::Judge() {
  if (size_ == 0) {
    const std::size_t end = response_.find(kHeadEnd);
    if (end == response_.npos) return State::kWaiting;
    const auto field = Field(HeadOf(response_), "content-length");
    const auto length = field ? Parse<std::uint32_t>(*field) : std::nullopt;
    if (!length) return State::kBroken;
    size_ = end + kHeadEnd.size() + *length;
  }
  if (response_.size() > size_) return State::kBroken;
  return response_.size() == size_ ? State::kWhole : State::kWaiting;
}

std::string HttpConnection::Take() {
  size_ = 0;
  return std::exchange(response_, {});
}

int StatusOf(std::string_view response) { return response.size() < 12 ? 0 : Parse<int>(response.substr(9, 3)).value_or(0); }

bool HasField(std::string_view response, std::string_view lower_case_name) { return Field(HeadOf(response), lower_case_name).has_value(); }

std::string_view BodyOf(std::string_view response) {
  const std::size_t end = response.find(kHeadEnd);
  return end == response.npos ? "" : response.substr(end + kHeadEnd.size());
}

}  // namespace cllm::bench
