#include "cli/serve.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "api/backend.h"
#include "cli/program.h"
#include "cli/served_model.h"
#include "http/server.h"

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

  // While a model loads there is nothing to finish, and llama.cpp can't be interrupted: a signal ends the process.
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

std::int64_t ModifiedUnixSeconds(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0 ? status.st_mtime : 0;
}

// The same for the same program, file and settings that decide an answer, and in all likelihood another one for others. FNV-1a.
std::string Fingerprint(const ServeOptions& options, const ServedModel& model, const std::string& version) {
  const ModelFacts& facts = model.facts();
  const SamplingParams& sampling = options.defaults.sampling;
  const LlamaCppOptions& engine = options.llama_cpp;
  const std::string text = fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}", version, facts.name, facts.architecture,
                                       facts.quantization, facts.parameters, facts.file_bytes, ModifiedUnixSeconds(options.model.path),
                                       model.engine().name, model.engine().max_context, engine.kv_type, engine.flash_attention,
                                       engine.rope_scaling, engine.rope_freq_base, sampling.temperature, sampling.top_p, sampling.top_k);
  std::uint32_t hash = 2166136261U;
  for (const unsigned char byte : text) hash = (hash ^ byte) * 16777619U;
  return fmt::format("cllm-{}-{:08x}", version, hash);
}

ServerFacts Facts(const ServeOptions& options, const ServedModel& model, const std::string& version) {
  const ModelFacts& facts = model.facts();
  const EngineCapabilities& engine = model.engine();
  const Tokenizer& tokenizer = model.tokenizer();
  const auto piece = [&](std::optional<TokenId> token) { return token ? tokenizer.Piece(*token, true) : std::string(); };
  return {.version = version,
          .card = {.id = options.alias.empty() ? std::filesystem::path(options.model.path).stem().string() : options.alias,
                   .created_unix_s = ModifiedUnixSeconds(options.model.path),
                   .fingerprint = Fingerprint(options, model, version)},
          .model_path = options.model.path,
          .model_description = fmt::format("{} {}", facts.architecture, facts.quantization),
          .architecture = facts.architecture,
          .quantization = facts.quantization,
          .bos_token = piece(tokenizer.beginning()),
          .eos_token = piece(tokenizer.end()),
          .knows_gaps = tokenizer.infill_tokens().has_value(),
          .chat_template = facts.chat_template,
          .model_parameters = facts.parameters,
          .model_bytes = facts.weight_bytes,
          .vocab_size = engine.vocab_size,
          .embedding_size = static_cast<int>(facts.embedding_size),
          .trained_context = static_cast<int>(facts.trained_context),
          .capabilities = CapabilityNames(facts, model.pooling()),
          .engine_name = engine.name,
          .kv_bytes_per_token = model.kv_bytes_per_token(),
          .kv_tokens_capacity = engine.generates ? static_cast<std::int64_t>(engine.max_sequences) * engine.max_context : 0};
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
    if (const Status status = ServeModel(); !status) {
      Complain(status.error());
      failed_ = true;
    }
    http_.Quit();
  }

  Status ServeModel() {
    const auto model = ServedModel::Create(options_, [this] { http_.WakeSenders(); });
    if (!model) return std::unexpected(model.error());
    Service& service = (*model)->service();
    http_.SetBackend(std::make_shared<Backend>(service, Facts(options_, **model, version_), options_.defaults, options_.responses));
    http_.WaitUntilListening();  // a small model can be ready first
    signals_.SetLoading(false);
    PrintReady(service);
    signals_.Wait(1);
    LetBalancersLeave();
    spdlog::info("shutting down: no new requests, {} may finish", service.stats().open_requests);
    Drain(service);
    http_.DropBackend();
    return {};
  }

  void PrintReady(const Service& service) const {
    const std::string host = options_.http.host == "0.0.0.0" || options_.http.host == "::" ? "localhost" : options_.http.host;
    const char* scheme = options_.http.tls_certificate.empty() ? "http" : "https";
    spdlog::info("serving on {}://{}:{} with {} event loops; try:", scheme, options_.http.host, http_.port(), http_.loops());
    const bool generates = service.CheckGenerates().has_value();
    const char* path = generates ? "/generate" : service.CheckEmbeds(false) ? "/v1/embeddings" : "/v1/rerank";
    const char* body = generates                    ? R"({"prompt": "The capital of France is", "max_tokens": 16})"
                       : service.CheckEmbeds(false) ? R"({"input": "The capital of France"})"
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

  // A second signal ends the grace.
  void Drain(Service& service) {
    service.StopAccepting();
    const TimePoint until = After(options_.http.shutdown_grace_s);
    constexpr std::chrono::milliseconds kSignalCheck(50);
    while (!service.WaitUntilIdle(std::min(until, std::chrono::steady_clock::now() + kSignalCheck))) {
      if (std::chrono::steady_clock::now() >= until || signals_.Wait(2, std::chrono::steady_clock::now())) break;
    }
    if (const auto open = service.stats().open_requests; open > 0) spdlog::warn("{} requests did not finish in time", open);
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
  HttpOptions http_options = options.http;
  http_options.log_bodies = options.log.prompts;
  HttpServer http(http_options, version);
  if (status) status = http.Bind();
  if (!status) return Complain(status.error());
  ModelThread model(options, version, http, signals);
  http.Run();
  return model.failed() ? 1 : 0;
}

}  // namespace cllm
