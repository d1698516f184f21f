#include "http/handlers.h"

#include <utility>

#include "api/anthropic_dialect.h"
#include "api/error_body.h"
#include "http/answer_head.h"
#include "http/client_work.h"
#include "http/embedding_work.h"
#include "http/generation_start.h"
#include "http/metrics_page.h"
#include "http/openapi.h"

namespace cllm {
namespace {

// When to ask a server again whose model loads, or one that ends and may be followed by another.
constexpr int kRetryAfterLoading = 5;

// The answer to a probe: 503 where it isn't good.
void AnswerProbe(const HttpCall& call, Readiness readiness, std::string body) {
  auto response = BodyResponse(call.route->content_type, std::move(body));
  if (readiness != Readiness::kHealthy) {
    response->setStatusCode(drogon::k503ServiceUnavailable);
    response->addHeader("Retry-After", std::to_string(kRetryAfterLoading));
  }
  call.respond(response);
}

// Both APIs list models at the same path; Anthropic's clients say which version they speak.
bool IsAnthropics(const HttpCall& call) { return !call.request->getHeader("anthropic-version").empty(); }

// What is long counts as memory of requests while its client takes it.
void AnswerLong(const HttpCall& call, const FrontDoor& front_door, std::string body) {
  MemoryShare memory = front_door.NewShare();
  if (!memory.Resize(body.size())) return call.Fail(NoRoomForAnswer());
  call.respond(BodyResponse(call.route->content_type, ChunkedText(std::move(body)), std::move(memory)));
}

}  // namespace

double SecondsOf(const drogon::HttpRequestPtr& request) {
  return static_cast<double>(trantor::Date::now().microSecondsSinceEpoch() - request->creationDate().microSecondsSinceEpoch()) * 1e-6;
}

std::string OwnerOf(const FrontDoor& front_door, const drogon::HttpRequest& request) {
  return front_door.OwnerOf(request.getHeader("authorization"), request.getHeader("x-api-key"));
}

RequestRecord RecordOf(const drogon::HttpRequestPtr& request) {
  RequestRecord record;
  record.method = request->isHead() ? "HEAD" : request->methodString();
  record.request_id = request->getHeader(kRequestIdHeader);
  record.path = request->path();
  record.remote = request->peerAddr().toIpPort();
  return record;
}

void HttpCall::Answer(std::string body) const { respond(BodyResponse(route->content_type, std::move(body))); }

void HttpCall::Fail(const Error& error) const { respond(ErrorResponse(error, ErrorBody(route->errors, error))); }

void HttpCall::FailAndLog(const Error& error, RequestRecord record) const {
  record.status = HttpStatus(error.code);
  record.error = error.code;
  record.total_s = SecondsOf(request);
  LogRequest(record);
  Fail(error);
}

Handlers::Handlers(Settings settings, FrontDoor& front_door, Mailbox& mailbox, ConnectionTracker& tracker)
    : settings_(std::move(settings)),
      room_{.front_door = front_door,
            .mailbox = mailbox,
            .tracker = tracker,
            .workers = workers_,
            .backend = backend_,
            .log_bodies = settings_.log_bodies,
            .caches_by_key = settings_.caches_by_key,
            .keep_alive = settings_.keep_alive} {}

void Handlers::SetBackend(std::shared_ptr<const Backend> backend) {
  if (backend) description_.store(std::make_shared<const std::string>(OpenApiDocument(*backend, settings_.asks_for_keys)));
  backend_.store(std::move(backend));
}

void Handlers::OpenApi(HttpCall call) const {
  const auto description = description_.load();
  if (!description) return call.Fail(Unavailable());
  AnswerLong(call, room_.front_door, *description);
}

void Handlers::Index(HttpCall call) const { call.Answer(IndexBody(settings_.version, EndpointNames())); }

Readiness Handlers::ReadinessOf(const Backend* backend, bool accepts) const {
  if (!accepts) return Readiness::kDraining;
  if (backend == nullptr) return Readiness::kLoading;
  const bool is_stalled = backend->service.StepAge(std::chrono::steady_clock::now()) > settings_.stall_timeout;
  return is_stalled ? Readiness::kStalled : Readiness::kHealthy;
}

Error Handlers::Unavailable() const {
  const char* message = is_ending_ ? "the server is shutting down" : "the model is still loading";
  return {ErrorCode::kUnavailable, message, {}, kRetryAfterLoading};
}

void Handlers::Live(HttpCall call) const { call.Answer(LiveBody()); }

// Says no as soon as the end is announced, so that nobody sends requests here any more when they begin to be refused.
void Handlers::Ready(HttpCall call) const {
  const auto backend = backend_.load();
  const Readiness readiness = ReadinessOf(backend.get(), !is_ending_);
  AnswerProbe(call, readiness, HealthBody(readiness));
}

// Says no while requests are refused.
void Handlers::Health(HttpCall call) const {
  const std::string& level = call.request->getParameter("level");
  if (!level.empty() && level != kDetailedLevel && level != "basic") {
    return call.Fail({ErrorCode::kInvalidArgument, "level must be basic or detailed", "level"});
  }
  const auto backend = backend_.load();
  const Readiness readiness = ReadinessOf(backend.get(), backend ? backend->service.accepting() : !is_ending_);
  const bool is_detailed = backend && level == kDetailedLevel;
  AnswerProbe(call, readiness,
              is_detailed ? DetailedHealthBody(readiness, backend->facts, backend->service.stats()) : HealthBody(readiness));
}

void Handlers::Metrics(HttpCall call) const {
  const auto backend = backend_.load();
  if (!backend) return call.Fail(Unavailable());
  call.Answer(MetricsPage(*backend));
}

void Handlers::Models(HttpCall call) const {
  const auto backend = backend_.load();
  if (!backend) return call.Fail(Unavailable());
  const auto body = IsAnthropics(call) ? AnthropicModelsBody : ModelsBody;
  call.Answer(body(backend->facts, backend->service.max_context()));
}

void Handlers::Model(HttpCall call) const {
  const auto backend = backend_.load();
  if (!backend) return call.Fail(Unavailable());
  const bool is_anthropics = IsAnthropics(call);
  Result<std::string> body =
      (is_anthropics ? AnthropicModelBody : ModelBody)(backend->facts, backend->service.max_context(), call.parameter);
  if (!body && is_anthropics) return call.respond(ErrorResponse(body.error(), AnthropicErrorBody(body.error())));
  if (!body) return call.Fail(body.error());
  call.Answer(*std::move(body));
}

void Handlers::StartGeneration(HttpCall call, DialectOf dialect_of) const {
  if (auto backend = backend_.load()) {
    return std::make_shared<GenerationStart>(std::move(call), std::move(backend), dialect_of, room_)->Begin();
  }
  call.FailAndLog(Unavailable(), RecordOf(call.request));
}

void Handlers::AnswerFromBackend(HttpCall call, BackendAnswer answer) const {
  const auto backend = backend_.load();
  if (!backend) return call.Fail(Unavailable());
  call.Answer(answer(*backend));
}

void Handlers::AnswerFromQuery(HttpCall call, QueryAnswer answer) const {
  const auto backend = backend_.load();
  if (!backend) return call.Fail(Unavailable());
  Result<std::string> body = answer(*backend, [&](const char* name) { return call.request->getParameter(name); });
  if (!body) return call.Fail(body.error());
  call.Answer(*std::move(body));
}

// On a worker: whoever sends a short body may send a long one.
void Handlers::AnswerFromFacts(HttpCall call, FactsAnswer answer) const {
  auto backend = backend_.load();
  if (!backend) return call.Fail(Unavailable());
  auto body = std::make_shared<RequestBody>(room_.front_door.TakeBody(call.request->getConnectionPtr()));
  room_.workers.Post([call = std::move(call), backend = std::move(backend), answer, body = std::move(body)] {
    Result<std::string> shown = answer(backend->facts, body->text);
    if (!shown) return call.Fail(shown.error());
    call.Answer(*std::move(shown));
  });
}

void Handlers::StartEmbedding(HttpCall call, EmbeddingDialectOf dialect_of) const {
  auto backend = backend_.load();
  if (!backend) return call.Fail(Unavailable());
  std::make_shared<EmbeddingWork>(std::move(call), std::move(backend), dialect_of, room_)->Begin();
}

// On a worker: what is kept may be long.
void Handlers::AnswerFromStore(HttpCall call, KeptAnswer answer) const {
  auto backend = backend_.load();
  if (!backend) return call.Fail(Unavailable());
  room_.workers.Post([call = std::move(call), backend = std::move(backend), answer, &front_door = room_.front_door] {
    const std::string owner = OwnerOf(front_door, *call.request);
    const auto query = [&](const char* name) { return call.request->getParameter(name); };
    Result<std::string> body = answer({.store = *backend->kept_responses, .owner = owner, .id = call.parameter, .query = query});
    if (!body) return call.Fail(body.error());
    AnswerLong(call, front_door, *std::move(body));
  });
}

void Handlers::StartWork(HttpCall call, BodyAnswer answer) const {
  const auto backend = backend_.load();
  if (!backend) return call.Fail(Unavailable());
  std::make_shared<ClientWork>(std::move(call), answer, room_.front_door, room_.tracker)->Begin(backend);
}

}  // namespace cllm
