#include "cli/serve.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <mutex>
#include <thread>

#include "base/machine.h"
#include "base/running_child.h"
#include "cli/configured_models.h"
#include "cli/model_process.h"
#include "cli/program.h"
#include "http/server.h"
#include "models/model_registry.h"

namespace cllm {
namespace {

// Receives SIGTERM, SIGINT and perhaps SIGHUP on a thread of its own. Made before any other thread, so that all of them
// have the signals blocked.
class EndSignals {
 public:
  // With `reopens_log` SIGHUP opens the log's file again; otherwise it ends the process as it always does.
  explicit EndSignals(bool reopens_log) {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    if (reopens_log) sigaddset(&signals_, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
  }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;
  ~EndSignals() {
    thread_.request_stop();
    pthread_kill(thread_.native_handle(), SIGTERM);
  }

  // While the first model loads there is nothing to finish: a signal ends the process.
  void SetLoading(bool loading) { loading_ = loading; }

  // Blocks until `count` signals have come, or `until`.
  bool Wait(int count, TimePoint until = TimePoint::max()) {
    std::unique_lock lock(mutex_);
    const auto enough = [&] { return received_ >= count; };
    if (until != TimePoint::max()) return changed_.wait_until(lock, until, enough);
    changed_.wait(lock, enough);
    return true;
  }

 private:
  void Run(const std::stop_token& stop) {
    int signal = 0;
    while (sigwait(&signals_, &signal) == 0 && !stop.stop_requested()) {
      if (signal == SIGHUP) {
        if (const Status status = ReopenLog(); !status) spdlog::error("{}", status.error().message);
        continue;
      }
      if (loading_) std::_Exit(0);
      const std::lock_guard lock(mutex_);
      ++received_;
      changed_.notify_all();
    }
  }

  sigset_t signals_{};
  std::atomic<bool> loading_ = true;
  std::mutex mutex_;
  std::condition_variable changed_;
  int received_ = 0;
  std::jthread thread_;
};

RegistryOptions RegistryOptionsOf(const ServeOptions& options) {
  RegistryOptions registry{.takes_any_name = options.models_file.empty(),
                           .most_waiting = options.scheduler.max_queue_size + options.llama_cpp.n_seq_max};
  if (registry.takes_any_name) return registry;  // sized by all that there is
  registry.memory_bytes = options.memory_limit_mb > 0 ? options.memory_limit_mb << 20 : AvailableMemoryBytes();
  return registry;
}

// What models may take of the limit: the server itself has some of it already, and the more of its program runs the more.
ServeOptions ForModelsAlone(ServeOptions options) {
  constexpr std::int64_t kGrowthMb = 40;
  if (options.models_file.empty() || options.memory_limit_mb == 0) return options;
  options.memory_limit_mb = std::max<std::int64_t>(1, options.memory_limit_mb - kGrowthMb - (ResidentMemoryBytes() >> 20));
  return options;
}

// The model side of the server, from loading to the last answer. Runs beside the HTTP loops.
class ModelThread {
 public:
  ModelThread(const ServeOptions& options, const std::string& version, HttpServer& http, EndSignals& signals)
      : options_(options), version_(version), http_(http), signals_(signals), thread_([this] { Run(); }) {}
  ~ModelThread() { thread_.join(); }
  ModelThread(const ModelThread&) = delete;
  ModelThread& operator=(const ModelThread&) = delete;

  bool failed() const { return failed_; }

 private:
  void Run() {
    if (const Status status = ServeModels(); !status) {
      Complain(status.error());
      failed_ = true;
    }
    http_.Quit();
  }

  Status ServeModels() {
    StepTurns turns;
    std::unique_ptr<PrivateFolder> sockets;
    if (options_.isolate && !options_.models_file.empty()) {
      auto made = PrivateFolder::Create();
      if (!made) return std::unexpected(made.error());
      sockets = std::move(*made);
    }
    const SharedByModels shared{.version = version_,
                                .on_step_sent = [this] { http_.WakeSenders(); },
                                .kept_responses = std::make_shared<ResponseStore>(options_.responses),
                                .turns = &turns,
                                .sockets = sockets.get()};
    const ServeOptions options = ForModelsAlone(options_);
    auto configured = ConfigureModels(options, shared);
    if (!configured) return std::unexpected(configured.error());
    const auto models = ModelRegistry::Create(std::move(*configured), RegistryOptionsOf(options));
    if (!models) return std::unexpected(models.error());
    http_.ShowLoading(**models);
    if (Status loaded = LoadFirst(**models); !loaded) {
      http_.DropModels();
      return loaded;
    }
    http_.WaitUntilListening();  // a small model can be ready first
    signals_.SetLoading(false);
    PrintReady(**models);
    (*models)->Preload();
    signals_.Wait(1);
    LetBalancersLeave();
    spdlog::info("shutting down: no new requests, {} may finish", OpenRequests(**models));
    Drain(**models);
    http_.DropModels();
    return {};
  }

  // The server does not start without it.
  Status LoadFirst(ModelRegistry& models) {
    std::promise<Result<ModelLease>> loaded;
    models.Ask(0, [&loaded](Result<ModelLease> lease) { loaded.set_value(std::move(lease)); });
    const Result<ModelLease> lease = loaded.get_future().get();
    if (!lease) return std::unexpected(lease.error());
    http_.SetModels(models, *lease);
    return {};
  }

  void PrintReady(ModelRegistry& models) const {
    if (options_.http.listener >= 0) return;
    const std::string host = options_.http.host == "0.0.0.0" || options_.http.host == "::" ? "localhost" : options_.http.host;
    const char* scheme = options_.http.tls_certificate.empty() ? "http" : "https";
    spdlog::info("serving on {}://{}:{} with {} event loops; try:", scheme, options_.http.host, http_.port(), http_.loops());
    const std::vector<std::string> capabilities = models.List().front().facts.capabilities;
    const auto can = [&](const char* what) { return std::ranges::find(capabilities, what) != capabilities.end(); };
    const char* path = can("completion") ? "/generate" : can("embedding") ? "/v1/embeddings" : "/v1/rerank";
    const char* body = can("completion")  ? R"({"prompt": "The capital of France is", "max_tokens": 16})"
                       : can("embedding") ? R"({"input": "The capital of France"})"
                                          : R"({"query": "What is the capital of France?", "documents": ["Paris", "a panda"]})";
    spdlog::info("  curl {}://{}:{}{} -d '{}'", scheme, host, http_.port(), path, body);
  }

  // From the first signal on /readyz says no; requests are refused a moment later, or at the second signal.
  void LetBalancersLeave() {
    http_.AnnounceEnd();
    if (options_.http.shutdown_delay_s <= 0) return;
    spdlog::info("ending in {:g} s: /readyz says no, requests are still accepted", options_.http.shutdown_delay_s);
    signals_.Wait(2, After(options_.http.shutdown_delay_s));
  }

  static TimePoint After(double seconds) {
    return std::chrono::steady_clock::now() + std::chrono::duration_cast<TimePoint::duration>(std::chrono::duration<double>(seconds));
  }

  static std::int64_t OpenRequests(ModelRegistry& models) {
    std::int64_t open = models.remote_uses();
    for (const ModelLease& model : models.Loaded()) open += model.remote() ? 0 : model->service.stats().open_requests;
    return open;
  }

  static bool WaitUntilIdle(ModelRegistry& models, TimePoint until) {
    const std::vector<ModelLease> loaded = models.Loaded();
    return models.remote_uses() == 0 &&
           std::ranges::all_of(loaded, [until](const ModelLease& model) { return model.remote() || model->service.WaitUntilIdle(until); });
  }

  // A second signal ends the grace.
  void Drain(ModelRegistry& models) {
    models.StopAccepting();
    const TimePoint until = After(options_.http.shutdown_grace_s);
    constexpr std::chrono::milliseconds kSignalCheck(50);
    while (!WaitUntilIdle(models, std::min(until, std::chrono::steady_clock::now() + kSignalCheck))) {
      const TimePoint now = std::chrono::steady_clock::now();
      if (now >= until || signals_.Wait(2, models.remote_uses() > 0 ? now + kSignalCheck : now)) break;
    }
    if (const auto open = OpenRequests(models); open > 0) spdlog::warn("{} requests did not finish in time", open);
  }

  const ServeOptions& options_;
  std::string version_;
  HttpServer& http_;
  EndSignals& signals_;
  std::atomic<bool> failed_ = false;
  std::thread thread_;
};

}  // namespace

int Serve(const ServeOptions& options, const std::string& version) {
  Status status = ConfigureLog(options.log);
  EndSignals signals(!options.log.file.empty());
  signal(SIGPIPE, SIG_IGN);
  if (options.http.listener >= 0) EndWithParent(kParentDescriptor);
  HttpOptions http_options = options.http;
  http_options.log_bodies = options.log.prompts;
  http_options.request_timeout_s = options.scheduler.request_timeout;
  HttpServer http(http_options, version);
  if (status) status = http.Bind();
  if (!status) return Complain(status.error());
  ModelThread model(options, version, http, signals);
  http.Run();
  return model.failed() ? 1 : 0;
}

}  // namespace cllm
