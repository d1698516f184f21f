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

bool SentAKey(const RequestHead& head) { return !head.Find("authorization").empty() || !head.Find("x-api-key").empty(); }

// Drogon would read any body, and parse it where a form's field is asked for.
bool WantsBody(const RequestHead& head) {
  const Route* route = FindRoute(head.path()).route;
  return head.method == "POST" && route != nullptr && RouteFor(*route, head.method) != nullptr;
}

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
    : settings_(std::move(settings)), on_left_(std::move(on_left)), ledger_(settings_.connections) {
  rules_.limits = settings_.limits;
  rules_.timeout = settings_.timeout;
  rules_.memory = settings_.memory;
  rules_.check = [this](const RequestHead& head) { return Check(head); };
  rules_.wants_body = WantsBody;
  rules_.render = [this](const Refusal& refusal, const RequestHead& head, const trantor::TcpConnection& connection) {
    return Render(refusal, head, connection);
  };
  rules_.on_asked = [this](const trantor::TcpConnection* connection) {
    const std::lock_guard lock(mutex_);
    ledger_.OnAsked(connection);
  };
  rules_.on_silent = [this](const trantor::TcpConnection* connection) {
    const std::lock_guard lock(mutex_);
    ledger_.OnSilent(connection, std::chrono::steady_clock::now());
  };
}

void FrontDoor::OnConnection(const trantor::TcpConnectionPtr& connection) {
  if (connection->disconnected()) return OnLeft(*connection);
  if (connection->connected()) return OnOpen(*connection);
  OnAccepted(connection);
}

void FrontDoor::OnAccepted(const trantor::TcpConnectionPtr& connection) {
  connection->setTcpNoDelay(true);  // small frames must not wait for acknowledgements
  auto gate = std::make_shared<ConnectionGate>(connection, rules_, ReaderOf::Get(*connection));
  connection->setRecvMsgCallback([gate](const trantor::TcpConnectionPtr&, trantor::MsgBuffer* bytes) { gate->OnBytes(bytes); });
  connection->setWriteCompleteCallback([gate](const trantor::TcpConnectionPtr&) { gate->OnWritten(); });
  connection->setPeerEndCallback([gate](const trantor::TcpConnectionPtr&) { gate->OnPeerEnd(); });
  gate->Start();
  if (const auto leaving = Seat(connection, {connection, gate, Verdict::kAdmitted})) leaving->forceClose();
}

trantor::TcpConnectionPtr FrontDoor::Seat(const trantor::TcpConnectionPtr& connection, Entry entry) {
  const std::string address = connection->peerAddr().toIp();
  const std::lock_guard lock(mutex_);
  const auto [verdict, gives_way] = ledger_.Add(connection.get(), address, std::chrono::steady_clock::now());
  entry.verdict = verdict;
  entries_[connection.get()] = std::move(entry);
  if (verdict == Verdict::kTurnedAway) {
    // It can be closed once it is established, which is later in this turn of the loop.
    connection->getLoop()->queueInLoop([connection] { connection->forceClose(); });
  }
  const auto leaving = entries_.find(static_cast<const trantor::TcpConnection*>(gives_way));
  return leaving == entries_.end() ? nullptr : leaving->second.connection.lock();
}

void FrontDoor::OnOpen(trantor::TcpConnection& connection) {
  const auto entry = Find(&connection);
  if (!entry) return;
  if (entry->verdict == Verdict::kAdmitted) return entry->gate->Open();
  if (entry->verdict != Verdict::kTurnedAway) entry->gate->Refuse(NoPlace(entry->verdict));
}

void FrontDoor::OnLeft(const trantor::TcpConnection& connection) {
  on_left_(&connection);
  const std::lock_guard lock(mutex_);
  ledger_.Remove(&connection);
  entries_.erase(&connection);
}

std::optional<FrontDoor::Entry> FrontDoor::Find(const trantor::TcpConnection* connection) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(connection);
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

Refusal FrontDoor::NoPlace(Verdict verdict) const {
  const auto& limits = settings_.connections;
  const std::string message = verdict == Verdict::kAddressIsFull
                                  ? fmt::format("your address has all {} connections of http.max_connections_per_address: try again later",
                                                limits.places_per_address)
                                  : fmt::format("all {} connections of http.max_connections are taken: try again later", limits.places);
  return {503, {ErrorCode::kUnavailable, message, {}}};
}

void FrontDoor::OnAnswered(const std::weak_ptr<trantor::TcpConnection>& weak) {
  const auto connection = weak.lock();
  if (!connection) return;
  const auto entry = Find(connection.get());
  if (!entry) return;
  // Drogon announces an answer first and sends it in the same turn of the loop.
  connection->getLoop()->queueInLoop([gate = entry->gate] { gate->OnAnswered(); });
}

RequestBody FrontDoor::TakeBody(const std::weak_ptr<trantor::TcpConnection>& weak) {
  const auto connection = weak.lock();
  if (!connection) return {};
  const auto entry = Find(connection.get());
  return entry ? entry->gate->TakeBody() : RequestBody();
}

std::optional<Refusal> FrontDoor::Check(const RequestHead& head) const {
  if (auto refusal = settings_.keys.required() ? CheckKey(head) : settings_.guard.Check(head, settings_.cors)) return refusal;
  return CheckEncoding(head);
}

std::optional<Refusal> FrontDoor::CheckKey(const RequestHead& head) const {
  if (!NeedsKey(head.target)) return std::nullopt;
  if (IsPreflight(head) && settings_.cors.enabled()) return std::nullopt;  // browsers ask beforehand without the key
  for (const ApiKeys* keys : {&settings_.keys, &settings_.admin_keys}) {
    if (keys->required() && keys->Allow(head.Find("authorization"), head.Find("x-api-key"))) return std::nullopt;
  }
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
    headers.emplace_back("WWW-Authenticate", fmt::format("{}{}", kChallenge, SentAKey(head) ? ", error=\"invalid_token\"" : ""));
  }
  if (const auto seconds = RetryAfter(refusal.error)) headers.emplace_back("Retry-After", std::to_string(*seconds));
  if (refusal.status == 405) {
    const Route* route = FindRoute(head.path()).route;
    headers.emplace_back("Allow", route != nullptr ? AllowedMethods(*route) : AllMethods());
  }
  if (refusal.status == 415) headers.emplace_back("Accept-Encoding", "identity");
  const std::string text = ClosingHead(refusal.status, headers);
  return head.method == "HEAD" ? text : text + body;
}

}  // namespace cllm
