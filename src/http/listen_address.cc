#include "http/listen_address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "base/log.h"

namespace cllm {
namespace {

// What to do about an address that can't be bound.
std::string BindAdvice(int error) {
  switch (error) {
    case EADDRINUSE:
      return ": another server runs there; stop it, or choose another port with --port (0 takes a free one)";
    case EACCES:
      return ": ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another with --port";
    case EADDRNOTAVAIL:
      return ": that is no address of this machine; choose another with --host (0.0.0.0 means all)";
    default:
      return "";
  }
}

bool IsLoopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  return address.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

struct AddressInfo {
  addrinfo* list = nullptr;
  ~AddressInfo() {
    if (list != nullptr) freeaddrinfo(list);
  }
};

Result<ListenAddress> TryOne(const addrinfo& address, const std::string& asked_host, int asked_port) {
  const int listener = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool bound = bind(listener, address.ai_addr, address.ai_addrlen) == 0 && listen(listener, 1) == 0;
  const int bind_error = errno;
  sockaddr_storage chosen{};
  socklen_t length = sizeof(chosen);
  getsockname(listener, reinterpret_cast<sockaddr*>(&chosen), &length);
  close(listener);
  if (!bound) {
    return InvalidArgument(
        fmt::format("cannot listen on {}:{}: {}{}", asked_host, asked_port, std::strerror(bind_error), BindAdvice(bind_error)),
        "server.port");
  }
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  getnameinfo(reinterpret_cast<sockaddr*>(&chosen), length, host.data(), host.size(), service.data(), service.size(),
              NI_NUMERICHOST | NI_NUMERICSERV);
  return ListenAddress{.host = host.data(), .port = std::atoi(service.data()), .is_loopback = IsLoopback(chosen)};
}

}  // namespace

Result<ListenAddress> TryAddress(const std::string& host, int port) {
  AddressInfo addresses;
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  const std::string service = std::to_string(port);
  if (const int code = getaddrinfo(host.c_str(), service.c_str(), &hints, &addresses.list); code != 0) {
    return InvalidArgument(fmt::format("cannot resolve server.host {}: {}", host, gai_strerror(code)), "server.host");
  }
  return TryOne(*addresses.list, host, port);
}

int AllowDescriptors(int connections) {
  constexpr rlim_t kOthers = 256;  // the model, sockets of the loops, descriptors of connections that are being refused
  const rlim_t wanted = static_cast<rlim_t>(connections) + kOthers;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return connections;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= wanted) return connections;
  const rlim_t possible = limit.rlim_cur - std::min(kOthers, limit.rlim_cur / 2);
  spdlog::warn("http.max_connections {} is more than the limit of {} open files allows (ulimit -n): it will be {}", connections,
               limit.rlim_cur, possible);
  return static_cast<int>(std::min(possible, static_cast<rlim_t>(connections)));
}

}  // namespace cllm
