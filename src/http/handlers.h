// What the routes answer. The route table names these members.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <drogon/HttpRequest.h>
#include <drogon/HttpResponse.h>

#include "api/backend.h"
#include "http/body_workers.h"
#include "http/connection_tracker.h"
#include "http/exchange.h"
#include "http/front_door.h"
#include "http/mailbox.h"
#include "http/route_table.h"

namespace cllm {

// A request on its way to its answer. `respond` may be called on any thread.
struct HttpCall {
  drogon::HttpRequestPtr request;
  ResponseCallback respond;
  const Route* route = nullptr;
  std::string parameter;

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

// What requests need of the server beside the model; outlives them.
struct RequestRoom {
  FrontDoor& front_door;
  Mailbox& mailbox;
  ConnectionTracker& tracker;
  BodyWorkers& workers;
  const std::atomic<std::shared_ptr<const Backend>>& backend;  // as it is now
  bool log_bodies = false;
  bool caches_by_key = false;
  std::chrono::milliseconds keep_alive{};  // as Exchange::Parts has it
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
  };
  // The references outlive the handlers.
  Handlers(Settings settings, FrontDoor& front_door, Mailbox& mailbox, ConnectionTracker& tracker);

  // Any thread: the model is loaded, or, with nullptr, gone.
  void SetBackend(std::shared_ptr<const Backend> backend);

  // Any thread but the loops', after SetBackend(nullptr): blocks until what is with the workers is on its way to its loop.
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
    StartWork(std::move(call), kAnswer);
  }

  // `kAnswer` shows something of the backend.
  template <auto kAnswer>
  void View(HttpCall call) const {
    AnswerFromBackend(std::move(call), kAnswer);
  }

  // The same, by the query.
  template <auto kAnswer>
  void Ask(HttpCall call) const {
    AnswerFromQuery(std::move(call), kAnswer);
  }

  // `kAnswer` looks up what a short body asks for.
  template <auto kAnswer>
  void Look(HttpCall call) const {
    AnswerFromFacts(std::move(call), kAnswer);
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
  using BackendAnswer = std::string (*)(const Backend&);
  using QueryAnswer = Result<std::string> (*)(const Backend&, const std::function<std::string(const char*)>& query);
  using FactsAnswer = Result<std::string> (*)(const ServerFacts&, std::string_view body);
  using BodyAnswer = Result<ChunkedText> (*)(const TextModel&, std::string_view, const WorkLimits&);

  // `accepts`: whether requests that come now are let in.
  Readiness ReadinessOf(const Backend* backend, bool accepts) const;
  // Why there is no backend.
  Error Unavailable() const;
  void StartGeneration(HttpCall call, DialectOf dialect_of) const;
  void StartEmbedding(HttpCall call, EmbeddingDialectOf dialect_of) const;
  void StartWork(HttpCall call, BodyAnswer answer) const;
  void AnswerFromBackend(HttpCall call, BackendAnswer answer) const;
  void AnswerFromQuery(HttpCall call, QueryAnswer answer) const;
  void AnswerFromFacts(HttpCall call, FactsAnswer answer) const;
  void AnswerFromStore(HttpCall call, KeptAnswer answer) const;

  Settings settings_;
  std::atomic<std::shared_ptr<const Backend>> backend_;
  std::atomic<std::shared_ptr<const std::string>> description_;  // of the API, once a model is loaded
  std::atomic<bool> is_ending_ = false;
  BodyWorkers workers_{kBodyThreads};
  RequestRoom room_;
};

}  // namespace cllm
