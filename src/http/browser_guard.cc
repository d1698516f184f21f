#include "http/browser_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "base/utf8.h"

namespace cllm {
namespace {

// Under these nobody can register a name: they are resolved by the machine itself, its network or its cluster.
constexpr std::array<std::string_view, 4> kPrivateDomains = {".localhost", ".local", ".internal", ".home.arpa"};

std::string InLowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// "name:port" or "[address]:port" without port and brackets, and without the dot at the end of a full name.
std::string_view HostOf(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  authority = authority.substr(0, authority.find(':'));
  if (authority.ends_with('.')) authority.remove_suffix(1);
  return authority;
}

bool IsAddress(const std::string& host) {
  in6_addr ignored{};
  return inet_pton(AF_INET, host.c_str(), &ignored) == 1 || inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

// A name without dots is found in files and private networks alone.
bool IsPrivateName(std::string_view host) {
  return !host.contains('.') || std::ranges::any_of(kPrivateDomains, [&](std::string_view domain) { return host.ends_with(domain); });
}

bool IsHostName(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_'; });
}

// Sec-Fetch-Mode proves nothing: other clients' libraries send it.
bool IsFromBrowser(const RequestHead& head) {
  return !head.Find("origin").empty() || !head.Find("sec-fetch-site").empty() || head.Find("user-agent").starts_with("Mozilla/");
}

// Whether the page that asks lies where it asks. Behind a proxy that changes Host only the browser can tell; pages can't write this header.
bool IsSameOrigin(const RequestHead& head, std::string_view origin) {
  const std::string_view site = head.Find("sec-fetch-site");
  if (site == "same-origin" || site == "none") return true;
  const std::size_t authority = origin.find("://");
  return authority != std::string_view::npos && InLowerCase(origin.substr(authority + 3)) == InLowerCase(head.Find("host"));
}

Refusal Forbidden(std::string message) { return {403, {ErrorCode::kInvalidArgument, std::move(message), {}}}; }

}  // namespace

Result<BrowserGuard> BrowserGuard::Create(const std::vector<std::string>& allowed_hosts, const std::vector<std::string>& own_names) {
  BrowserGuard guard;
  for (const std::string& host : allowed_hosts) {
    if (host == "*") {
      guard.any_host_ = true;
    } else if (IsHostName(host)) {
      guard.hosts_.push_back(InLowerCase(HostOf(host)));
    } else {
      return InvalidArgument(
          fmt::format("http.allowed_hosts: \"{}\" is neither * nor a name such as models.example.org (no scheme, no port)",
                      Shortened(host)),
          "http.allowed_hosts");
    }
  }
  for (const std::string& name : own_names) guard.hosts_.push_back(InLowerCase(name));
  return guard;
}

bool BrowserGuard::IsOwnHost(std::string_view host) const {
  const std::string name = InLowerCase(HostOf(host));
  return any_host_ || IsAddress(name) || IsPrivateName(name) || std::ranges::find(hosts_, name) != hosts_.end();
}

std::optional<Refusal> BrowserGuard::Check(const RequestHead& head, const Cors& cors) const {
  if (head.method == "OPTIONS" || !IsFromBrowser(head)) return std::nullopt;
  if (const std::string_view host = head.Find("host"); !IsOwnHost(host)) {
    return Forbidden(
        fmt::format("{} is no name of this server that it knows: a web page of somebody else could use it through that name. "
                    "Add it to http.allowed_hosts, or set an API key",
                    Shortened(host)));
  }
  const std::string_view origin = head.Find("origin");
  if (origin.empty() || cors.Allows(origin) || IsSameOrigin(head, origin)) return std::nullopt;
  return Forbidden(
      fmt::format("web pages of {} may not use this server: add it to http.cors_origins, or set an API key", Shortened(origin)));
}

bool IsLoopbackHost(std::string_view authority) {
  const std::string host = InLowerCase(HostOf(authority));
  return host == "localhost" || host == "::1" || (IsAddress(host) && host.starts_with("127."));
}

std::string MachineName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace cllm
