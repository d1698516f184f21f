#include "http/server.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <latch>

#include <drogon/HttpAppFramework.h>
#include <fmt/format.h>

#include "api/error_body.h"
#include "base/log.h"
#include "base/machine.h"
#include "http/connection_tracker.h"
#include "http/exchange.h"
#include "http/mailbox.h"

namespace cllm {
namespace {

// Drogon answers bodies above its own limit without JSON; between the two limits the answer is ours.
constexpr std::size_t kDrogonBodyFactor = 4;

const Error kLoading{ErrorCode::kUnavailable, "the model is still loading", {}};

bool IsOpenAiPath(const std::string& path) { return path.starts_with("/v1/"); }

std::string ErrorBodyFor(const std::string& path, const Error& error) {
  return IsOpenAiPath(path) ? OpenAiErrorBody(error) : CllmErrorBody(error);
}

// Drogon's own log lines go to ours.
void LogDrogon(const char* line, const std::uint64_t length) {
  std::string_view text(line, length);
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  spdlog::debug("drogon: {}", text);
}

struct AddressInfo {
  addrinfo* list = nullptr;
  ~AddressInfo() {
    if (list != nullptr) freeaddrinfo(list);
  }
};

}  // namespace

// What the header hides, so that no other room sees Drogon.
class HttpServer::Application {
 public:
  Application(HttpOptions options, std::string version) : options_(std::move(options)), version_(std::move(version)) {}

  Status Bind();
  int port() const { return options_.port; }
  int loops() const;
  void Run();
  void SetBackend(std::shared_ptr<const Backend> backend) { backend_.store(std::move(backend)); }
  void WakeSenders() { mailbox_.Deliver(); }
  void WaitUntilListening();
  void Quit();

 private:
  using DialectOf = const Dialect& (*)(const Backend&);
  using TokensAnswer = Result<std::string> (*)(const TextModel&, std::string_view);

  void ConfigureApp();
  void RemoveUploadFolder();
  void AddRoutes();
  void AddGenerating(const char* path, DialectOf dialect_of);
  void AddTokens(const char* path, TokensAnswer answer);
  void Generate(const drogon::HttpRequestPtr& request, const ResponseCallback& respond, DialectOf dialect_of);
  drogon::HttpResponsePtr Health(const drogon::HttpRequestPtr& request) const;
  Status CheckBody(const drogon::HttpRequestPtr& request) const;

  HttpOptions options_;
  std::string version_;
  std::string upload_folder_;  // Drogon insists on one; empty and temporary
  std::atomic<std::shared_ptr<const Backend>> backend_;
  Mailbox mailbox_;
  ConnectionTracker tracker_;
  std::latch started_{1};
};

// Drogon has made its folders by the time it runs and never looks at them: nothing here takes uploads.
void HttpServer::Application::RemoveUploadFolder() {
  std::error_code ignored;
  if (!upload_folder_.empty()) std::filesystem::remove_all(upload_folder_, ignored);
}

int HttpServer::Application::loops() const {
  return std::clamp(AvailableCores(), options_.min_threads, std::max(options_.min_threads, options_.num_threads));
}

Status HttpServer::Application::Bind() {
  AddressInfo addresses;
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  const std::string port = std::to_string(options_.port);
  if (const int code = getaddrinfo(options_.host.c_str(), port.c_str(), &hints, &addresses.list); code != 0) {
    return InvalidArgument(fmt::format("cannot resolve server.host {}: {}", options_.host, gai_strerror(code)), "server.host");
  }
  const addrinfo& address = *addresses.list;
  const int listener = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool bound = bind(listener, address.ai_addr, address.ai_addrlen) == 0 && listen(listener, 1) == 0;
  const int bind_error = errno;
  sockaddr_storage chosen{};
  socklen_t length = sizeof(chosen);
  getsockname(listener, reinterpret_cast<sockaddr*>(&chosen), &length);
  close(listener);
  if (!bound) {
    return InvalidArgument(fmt::format("cannot listen on {}:{}: {}", options_.host, options_.port, std::strerror(bind_error)),
                           "server.port");
  }
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  getnameinfo(reinterpret_cast<sockaddr*>(&chosen), length, host.data(), host.size(), service.data(), service.size(),
              NI_NUMERICHOST | NI_NUMERICSERV);
  options_.host = host.data();
  options_.port = std::atoi(service.data());
  return {};
}

void HttpServer::Application::ConfigureApp() {
  trantor::Logger::setOutputFunction(LogDrogon, [] {});
  trantor::Logger::setLogLevel(trantor::Logger::kWarn);
  std::string folder = (std::filesystem::temp_directory_path() / "cllm-XXXXXX").string();
  if (mkdtemp(folder.data()) != nullptr) upload_folder_ = folder;
  auto& app = drogon::app();
  const std::size_t most_body = static_cast<std::size_t>(options_.max_body_mb) * kDrogonBodyFactor << 20;
  app.setThreadNum(loops())
      .setUploadPath(upload_folder_)
      .setDocumentRoot(upload_folder_)  // no file of the working directory may be served
      .setFileTypes({})
      .enableGzip(false)
      .setServerHeaderField("cLLM")
      .disableSigtermHandling()
      .setIdleConnectionTimeout(static_cast<std::size_t>(options_.idle_timeout_s))
      .setClientMaxBodySize(most_body)
      .setClientMaxMemoryBodySize(most_body)
      .addListener(options_.host, static_cast<std::uint16_t>(options_.port));
  app.setConnectionCallback([this](const trantor::TcpConnectionPtr& connection) {
    if (connection->connected()) {
      connection->setTcpNoDelay(true);  // small frames must not wait for acknowledgements
    } else {
      tracker_.OnDisconnect(connection.get());
    }
  });
  app.setCustomErrorHandler([](drogon::HttpStatusCode code, const drogon::HttpRequestPtr& request) {
    Error error{ErrorCode::kInvalidArgument, "bad request", {}};
    if (code == drogon::k404NotFound) {
      error = {ErrorCode::kNotFound, fmt::format("there is nothing at {}", request->path()), {}};
    } else if (code == drogon::k405MethodNotAllowed) {
      error = {ErrorCode::kMethodNotAllowed, fmt::format("{} does not answer {}", request->path(), request->methodString()), {}};
    } else if (static_cast<int>(code) >= 500) {
      error = {ErrorCode::kInternal, "the server failed to answer", {}};
    }
    return ErrorResponse(error, ErrorBodyFor(request->path(), error));
  });
}

void HttpServer::Application::AddRoutes() {
  auto& app = drogon::app();
  app.registerHandler("/", [this](const drogon::HttpRequestPtr&, ResponseCallback&& respond) {
    respond(JsonResponse(IndexBody(version_)));
  }, {drogon::Get});
  app.registerHandler("/health", [this](const drogon::HttpRequestPtr& request, ResponseCallback&& respond) {
    respond(Health(request));
  }, {drogon::Get});
  app.registerHandler("/v1/models", [this](const drogon::HttpRequestPtr&, ResponseCallback&& respond) {
    const auto backend = backend_.load();
    if (!backend) return respond(ErrorResponse(kLoading, OpenAiErrorBody(kLoading)));
    respond(JsonResponse(ModelsBody(backend->facts, backend->service.max_context())));
  }, {drogon::Get});
  AddGenerating("/generate", [](const Backend& backend) -> const Dialect& { return backend.generate; });
  AddGenerating("/generate_stream", [](const Backend& backend) -> const Dialect& { return backend.generate_stream; });
  AddGenerating("/v1/completions", [](const Backend& backend) -> const Dialect& { return backend.completions; });
  AddGenerating("/v1/chat/completions", [](const Backend& backend) -> const Dialect& { return backend.chat; });
  AddTokens("/tokenize", TokenizeBody);
  AddTokens("/detokenize", DetokenizeBody);
  AddTokens("/apply-template", ApplyTemplateBody);
}

drogon::HttpResponsePtr HttpServer::Application::Health(const drogon::HttpRequestPtr& request) const {
  const std::string& level = request->getParameter("level");
  if (!level.empty() && level != "detailed" && level != "basic") {
    const Error error{ErrorCode::kInvalidArgument, "level must be basic or detailed", "level"};
    return ErrorResponse(error, CllmErrorBody(error));
  }
  const auto backend = backend_.load();
  if (!backend) {
    auto response = JsonResponse(LoadingBody());
    response->setStatusCode(drogon::k503ServiceUnavailable);
    return response;
  }
  return JsonResponse(level == "detailed" ? DetailedHealthBody(backend->facts, backend->service.stats()) : HealthyBody());
}

Status HttpServer::Application::CheckBody(const drogon::HttpRequestPtr& request) const {
  const std::size_t most = static_cast<std::size_t>(options_.max_body_mb) << 20;
  if (request->body().size() <= most) return {};
  return Fail(ErrorCode::kTooLarge, fmt::format("the body has {} bytes, more than the {} MiB of http.max_body_mb",
                                                request->body().size(), options_.max_body_mb));
}

void HttpServer::Application::AddGenerating(const char* path, DialectOf dialect_of) {
  drogon::app().registerHandler(path, [this, dialect_of](const drogon::HttpRequestPtr& request, ResponseCallback&& respond) {
    Generate(request, respond, dialect_of);
  }, {drogon::Post});
}

void HttpServer::Application::Generate(const drogon::HttpRequestPtr& request, const ResponseCallback& respond, DialectOf dialect_of) {
  const auto fail = [&](const Error& error) {
    respond(ErrorResponse(error, ErrorBodyFor(request->path(), error)));
  };
  const auto backend = backend_.load();
  if (!backend) return fail(kLoading);
  if (const Status status = CheckBody(request); !status) return fail(status.error());
  const Dialect& dialect = dialect_of(*backend);
  Result<ParsedCall> call = dialect.Parse(request->body());
  if (!call) return fail(call.error());
  auto exchange = std::make_shared<Exchange>(
      Exchange::Parts{request, respond, std::move(call->writer), &dialect, backend, call->stream}, mailbox_, tracker_);
  auto control = backend->service.Submit(std::move(call->request), exchange);
  if (!control) {
    exchange->Abandon();
    return fail(control.error());
  }
  exchange->Track(*control);
}

void HttpServer::Application::AddTokens(const char* path, TokensAnswer answer) {
  drogon::app().registerHandler(path, [this, answer](const drogon::HttpRequestPtr& request, ResponseCallback&& respond) {
    const auto backend = backend_.load();
    if (!backend) return respond(ErrorResponse(kLoading, CllmErrorBody(kLoading)));
    if (const Status status = CheckBody(request); !status) {
      return respond(ErrorResponse(status.error(), CllmErrorBody(status.error())));
    }
    backend->service.Post([backend, request, respond = std::move(respond), answer] {
      const Result<std::string> body = answer(backend->service.model(), request->body());
      respond(body ? JsonResponse(*body) : ErrorResponse(body.error(), CllmErrorBody(body.error())));
    });
  }, {drogon::Post});
}

void HttpServer::Application::Run() {
  ConfigureApp();
  AddRoutes();
  drogon::app().registerBeginningAdvice([this] {
    RemoveUploadFolder();
    started_.count_down();
  });
  drogon::app().run();
}

void HttpServer::Application::WaitUntilListening() {
  started_.wait();  // Drogon's loops begin before its listeners, and it forgets a quit that comes before it runs
  // Each loop runs its jobs in order: the main loop has told the others to listen, and each of them has done it and sent
  // what was posted to it before.
  std::latch done(loops());
  auto& app = drogon::app();
  app.getLoop()->queueInLoop([&] {
    for (int i = 0; i < loops(); ++i) app.getIOLoop(i)->queueInLoop([&done] { done.count_down(); });
  });
  done.wait();
}

void HttpServer::Application::Quit() {
  WaitUntilListening();
  drogon::app().quit();
}

HttpServer::HttpServer(HttpOptions options, std::string version)
    : application_(std::make_unique<Application>(std::move(options), std::move(version))) {}
HttpServer::~HttpServer() = default;

Status HttpServer::Bind() { return application_->Bind(); }
int HttpServer::port() const { return application_->port(); }
int HttpServer::loops() const { return application_->loops(); }
void HttpServer::Run() { application_->Run(); }
void HttpServer::SetBackend(std::shared_ptr<const Backend> backend) { application_->SetBackend(std::move(backend)); }
void HttpServer::WakeSenders() { application_->WakeSenders(); }
void HttpServer::WaitUntilListening() { application_->WaitUntilListening(); }
void HttpServer::Quit() { application_->Quit(); }

}  // namespace cllm
