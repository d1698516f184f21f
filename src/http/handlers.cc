#include "http/handlers.h"

#include <utility>

#include "api/anthropic_dialect.h"
#include "api/error_body.h"
#include "api/managed_model.h"
#include "http/answer_head.h"
#include "http/client_work.h"
#include "http/embedding_work.h"
#include "http/generation_start.h"
#include "http/metrics_page.h"
#include "http/model_admin.h"
#include "http/model_choice.h"
#include "http/openapi.h"
#include "http/process_headers.h"
#include "http/proxy_work.h"

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

bool SaysItIsStalled(std::string_view health) { return health.contains(R"("status":"stalled")"); }

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
  if (front_door.is_of_server()) return request.getHeader(kOwnerHeader);
  return front_door.OwnerOf(request.getHeader("authorization"), request.getHeader("x-api-key"));
}

RequestRecord RecordOf(const drogon::HttpRequestPtr& request) {
  RequestRecord record;
  record.method = request->isHead() ? "HEAD" : request->methodString();
  record.request_id = request->getHeader(kRequestIdHeader);
  record.path = request->path();
  // Of a process of a model the only peer is its server; there is no address.
  record.remote = request->peerAddr().toIp().empty() ? request->getHeader(kRemoteHeader) : request->peerAddr().toIpPort();
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
            .models = models_,
            .unavailable = [this] { return Unavailable(); },
            .log_bodies = settings_.log_bodies,
            .caches_by_key = settings_.caches_by_key,
            .keep_alive = settings_.keep_alive,
            .request_timeout = settings_.request_timeout} {}

void Handlers::SetModels(ModelRegistry& models, const ModelLease& example) {
  description_.store(std::make_shared<const std::string>(example.remote() ? example.remote()->description()
                                                                          : OpenApiDocument(*example, settings_.asks_for_keys)));
  if (example.backend()) kept_responses_.store(example->kept_responses);
  models_.store(&models);
}

void Handlers::OpenApi(HttpCall call) const {
  const auto description = description_.load();
  if (!description) return call.Fail(Unavailable());
  AnswerLong(call, room_.front_door, *description);
}

void Handlers::Index(HttpCall call) const { call.Answer(IndexBody(settings_.version, EndpointNames())); }

Readiness Handlers::ReadinessOf(ModelRegistry* models, bool accepts) const {
  if (!accepts) return Readiness::kDraining;
  if (models == nullptr) return Readiness::kLoading;
  for (const ModelLease& backend : models->Loaded()) {
    if (backend.remote() ? SaysItIsStalled(backend.remote()->figures().health)
                         : backend->service.StepAge(std::chrono::steady_clock::now()) > settings_.stall_timeout)
      return Readiness::kStalled;
  }
  return Readiness::kHealthy;
}

Error Handlers::Unavailable() const {
  const char* message = is_ending_ ? "the server is shutting down" : "the model is still loading";
  return {ErrorCode::kUnavailable, message, {}, kRetryAfterLoading};
}

void Handlers::Live(HttpCall call) const { call.Answer(LiveBody()); }

// Says no as soon as the end is announced, so that nobody sends requests here any more when they begin to be refused.
void Handlers::Ready(HttpCall call) const {
  const Readiness readiness = ReadinessOf(models_, !is_ending_);
  AnswerProbe(call, readiness, HealthBody(readiness));
}

// Says no while requests are refused.
void Handlers::Health(HttpCall call) const {
  const std::string& level = call.request->getParameter("level");
  if (!level.empty() && level != kDetailedLevel && level != "basic") {
    return call.Fail({ErrorCode::kInvalidArgument, "level must be basic or detailed", "level"});
  }
  ModelRegistry* models = models_;
  const Readiness readiness = ReadinessOf(models, models != nullptr ? models->accepting() : !is_ending_);
  ModelRegistry* const shown = models != nullptr ? models : loading_.load();
  const bool is_detailed = shown != nullptr && level == kDetailedLevel;
  AnswerProbe(call, readiness, is_detailed ? DetailedHealth(*shown, readiness) : HealthBody(readiness));
}

// A server of one model shows its figures as its own.
std::string Handlers::DetailedHealth(ModelRegistry& models, Readiness readiness) const {
  const std::vector<ModelLease> loaded = models.Loaded();
  if (models.takes_any_name() && !loaded.empty()) {
    return DetailedHealthBody(readiness, loaded.front()->facts, loaded.front()->service.stats());
  }
  std::vector<LoadedModelStats> figures;
  std::vector<ProcessFigures> processes;
  for (const ModelLease& model : loaded) {
    if (model.remote()) {
      processes.push_back({model.remote()->id(), model.remote()->figures().health});
    } else {
      figures.push_back({model->facts.card.id, model->facts, model->service.stats()});
    }
  }
  return DetailedHealthBody(readiness, settings_.version, models.List(), figures, processes);
}

void Handlers::Metrics(HttpCall call) const {
  ModelRegistry* models = models_;
  if (models == nullptr) return call.Fail(Unavailable());
  call.Answer(MetricsPage(models->Loaded(), !models->takes_any_name()));
}

void Handlers::Models(HttpCall call) const { AnswerFromList(call, IsAnthropics(call) ? AnthropicModelsBody : ModelsBody); }

void Handlers::Model(HttpCall call) const {
  const ModelRegistry* models = models_;
  if (models == nullptr) return call.Fail(Unavailable());
  const bool is_anthropics = IsAnthropics(call);
  const Result<std::size_t> model = models->FindNamed(call.parameter);
  if (!model && is_anthropics) return call.respond(ErrorResponse(model.error(), AnthropicErrorBody(model.error())));
  if (!model) return call.Fail(model.error());
  call.Answer((is_anthropics ? AnthropicModelBody : ModelBody)(models->List()[*model]));
}

void Handlers::LoadModel(HttpCall call) const { ManageModel(std::move(call), &LoadNamedModel); }
void Handlers::UnloadModel(HttpCall call) const { ManageModel(std::move(call), &UnloadNamedModel); }

// The body is read on a worker: whoever may send a short one may send a long one.
void Handlers::ManageModel(HttpCall call, ManageModelFunction manage) const {
  if (models_ == nullptr) return call.Fail(Unavailable());
  auto body = std::make_shared<RequestBody>(room_.front_door.TakeBody(call.request->getConnectionPtr()));
  room_.workers.Post([this, call = std::move(call), manage, body, loop = trantor::EventLoop::getEventLoopOfCurrentThread()] {
    const Result<std::string> name = ReadManagedModel(body->text);
    loop->queueInLoop([this, call, manage, name] {
      ModelRegistry* models = models_;
      if (models == nullptr) return call.Fail(Unavailable());
      const Result<std::size_t> model = name ? models->FindNamed(*name) : std::unexpected(name.error());
      if (!model) return call.Fail(model.error());
      manage(call, *models, *model, room_);
    });
  });
}

void Handlers::Proxy(HttpCall call, RequestBody body, std::vector<ModelLease> models) const {
  std::make_shared<ProxyWork>(std::move(call), std::move(body), std::move(models), room_)->Begin();
}

void Handlers::StartGeneration(HttpCall call, DialectOf dialect_of) const {
  const auto begin = [this, dialect_of](HttpCall chosen, RequestBody body, ModelLease backend) {
    if (backend.remote()) return Proxy(std::move(chosen), std::move(body), {std::move(backend)});
    std::make_shared<GenerationStart>(std::move(chosen), std::move(body), std::move(backend), dialect_of, room_)->Begin();
  };
  std::make_shared<ModelChoice>(std::move(call), room_, begin)->Begin();
}

Result<ModelLease> Handlers::ViewedModel(const HttpCall& call) const {
  ModelRegistry* models = models_;
  if (models == nullptr) return std::unexpected(Unavailable());
  const Result<std::size_t> model = models->Find(call.request->getParameter("model"));
  if (!model) return std::unexpected(model.error());
  if (ModelLease lease = models->Take(*model)) return lease;
  return cllm::Fail(ErrorCode::kUnavailable, "the model is not in memory");
}

void Handlers::AnswerFromBackend(HttpCall call, BackendAnswer answer) const {
  const Result<ModelLease> backend = ViewedModel(call);
  if (!backend) return call.Fail(backend.error());
  if (backend->remote()) return Proxy(std::move(call), {}, {*backend});
  Result<std::string> body = answer(**backend, [&](const char* name) { return call.request->getParameter(name); });
  if (!body) return call.Fail(body.error());
  call.Answer(*std::move(body));
}

void Handlers::AnswerFromList(HttpCall call, ListAnswer answer) const {
  const ModelRegistry* models = models_;
  if (models == nullptr) return call.Fail(Unavailable());
  call.Answer(answer(models->List()));
}

// On a worker: whoever sends a short body may send a long one.
void Handlers::AnswerFromLook(HttpCall call, LookAnswer answer) const {
  const ModelRegistry* models = models_;
  if (models == nullptr) return call.Fail(Unavailable());
  auto body = std::make_shared<RequestBody>(room_.front_door.TakeBody(call.request->getConnectionPtr()));
  room_.workers.Post([call = std::move(call), models, answer, body = std::move(body)] {
    const auto find = [&](std::string_view name) -> Result<ListedModel> {
      const Result<std::size_t> model = models->FindNamed(name);
      if (!model) return std::unexpected(model.error());
      return models->List()[*model];
    };
    Result<std::string> shown = answer(find, body->text);
    if (!shown) return call.Fail(shown.error());
    call.Answer(*std::move(shown));
  });
}

void Handlers::StartEmbedding(HttpCall call, EmbeddingDialectOf dialect_of) const {
  const auto begin = [this, dialect_of](HttpCall chosen, RequestBody body, ModelLease backend) {
    if (backend.remote()) return Proxy(std::move(chosen), std::move(body), {std::move(backend)});
    std::make_shared<EmbeddingWork>(std::move(chosen), std::move(body), std::move(backend), dialect_of, room_)->Begin();
  };
  std::make_shared<ModelChoice>(std::move(call), room_, begin)->Begin();
}

// On a worker: what is kept may be long. Each process keeps its own.
void Handlers::AnswerFromStore(HttpCall call, KeptAnswer answer) const {
  ModelRegistry* models = models_;
  if (models == nullptr) return call.Fail(Unavailable());
  if (kept_responses_.load() == nullptr) {
    std::vector<ModelLease> loaded = models->Loaded();
    if (loaded.empty()) return call.Fail({ErrorCode::kNotFound, "no answer is kept by this id", {}});
    return Proxy(std::move(call), {}, std::move(loaded));
  }
  room_.workers.Post([call = std::move(call), kept = kept_responses_.load(), answer, &front_door = room_.front_door] {
    const std::string owner = OwnerOf(front_door, *call.request);
    const auto query = [&](const char* name) { return call.request->getParameter(name); };
    Result<std::string> body = answer({.store = *kept, .owner = owner, .id = call.parameter, .query = query});
    if (!body) return call.Fail(body.error());
    AnswerLong(call, front_door, *std::move(body));
  });
}

void Handlers::StartWork(HttpCall call, BodyAnswer answer) const {
  const auto begin = [this, answer](HttpCall chosen, RequestBody body, ModelLease backend) {
    if (backend.remote()) return Proxy(std::move(chosen), std::move(body), {std::move(backend)});
    std::make_shared<ClientWork>(std::move(chosen), std::move(body), answer, room_.tracker)->Begin(backend);
  };
  std::make_shared<ModelChoice>(std::move(call), room_, begin)->Begin();
}

}  // namespace cllm
