// Redirects, followed by hand so that a secret stays where it belongs.
#pragma once

#include <string>
#include <vector>

#include "hub/transport.h"

namespace cllm {

struct GetRequest {
  Url url;
  std::vector<std::string> headers;
  std::string token;  // a bearer token for the first address; empty: none
};

// Follows at most kMostRedirects. The token goes to the origin of the first address only, and no more once a redirect has
// left it. From https to http is refused. The headers x-linked-etag and x-linked-size, which Hugging Face sends with the
// redirect to its storage, are handed on with the last answer. The sink sees the last answer alone.
Transfer<void> GetFollowing(HttpTransport& transport, const GetRequest& request, BodySink& sink);

inline constexpr int kMostRedirects = 8;

}  // namespace cllm
