// Web addresses: only http and https, only what can be compared and shown safely.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace cllm {

struct Url {
  std::string text;    // the whole address, normalised, without a fragment
  std::string scheme;  // "http" or "https"
  std::string host;
  std::string port;  // always given, also where it is the scheme's own
  std::string path;  // begins with '/'
};

// kInvalidArgument for anything but http and https, for a name or password inside the address and for control
// characters.
Result<Url> ParseUrl(std::string_view text);

// Whether going from one to the other would give up https.
bool LosesHttps(const Url& from, const Url& to);

// Where `from` redirects to; `location` may be relative.
Result<Url> ResolveRedirect(const Url& from, std::string_view location);

// Whether scheme, host and port are the same, so that a secret meant for one may be told to the other.
bool SameOrigin(const Url& a, const Url& b);

// Without the query, which may hold a signature: for messages and files.
std::string WithoutQuery(const Url& url);

// The path with every byte that an address can't hold as it is written as %XX; '/' stays.
std::string EncodePath(std::string_view path);

}  // namespace cllm
