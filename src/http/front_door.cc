#include "http/front_door.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "base/utf8.h"
#include "http/access_log.h"
#include "http/answer_head.h"
#include "http/route_table.h"

namespace cllm {
namespace {

// trantor has no getter for what reads from a connection; a derived class may name the member.
struct ReaderOf : trantor::TcpConnection {
  static const trantor::RecvMessageCallback& Get(const trantor::TcpConnection& connection) {
    return connection.*(&ReaderOf::recvMsgCallback_);
  }
};

// `lower` is in lower case.
bool IsSame(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](unsigned char a, unsigned char b) { return std::tolower(a) == b; });
}

// Nobody without a key learns what is there.
bool NeedsKey(std::string_view path) {
  const Route* route = FindRoute(path).route;
  return route == nullptr || route->needs_key;
}

bool SentAKey(const RequestHead& head) { return !head.Find("authorization").empty() || !head.Find("x-api-key").empty(); }

// A body in an encoding that is taken for plain would be called bad JSON.
std::optional<Refusal> CheckEncoding(const RequestHead& head) {
  for (const HttpField& field : head.fields) {
    if (field.name != "content-encoding" || field.value.empty() || IsSame(field.value, "identity")) continue;
    return Refusal{415,
                   {ErrorCode::kInvalidArgument,
                    fmt::format("the body's Content-Encoding is {}, and this server reads none: send it as it is", Shortened(field.value)),
                    {}}};
  }
  return std::nullopt;
}

bool IsPreflight(const RequestHead& head) {
  return head.method == "OPTIONS" && !head.Find("origin").empty() && !head.Find("access-control-request-method").empty();
}

}  // namespace

FrontDoor::FrontDoor(Settings settings, std::function<void(const trantor::TcpConnection*)> on_left)
    : settings_(std::move(settings)), on_left_(std::move(on_left)) {
  rules_.limits = settings_.limits;
  rules_.timeout = settings_.timeout;
  rules_.memory = settings_.memory;
  rules_.check = [this](const RequestHead& head) { return Check(head); };
  rules_.render = [this](const Refusal& refusal, const RequestHead& head, const trantor::TcpConnection& connection) {
    return Render(refusal, head, connection);
  };
}

void FrontDoor::OnConnection(const trantor::TcpConnectionPtr& connection) {
  if (!connection->connected()) {
    on_left_(connection.get());
    const std::lock_guard lock(mutex_);
    gates_.erase(connection.get());
    return;
  }
  connection->setTcpNoDelay(true);  // small frames must not wait for acknowledgements
  auto gate = std::make_shared<ConnectionGate>(connection, rules_, ReaderOf::Get(*connection));
  std::size_t open = 0;
  {
    const std::lock_guard lock(mutex_);
    gates_[connection.get()] = gate;
    open = gates_.size();
  }
  connection->setRecvMsgCallback([gate](const trantor::TcpConnectionPtr&, trantor::MsgBuffer* bytes) { gate->OnBytes(bytes); });
  const auto most = static_cast<std::size_t>(settings_.max_connections);
  if (open <= most) return gate->Open();
  // A flood is not worth an answer each.
  if (open > 2 * most) return connection->forceClose();
  gate->Refuse(
      {503, {ErrorCode::kUnavailable, fmt::format("all {} connections of http.max_connections are taken: try again later", most), {}}});
}

std::shared_ptr<ConnectionGate> FrontDoor::GateOf(const std::weak_ptr<trantor::TcpConnection>& weak) {
  const auto connection = weak.lock();
  if (!connection) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto found = gates_.find(connection.get());
  return found != gates_.end() ? found->second : nullptr;
}

void FrontDoor::OnAnswered(const std::weak_ptr<trantor::TcpConnection>& weak) {
  const auto connection = weak.lock();
  const auto gate = GateOf(weak);
  // Drogon announces an answer first and sends it in the same turn of the loop.
  if (gate) connection->getLoop()->queueInLoop([gate] { gate->OnAnswered(); });
}

RequestBody FrontDoor::TakeBody(const std::weak_ptr<trantor::TcpConnection>& weak) {
  const auto gate = GateOf(weak);
  return gate ? gate->TakeBody() : RequestBody();
}

std::optional<Refusal> FrontDoor::Check(const RequestHead& head) const {
  if (auto refusal = CheckKey(head)) return refusal;
  return CheckEncoding(head);
}

std::optional<Refusal> FrontDoor::CheckKey(const RequestHead& head) const {
  if (!settings_.keys.required() || !NeedsKey(head.path())) return std::nullopt;
  if (IsPreflight(head) && settings_.cors.enabled()) return std::nullopt;  // browsers ask beforehand without the key
  if (settings_.keys.Allow(head.Find("authorization"), head.Find("x-api-key"))) return std::nullopt;
  const char* message =
      SentAKey(head) ? "the API key is not one of this server's" : "an API key is needed: send it as \"Authorization: Bearer KEY\"";
  return Refusal{401, {ErrorCode::kUnauthorized, message, {}}};
}

std::string FrontDoor::Render(const Refusal& refusal, const RequestHead& head, const trantor::TcpConnection& connection) const {
  const std::string id = RequestIdOf(head.Find(kRequestIdHeader));
  RequestRecord record;
  record.request_id = id;
  record.method = head.method;
  record.path = head.path();
  record.remote = connection.peerAddr().toIpPort();
  record.status = refusal.status;
  record.error = refusal.error.code;
  LogRequest(record);
  const std::string body = ErrorBody(ErrorFamilyOf(head.path()), refusal.error);
  HeaderList headers = CommonHeaders(settings_.cors, head.Find("origin"), id);
  headers.emplace_back(kContentTypeHeader, kJsonType);
  headers.emplace_back("Content-Length", std::to_string(body.size()));
  if (refusal.status == 401) {
    headers.emplace_back("WWW-Authenticate", fmt::format("Bearer realm=\"cLLM\"{}", SentAKey(head) ? ", error=\"invalid_token\"" : ""));
  }
  if (const auto seconds = RetryAfter(refusal.error)) headers.emplace_back("Retry-After", std::to_string(*seconds));
  if (refusal.status == 405) {
    const Route* route = FindRoute(head.path()).route;
    headers.emplace_back("Allow", route != nullptr ? AllowedMethods(*route) : "GET, HEAD, POST, OPTIONS");
  }
  if (refusal.status == 415) headers.emplace_back("Accept-Encoding", "identity");
  const std::string text = ClosingHead(refusal.status, headers);
  return head.method == "HEAD" ? text : text + body;
}

}  // namespace cllm
