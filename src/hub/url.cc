#include "hub/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include <fmt/format.h>

#include "base/escape.h"
#include "base/utf8.h"

namespace cllm {
namespace {

using Handle = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

std::string Part(CURLU* handle, CURLUPart part, unsigned int flags = 0) {
  char* value = nullptr;
  if (curl_url_get(handle, part, &value, flags) != CURLUE_OK) return {};
  std::string text(value);
  curl_free(value);
  return text;
}

// What a message may show of an address that is no good.
std::string ShownAddress(std::string_view text) {
  constexpr std::size_t kMostShown = 100;
  return Escaped(WholeCharacters(text.substr(0, text.find('?')), kMostShown));
}

Result<Url> Take(CURLU* handle, std::string_view given) {
  curl_url_set(handle, CURLUPART_FRAGMENT, nullptr, 0);
  if (!Part(handle, CURLUPART_USER).empty() || !Part(handle, CURLUPART_PASSWORD).empty()) {
    return InvalidArgument("an address with a name or password in it is refused: they would end up in logs", "url");
  }
  Url url{.text = Part(handle, CURLUPART_URL),
          .scheme = Part(handle, CURLUPART_SCHEME),
          .host = Part(handle, CURLUPART_HOST),
          .port = Part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT),
          .path = Part(handle, CURLUPART_PATH)};
  std::ranges::transform(url.host, url.host.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if ((url.scheme != "http" && url.scheme != "https") || url.host.empty()) {
    return InvalidArgument(fmt::format("{} is no http or https address", ShownAddress(given)), "url");
  }
  return url;
}

}  // namespace

Result<Url> ParseUrl(std::string_view text) {
  const Handle handle(curl_url(), &curl_url_cleanup);
  if (curl_url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(), 0) != CURLUE_OK) {
    return InvalidArgument(fmt::format("{} is no http or https address", ShownAddress(text)), "url");
  }
  return Take(handle.get(), text);
}

Result<Url> ResolveRedirect(const Url& from, std::string_view location) {
  const Handle handle(curl_url(), &curl_url_cleanup);
  if (curl_url_set(handle.get(), CURLUPART_URL, from.text.c_str(), 0) != CURLUE_OK ||
      curl_url_set(handle.get(), CURLUPART_URL, std::string(location).c_str(), 0) != CURLUE_OK) {
    return InvalidArgument(fmt::format("{} is no http or https address", ShownAddress(location)), "url");
  }
  return Take(handle.get(), location);
}

bool LosesHttps(const Url& from, const Url& to) { return from.scheme == "https" && to.scheme == "http"; }

bool SameOrigin(const Url& a, const Url& b) { return a.scheme == b.scheme && a.host == b.host && a.port == b.port; }

std::string WithoutQuery(const Url& url) { return url.text.substr(0, url.text.find('?')); }

std::string EncodePath(std::string_view path) {
  std::string encoded;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || std::string_view("-._~/").find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", byte);
    }
  }
  return encoded;
}

}  // namespace cllm
