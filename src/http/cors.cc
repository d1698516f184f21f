#include "http/cors.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace cllm {
namespace {

constexpr const char* kPreflightSeconds = "600";

bool IsOrigin(std::string_view text) {
  const std::size_t end = text.find("://");
  if (end == std::string_view::npos || end == 0) return false;
  const std::string_view host = text.substr(end + 3);
  const auto is_bad = [](unsigned char c) {
    return c <= 0x20 || c >= 0x7F || std::isupper(c) != 0 || std::string_view("/?#@,*").contains(static_cast<char>(c));
  };
  return !host.empty() && std::ranges::none_of(host, is_bad) &&
         std::ranges::all_of(text.substr(0, end), [](unsigned char c) { return std::islower(c) != 0 || c == '-' || c == '+' || c == '.'; });
}

// A list of header names, which may go back into a header.
bool IsNameList(std::string_view text) {
  return std::ranges::all_of(
      text, [](unsigned char c) { return std::isalnum(c) != 0 || std::string_view("-_, ").contains(static_cast<char>(c)); });
}

}  // namespace

Result<Cors> Cors::Create(const std::vector<std::string>& origins) {
  Cors cors;
  for (const std::string& origin : origins) {
    if (origin == "*") {
      cors.any_ = true;
    } else if (IsOrigin(origin)) {
      cors.origins_.push_back(origin);
    } else {
      return InvalidArgument(fmt::format("http.cors_origins: \"{}\" is neither * nor an origin such as https://example.org or "
                                         "http://localhost:3000 (lower case, no path)",
                                         origin),
                             "http.cors_origins");
    }
  }
  return cors;
}

bool Cors::Allows(std::string_view origin) const { return any_ || std::ranges::find(origins_, origin) != origins_.end(); }

HeaderList Cors::AnswerHeaders(std::string_view origin) const {
  if (!enabled()) return {};
  HeaderList headers;
  // Also without an origin: a cache must not give one page the answer that was made for another.
  if (!any_) headers.emplace_back("Vary", "Origin");
  if (origin.empty() || !Allows(origin)) return headers;
  headers.emplace_back("Access-Control-Allow-Origin", any_ ? std::string("*") : std::string(origin));
  headers.emplace_back("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate, X-Request-Id, X-cLLM-Cache, X-cLLM-Ignored-Fields");
  return headers;
}

HeaderList Cors::PreflightHeaders(std::string_view origin, std::string_view requested_headers, std::string_view methods) const {
  HeaderList headers = AnswerHeaders(origin);
  if (origin.empty() || !enabled() || !Allows(origin)) return headers;
  // Authorization has to be named: a * does not cover it. Client libraries send headers of their own, so the list that
  // is asked for is allowed.
  const bool named = !requested_headers.empty() && IsNameList(requested_headers);
  headers.emplace_back("Access-Control-Allow-Methods", std::string(methods));
  headers.emplace_back("Access-Control-Allow-Headers", named ? std::string(requested_headers) : "Authorization, Content-Type, X-Api-Key");
  headers.emplace_back("Access-Control-Max-Age", kPreflightSeconds);
  return headers;
}

}  // namespace cllm
