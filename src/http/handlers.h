// What the routes answer. The route table names these members.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <drogon/HttpRequest.h>
#include <drogon/HttpResponse.h>

#include "api/backend.h"
#include "api/ollama_models.h"
#include "api/token_endpoints.h"
#include "http/body_workers.h"
#include "http/connection_tracker.h"
#include "http/exchange.h"
#include "http/front_door.h"
#include "http/mailbox.h"
#include "http/route_table.h"
#include "models/model_registry.h"

namespace cllm {

// A request on its way to its answer. `respond` may be called on any thread.
struct HttpCall {
  drogon::HttpRequestPtr request;
  ResponseCallback respond;
  const Route* route = nullptr;
  std::string parameter;
  TimePoint arrived = std::chrono::steady_clock::now();

  void Answer(std::string body) const;
  void Fail(const Error& error) const;
  // The same for a path that logs itself; `record` is what is known of the request.
  void FailAndLog(const Error& error, RequestRecord record) const;
};

// Whose request it is, as FrontDoor has it.
std::string OwnerOf(const FrontDoor& front_door, const drogon::HttpRequest& request);
RequestRecord RecordOf(const drogon::HttpRequestPtr& request);
// Since it arrived.
double SecondsOf(const drogon::HttpRequestPtr& request);

// What requests need of the server; outlives them.
struct RequestRoom {
  FrontDoor& front_door;
  Mailbox& mailbox;
  ConnectionTracker& tracker;
  BodyWorkers& workers;
  const std::atomic<ModelRegistry*>& models;  // null until there is one, and after the end
  std::function<Error()> unavailable;         // why there is none
  bool log_bodies = false;
  bool caches_by_key = false;
  std::chrono::milliseconds keep_alive{};      // as Exchange::Parts has it
  std::chrono::nanoseconds request_timeout{};  // for a model to come into memory
};

class Handlers {
 public:
  struct Settings {
    std::string version;
    bool asks_for_keys = false;
    bool log_bodies = false;
    bool caches_by_key = false;  // what one key's requests compute is not used for another's
    std::chrono::milliseconds keep_alive{};
    std::chrono::nanoseconds stall_timeout{};  // a step of the engine that takes longer has stalled
    std::chrono::nanoseconds request_timeout{};
  };
  // The references outlive the handlers.
  Handlers(Settings settings, FrontDoor& front_door, Mailbox& mailbox, ConnectionTracker& tracker);

  // Any thread: the first of the models is being loaded, for who asks how far that is.
  void ShowLoading(ModelRegistry& models) { loading_ = &models; }
  // Any thread: the models are there. `example` is one that is loaded, for what is the same of all. `models` outlives their use.
  void SetModels(ModelRegistry& models, const ModelLease& example);
  // Any thread: they will be gone.
  void DropModels() { models_ = loading_ = nullptr; }

  // Any thread but the loops', after DropModels: blocks until what is with the workers is on its way to its loop.
  void StopWorkers() { workers_.Stop(); }

  // Any thread: the end is near; probes say so from now on.
  void AnnounceEnd() { is_ending_ = true; }

  void Index(HttpCall call) const;
  void OpenApi(HttpCall call) const;
  void Live(HttpCall call) const;
  void Ready(HttpCall call) const;
  void Health(HttpCall call) const;
  void Metrics(HttpCall call) const;
  void Models(HttpCall call) const;
  void Model(HttpCall call) const;
  void LoadModel(HttpCall call) const;
  void UnloadModel(HttpCall call) const;

  // `kDialect` is the Backend's member for it.
  template <auto kDialect>
  void Generate(HttpCall call) const {
    StartGeneration(std::move(call), [](const Backend& backend) -> const Dialect& { return backend.*kDialect; });
  }

  // `kDialect` is the Backend's member for it.
  template <auto kDialect>
  void Embed(HttpCall call) const {
    StartEmbedding(std::move(call), [](const Backend& backend) -> const EmbeddingDialect& { return backend.*kDialect; });
  }

  // `kAnswer` makes one body of another on a thread of the service.
  template <auto kAnswer>
  void Work(HttpCall call) const {
    StartWork(std::move(call), [](const Backend& backend, std::string_view body, const WorkLimits& limits) {
      return kAnswer(backend.service.model(), body, limits);
    });
  }

  // What a request to the Backend's member `kDialect` would begin with.
  template <auto kDialect, RenderForm kForm>
  void Render(HttpCall call) const {
    StartWork(std::move(call), [](const Backend& backend, std::string_view body, const WorkLimits& limits) {
      return RenderBody(backend.*kDialect, kForm, backend.service.model(), body, limits);
    });
  }

  // `kAnswer` shows something of a model that is in memory, perhaps by the query.
  template <auto kAnswer>
  void View(HttpCall call) const {
    AnswerFromBackend(std::move(call), [](const Backend& backend, const Query& query) -> Result<std::string> {
      if constexpr (std::is_invocable_v<decltype(kAnswer), const Backend&>) {
        return kAnswer(backend);
      } else {
        return kAnswer(backend, query);
      }
    });
  }

  // `kAnswer` shows something of the models.
  template <auto kAnswer>
  void List(HttpCall call) const {
    AnswerFromList(std::move(call), kAnswer);
  }

  // `kAnswer` looks up what a short body asks for.
  template <auto kAnswer>
  void Look(HttpCall call) const {
    AnswerFromLook(std::move(call), kAnswer);
  }

  // `kAnswer` looks at an answer that is kept for the call's owner.
  template <auto kAnswer>
  void Kept(HttpCall call) const {
    AnswerFromStore(std::move(call), kAnswer);
  }

 private:
  static constexpr int kBodyThreads = 2;
  using DialectOf = const Dialect& (*)(const Backend&);
  using EmbeddingDialectOf = const EmbeddingDialect& (*)(const Backend&);
  using KeptAnswer = Result<std::string> (*)(const KeptResponseCall&);
  // On the loop of the call; `model` is one of the registry's.
  using ManageModelFunction = void (*)(HttpCall call, ModelRegistry& models, std::size_t model, const RequestRoom& room);
  using Query = std::function<std::string(const char*)>;
  using BackendAnswer = Result<std::string> (*)(const Backend&, const Query& query);
  using ListAnswer = std::string (*)(const ModelList&);
  using LookAnswer = Result<std::string> (*)(const FindModel&, std::string_view body);
  using BodyAnswer = Result<ChunkedText> (*)(const Backend&, std::string_view body, const WorkLimits&);

  // `accepts`: whether requests that come now are let in.
  Readiness ReadinessOf(ModelRegistry* models, bool accepts) const;
  std::string DetailedHealth(ModelRegistry& models, Readiness readiness) const;
  // Why there are no models.
  Error Unavailable() const;
  // Hands the call to the process of a model; of several to each until one knows what is asked for.
  void Proxy(HttpCall call, RequestBody body, std::vector<ModelLease> models) const;
  void StartGeneration(HttpCall call, DialectOf dialect_of) const;
  void StartEmbedding(HttpCall call, EmbeddingDialectOf dialect_of) const;
  void StartWork(HttpCall call, BodyAnswer answer) const;
  void ManageModel(HttpCall call, ManageModelFunction manage) const;
  // The model in memory that the query's `model` means, or without one the first.
  Result<ModelLease> ViewedModel(const HttpCall& call) const;
  void AnswerFromBackend(HttpCall call, BackendAnswer answer) const;
  void AnswerFromList(HttpCall call, ListAnswer answer) const;
  void AnswerFromLook(HttpCall call, LookAnswer answer) const;
  void AnswerFromStore(HttpCall call, KeptAnswer answer) const;

  Settings settings_;
  std::atomic<ModelRegistry*> models_ = nullptr;
  std::atomic<ModelRegistry*> loading_ = nullptr;                // the same before one of them answers, to be looked at
  std::atomic<std::shared_ptr<ResponseStore>> kept_responses_;   // of all models; none where each has a process of its own
  std::atomic<std::shared_ptr<const std::string>> description_;  // of the API, once a model is loaded
  std::atomic<bool> is_ending_ = false;
  BodyWorkers workers_{kBodyThreads};
  RequestRoom room_;
};

}  // namespace cllm
