#include "http/model_admin.h"

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "api/managed_model.h"
#include "http/browser_guard.h"
#include "http/model_choice.h"

namespace cllm {
namespace {

// What proxies add. Behind one everybody comes from this machine.
constexpr std::array kProxyHeaders = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"};

bool CameThroughProxy(const drogon::HttpRequest& request) {
  for (const char* header : kProxyHeaders) {
    if (!request.getHeader(header).empty()) return true;
  }
  return false;
}

// Pages of this very server may; a browser says of others where they lie.
bool IsOfAnotherPage(const drogon::HttpRequest& request) {
  const std::string& site = request.getHeader("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  const std::string& origin = request.getHeader("origin");
  if (origin.empty()) return false;
  const std::size_t authority = origin.find("://");
  return authority == std::string::npos || origin.substr(authority + 3) != request.getHeader("host");
}

bool IsFromThisMachine(const drogon::HttpRequest& request) {
  return request.peerAddr().isLoopbackIp() && IsLoopbackHost(request.getHeader("host")) && !CameThroughProxy(request) &&
         !IsOfAnotherPage(request);
}

}  // namespace

std::optional<Error> WhyNotAdmin(const drogon::HttpRequest& request, const FrontDoor& front_door) {
  const ApiKeys& keys = front_door.admin_keys();
  if (keys.required()) {
    const std::string &authorization = request.getHeader("authorization"), &x_api_key = request.getHeader("x-api-key");
    if (keys.Allow(authorization, x_api_key)) return std::nullopt;
    // A good key of somebody else is no wrong key.
    if (!front_door.OwnerOf(authorization, x_api_key).empty()) {
      return Error{ErrorCode::kForbidden, "models are managed by administrators: this key is not one of server.admin_api_keys", {}};
    }
    if (authorization.empty() && x_api_key.empty()) {
      return Error{ErrorCode::kUnauthorized,
                   "models are managed with a key of server.admin_api_keys, and there is none: send it as \"Authorization: Bearer KEY\"",
                   {}};
    }
    return Error{ErrorCode::kUnauthorized, "this key is not one of server.admin_api_keys", {}};
  }
  if (IsFromThisMachine(request)) return std::nullopt;
  return Error{ErrorCode::kForbidden, "models are managed from the server's own machine, or with a key of server.admin_api_keys", {}};
}

void LoadNamedModel(HttpCall call, ModelRegistry& /*models*/, std::size_t model, const RequestRoom& room) {
  const auto answer = [&room, model](const HttpCall& asked, const RequestBody&, const ModelLease&) {
    const ModelRegistry* models = room.models.load();
    if (models == nullptr) return asked.Fail(room.unavailable());
    asked.Answer(ManagedModelBody(models->List()[model]));
  };
  std::make_shared<ModelChoice>(std::move(call), room, answer)->BeginWith(model, {});
}

void UnloadNamedModel(HttpCall call, ModelRegistry& models, std::size_t model, const RequestRoom& /*room*/) {
  if (Status status = models.Unload(model); !status) return call.Fail(status.error());
  call.Answer(ManagedModelBody(models.List()[model]));
}

}  // namespace cllm
