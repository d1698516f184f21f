#include "http/front_door.h"

#include <utility>

#include <fmt/format.h>

#include "http/access_log.h"
#include "http/route_table.h"

namespace cllm {
namespace {

// trantor has no getter for what reads from a connection; a derived class may name the member.
struct ReaderOf : trantor::TcpConnection {
  static const trantor::RecvMessageCallback& Get(const trantor::TcpConnection& connection) {
    return connection.*(&ReaderOf::recvMsgCallback_);
  }
};

const char* ReasonPhrase(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

// Nobody without a key learns what is there.
bool NeedsKey(std::string_view path) {
  const Route* route = FindRoute(path).route;
  return route == nullptr || route->needs_key;
}

bool SentAKey(const RequestHead& head) { return !head.Find("authorization").empty() || !head.Find("x-api-key").empty(); }

bool IsPreflight(const RequestHead& head) {
  return head.method == "OPTIONS" && !head.Find("origin").empty() && !head.Find("access-control-request-method").empty();
}

}  // namespace

FrontDoor::FrontDoor(Settings settings, std::function<void(const trantor::TcpConnection*)> on_left)
    : settings_(std::move(settings)), on_left_(std::move(on_left)) {
  rules_.limits = settings_.limits;
  rules_.timeout = settings_.timeout;
  rules_.check = [this](const RequestHead& head) { return CheckKey(head); };
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

void FrontDoor::OnAnswered(const std::weak_ptr<trantor::TcpConnection>& weak) {
  const auto connection = weak.lock();
  if (!connection) return;
  std::shared_ptr<ConnectionGate> gate;
  {
    const std::lock_guard lock(mutex_);
    const auto found = gates_.find(connection.get());
    if (found == gates_.end()) return;
    gate = found->second;
  }
  // Twice: Drogon queues the sending of an answer right after it announces it.
  trantor::EventLoop* loop = connection->getLoop();
  loop->queueInLoop([loop, gate] { loop->queueInLoop([gate] { gate->OnAnswered(); }); });
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
  LogRequest({.id = {},
              .method = head.method,
              .path = std::string(head.path()),
              .remote = connection.peerAddr().toIpPort(),
              .status = refusal.status,
              .error = refusal.error.code,
              .generation = {},
              .body = {}});
  const std::string body = ErrorBody(ErrorFamilyOf(head.path()), refusal.error);
  std::string text = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\nConnection: "
      "close\r\nServer: cLLM\r\n",
      refusal.status, ReasonPhrase(refusal.status), body.size());
  if (refusal.status == 401) {
    text += fmt::format("WWW-Authenticate: Bearer realm=\"cLLM\"{}\r\n", SentAKey(head) ? ", error=\"invalid_token\"" : "");
  }
  if (refusal.status == 503) text += "Retry-After: 1\r\n";
  if (refusal.status == 405) text += "Allow: GET, HEAD, POST, OPTIONS\r\n";
  for (const auto& [name, value] : settings_.cors.AnswerHeaders(head.Find("origin"))) text += fmt::format("{}: {}\r\n", name, value);
  text += "\r\n";
  return head.method == "HEAD" ? text : text + body;
}

}  // namespace cllm
