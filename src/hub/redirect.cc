#include "hub/redirect.h"

#include <array>

#include <fmt/format.h>

namespace cllm {
namespace {

constexpr std::array<const char*, 2> kLinkedHeaders = {"x-linked-etag", "x-linked-size"};
constexpr std::size_t kMostRedirectBody = 64 << 10;

bool IsRedirect(const HttpHead& head) {
  return (head.status == 301 || head.status == 302 || head.status == 303 || head.status == 307 || head.status == 308) &&
         !head.Header("location").empty();
}

// One hop: either the last one, whose answer goes to the sink, or a redirect, whose body nobody wants.
class Hop : public BodySink {
 public:
  Hop(BodySink& sink, std::map<std::string, std::string>& linked) : sink_(sink), linked_(linked) {}

  const std::string& location() const { return location_; }

  Transfer<void> OnHead(const HttpHead& head) override {
    if (IsRedirect(head)) {
      location_ = head.Header("location");
      for (const char* name : kLinkedHeaders) {
        if (const std::string value = head.Header(name); !value.empty()) linked_.try_emplace(name, value);
      }
      return {};
    }
    HttpHead whole = head;
    for (const auto& [name, value] : linked_) whole.headers[name] = value;  // the origin's word counts
    return sink_.OnHead(whole);
  }

  Transfer<void> OnBody(std::string_view bytes) override {
    if (location_.empty()) return sink_.OnBody(bytes);
    unwanted_ += bytes.size();
    if (unwanted_ <= kMostRedirectBody) return {};
    return TransferFailed(TransferError::Kind::kFinal, "a redirect with an endless body");
  }

  void OnTick() override { sink_.OnTick(); }

 private:
  BodySink& sink_;
  std::map<std::string, std::string>& linked_;
  std::string location_;
  std::size_t unwanted_ = 0;
};

}  // namespace

Transfer<void> GetFollowing(HttpTransport& transport, const GetRequest& request, BodySink& sink) {
  Url url = request.url;
  bool tell_token = !request.token.empty();
  std::map<std::string, std::string> linked;
  for (int hops = 0; hops <= kMostRedirects; ++hops) {
    HttpRequest one{url, request.headers};
    if (tell_token) one.headers.push_back("Authorization: Bearer " + request.token);
    Hop hop(sink, linked);
    if (auto result = transport.Get(one, hop); !result) return result;
    if (hop.location().empty()) return {};
    auto next = ResolveRedirect(url, hop.location());
    if (!next) {
      return TransferFailed(TransferError::Kind::kFinal,
                            fmt::format("{} redirects where nothing is fetched from: {}", WithoutQuery(url), next.error().message));
    }
    if (LosesHttps(url, *next)) {
      return TransferFailed(TransferError::Kind::kFinal,
                            fmt::format("{} redirects from https to http ({}), which is refused", WithoutQuery(url), WithoutQuery(*next)));
    }
    tell_token = tell_token && SameOrigin(*next, request.url);
    url = std::move(*next);
  }
  return TransferFailed(TransferError::Kind::kFinal,
                        fmt::format("{} redirects more than {} times", WithoutQuery(request.url), kMostRedirects));
}

}  // namespace cllm
