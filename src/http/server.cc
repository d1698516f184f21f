#include "http/server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <latch>
#include <map>
#include <optional>

#include <drogon/HttpAppFramework.h>
#include <fmt/format.h>

#include "api/error_body.h"
#include "api/json_object.h"
#include "api/sampling_fields.h"
#include "base/log.h"
#include "base/machine.h"
#include "http/connection_tracker.h"
#include "http/exchange.h"
#include "http/front_door.h"
#include "http/mailbox.h"
#include "http/metrics_page.h"
#include "http/tls_files.h"

namespace cllm {
namespace {

const Error kLoading{ErrorCode::kUnavailable, "the model is still loading", {}};

bool IsOpenAiPath(const std::string& path) { return path.starts_with("/v1/"); }

std::string ErrorBodyFor(const std::string& path, const Error& error) {
  return IsOpenAiPath(path) ? OpenAiErrorBody(error) : CllmErrorBody(error);
}

const char* AllowedMethods(bool is_get) { return is_get ? "GET, HEAD, OPTIONS" : "POST, OPTIONS"; }

RequestRecord RecordOf(const drogon::HttpRequestPtr& request) {
  RequestRecord record;
  record.method = request->methodString();
  record.path = request->path();
  record.remote = request->peerAddr().toIpPort();
  return record;
}

// The error behind a status of our own answers.
std::optional<ErrorCode> CodeOfStatus(int status) {
  if (status < 400) return std::nullopt;
  for (const ErrorCode code : {ErrorCode::kNotFound, ErrorCode::kMethodNotAllowed, ErrorCode::kUnavailable, ErrorCode::kInternal}) {
    if (HttpStatus(code) == status) return code;
  }
  return ErrorCode::kInvalidArgument;
}

// Drogon's own log lines go to ours.
void LogDrogon(const char* line, const std::uint64_t length) {
  std::string_view text(line, length);
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  spdlog::debug("drogon: {}", text);
}

// What to do about an address that can't be bound.
std::string BindAdvice(int error) {
  switch (error) {
    case EADDRINUSE:
      return ": another server runs there; stop it, or choose another port with --port (0 takes a free one)";
    case EACCES:
      return ": ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another with --port";
    case EADDRNOTAVAIL:
      return ": that is no address of this machine; choose another with --host (0.0.0.0 means all)";
    default:
      return "";
  }
}

bool IsLoopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  return address.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

// Each connection is a descriptor. Many systems allow 1024 by default and far more when asked.
void AllowDescriptors(int connections) {
  constexpr rlim_t kOthers = 256;  // the model, sockets of the loops, descriptors of connections that are being refused
  const rlim_t wanted = static_cast<rlim_t>(connections) + kOthers;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted) {
    spdlog::warn("http.max_connections {} is more than the limit of {} open files allows (ulimit -n)", connections, limit.rlim_cur);
  }
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
  void SetBackend(std::shared_ptr<const Backend> backend);
  void WakeSenders() { mailbox_.Deliver(); }
  void WaitUntilListening();
  void Quit();

 private:
  struct Route {
    bool is_get = false;
    bool generates = false;  // a POST logs itself
  };
  using DialectOf = const Dialect& (*)(const Backend&);
  using TokensAnswer = Result<std::string> (*)(const TextModel&, std::string_view);

  Status MakeFrontDoor();
  Status BindOnce(const addrinfo& address);
  void ConfigureApp();
  void AddAdvices();
  void OnResponse(const drogon::HttpRequestPtr& request, const drogon::HttpResponsePtr& response) const;
  drogon::HttpResponsePtr Options(const drogon::HttpRequestPtr& request) const;
  drogon::HttpResponsePtr ErrorPage(drogon::HttpStatusCode code, const drogon::HttpRequestPtr& request) const;
  const Route* FindRoute(const std::string& path) const;
  void RemoveUploadFolder();
  void AddRoutes();
  void AddGet(const std::string& path, std::function<drogon::HttpResponsePtr(const drogon::HttpRequestPtr&)> answer);
  void AddGenerating(const char* path, DialectOf dialect_of);
  void AddTokens(const char* path, TokensAnswer answer);
  void Generate(const drogon::HttpRequestPtr& request, const ResponseCallback& respond, DialectOf dialect_of);
  drogon::HttpResponsePtr Health(const drogon::HttpRequestPtr& request) const;

  HttpOptions options_;
  std::unique_ptr<FrontDoor> front_door_;  // made by Bind
  std::map<std::string, Route> routes_;    // by path in lower case, as Drogon matches
  std::string version_;
  bool open_to_all_ = true;    // no key is asked for
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

Status HttpServer::Application::MakeFrontDoor() {
  Result<ApiKeys> keys = ApiKeys::Create(options_.api_keys, options_.api_key_file);
  if (!keys) return std::unexpected(keys.error());
  Result<Cors> cors = Cors::Create(options_.cors_origins);
  if (!cors) return std::unexpected(cors.error());
  FrontDoor::Settings settings{.limits = {},
                               .timeout = std::chrono::milliseconds(options_.timeout_ms),
                               .max_connections = options_.max_connections,
                               .keys = std::move(*keys),
                               .cors = std::move(*cors)};
  settings.limits.body_bytes = static_cast<std::size_t>(options_.max_body_mb) << 20;
  settings.limits.body_text = fmt::format("{} MiB of http.max_body_mb", options_.max_body_mb);
  open_to_all_ = !settings.keys.required();
  front_door_ = std::make_unique<FrontDoor>(std::move(settings),
                                            [this](const trantor::TcpConnection* connection) { tracker_.OnDisconnect(connection); });
  return {};
}

Status HttpServer::Application::Bind() {
  if (Status status = MakeFrontDoor(); !status) return status;
  if (Status status = CheckTlsFiles(options_.tls_certificate, options_.tls_key); !status) return status;
  AllowDescriptors(options_.max_connections);
  AddressInfo addresses;
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  const std::string port = std::to_string(options_.port);
  if (const int code = getaddrinfo(options_.host.c_str(), port.c_str(), &hints, &addresses.list); code != 0) {
    return InvalidArgument(fmt::format("cannot resolve server.host {}: {}", options_.host, gai_strerror(code)), "server.host");
  }
  return BindOnce(*addresses.list);
}

Status HttpServer::Application::BindOnce(const addrinfo& address) {
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
    return InvalidArgument(
        fmt::format("cannot listen on {}:{}: {}{}", options_.host, options_.port, std::strerror(bind_error), BindAdvice(bind_error)),
        "server.port");
  }
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  getnameinfo(reinterpret_cast<sockaddr*>(&chosen), length, host.data(), host.size(), service.data(), service.size(),
              NI_NUMERICHOST | NI_NUMERICSERV);
  options_.host = host.data();
  options_.port = std::atoi(service.data());
  open_to_all_ = open_to_all_ && !IsLoopback(chosen);
  return {};
}

void HttpServer::Application::SetBackend(std::shared_ptr<const Backend> backend) {
  if (backend && open_to_all_) {
    spdlog::warn(
        "{} is not this machine alone and no API key is set: whoever reaches port {} can use the model "
        "(--api-key-file FILE, or --host 127.0.0.1)",
        options_.host, options_.port);
  }
  backend_.store(std::move(backend));
}

void HttpServer::Application::ConfigureApp() {
  trantor::Logger::setOutputFunction(LogDrogon, [] {});
  trantor::Logger::setLogLevel(trantor::Logger::kWarn);
  std::string folder = (std::filesystem::temp_directory_path() / "cllm-XXXXXX").string();
  if (mkdtemp(folder.data()) != nullptr) upload_folder_ = folder;
  auto& app = drogon::app();
  const std::size_t most_body = static_cast<std::size_t>(options_.max_body_mb) << 20;
  const bool tls = !options_.tls_certificate.empty();
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
      .addListener(options_.host, static_cast<std::uint16_t>(options_.port), tls, options_.tls_certificate, options_.tls_key);
  app.setConnectionCallback([this](const trantor::TcpConnectionPtr& connection) { front_door_->OnConnection(connection); });
  app.setCustomErrorHandler(
      [this](drogon::HttpStatusCode code, const drogon::HttpRequestPtr& request) { return ErrorPage(code, request); });
}

drogon::HttpResponsePtr HttpServer::Application::ErrorPage(drogon::HttpStatusCode code, const drogon::HttpRequestPtr& request) const {
  const std::string path = Shortened(request->path());
  Error error{ErrorCode::kInvalidArgument, "bad request", {}};
  if (code == drogon::k404NotFound) {
    error = {ErrorCode::kNotFound, fmt::format("there is nothing at {}", path), {}};
  } else if (code == drogon::k405MethodNotAllowed) {
    error = {ErrorCode::kMethodNotAllowed, fmt::format("{} does not answer {}", path, request->methodString()), {}};
  } else if (static_cast<int>(code) >= 500) {
    error = {ErrorCode::kInternal, "the server failed to answer", {}};
  }
  auto response = ErrorResponse(error, ErrorBodyFor(request->path(), error));
  const Route* route = FindRoute(request->path());
  if (code == drogon::k405MethodNotAllowed && route != nullptr) response->addHeader("Allow", AllowedMethods(route->is_get));
  return response;
}

const HttpServer::Application::Route* HttpServer::Application::FindRoute(const std::string& path) const {
  std::string lower = path;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto found = routes_.find(lower);
  return found == routes_.end() ? nullptr : &found->second;
}

void HttpServer::Application::AddAdvices() {
  auto& app = drogon::app();
  // Drogon itself would answer OPTIONS with headers that allow every origin.
  app.registerPreRoutingAdvice(
      [this](const drogon::HttpRequestPtr& request, drogon::AdviceCallback&& respond, drogon::AdviceChainCallback&& go_on) {
        if (request->method() != drogon::Options) return go_on();
        respond(Options(request));
      });
  app.registerPreSendingAdvice(
      [this](const drogon::HttpRequestPtr& request, const drogon::HttpResponsePtr& response) { OnResponse(request, response); });
}

drogon::HttpResponsePtr HttpServer::Application::Options(const drogon::HttpRequestPtr& request) const {
  const Route* route = FindRoute(request->path());
  if (route == nullptr) return ErrorPage(drogon::k404NotFound, request);
  auto response = drogon::HttpResponse::newHttpResponse(drogon::k204NoContent, drogon::CT_NONE);
  response->addHeader("Allow", AllowedMethods(route->is_get));
  if (request->getHeader("access-control-request-method").empty()) return response;
  for (const auto& [name, value] :
       front_door_->cors().PreflightHeaders(request->getHeader("origin"), request->getHeader("access-control-request-headers"))) {
    response->addHeader(name, value);
  }
  return response;
}

// Sees every answer but a stream that ends with its connection.
void HttpServer::Application::OnResponse(const drogon::HttpRequestPtr& request, const drogon::HttpResponsePtr& response) const {
  for (const auto& [name, value] : front_door_->cors().AnswerHeaders(request->getHeader("origin"))) response->addHeader(name, value);
  if (response->getHeader(kStreamHeader).empty()) front_door_->OnAnswered(request->getConnectionPtr());
  const Route* route = FindRoute(request->path());
  if (route != nullptr && route->generates && request->method() == drogon::Post) return;
  RequestRecord record = RecordOf(request);
  record.status = response->statusCode();
  record.error = CodeOfStatus(record.status);
  record.total_s =
      static_cast<double>(trantor::Date::now().microSecondsSinceEpoch() - request->creationDate().microSecondsSinceEpoch()) * 1e-6;
  LogRequest(record);
}

void HttpServer::Application::AddRoutes() {
  AddGet("/", [this](const drogon::HttpRequestPtr&) { return JsonResponse(IndexBody(version_)); });
  AddGet("/health", [this](const drogon::HttpRequestPtr& request) { return Health(request); });
  AddGet("/v1/models", [this](const drogon::HttpRequestPtr&) {
    const auto backend = backend_.load();
    if (!backend) return ErrorResponse(kLoading, OpenAiErrorBody(kLoading));
    return JsonResponse(ModelsBody(backend->facts, backend->service.max_context()));
  });
  AddGet("/metrics", [this](const drogon::HttpRequestPtr&) {
    const auto backend = backend_.load();
    if (!backend) return ErrorResponse(kLoading, CllmErrorBody(kLoading));
    auto response = JsonResponse(MetricsPage(*backend));
    response->setContentTypeString(kMetricsContentType);
    return response;
  });
  AddGenerating("/generate", [](const Backend& backend) -> const Dialect& { return backend.generate; });
  AddGenerating("/generate_stream", [](const Backend& backend) -> const Dialect& { return backend.generate_stream; });
  AddGenerating("/v1/completions", [](const Backend& backend) -> const Dialect& { return backend.completions; });
  AddGenerating("/v1/chat/completions", [](const Backend& backend) -> const Dialect& { return backend.chat; });
  AddTokens("/tokenize", TokenizeBody);
  AddTokens("/detokenize", DetokenizeBody);
  AddTokens("/apply-template", ApplyTemplateBody);
}

void HttpServer::Application::AddGet(const std::string& path,
                                     std::function<drogon::HttpResponsePtr(const drogon::HttpRequestPtr&)> answer) {
  routes_[path] = {.is_get = true};
  drogon::app().registerHandler(
      path, [answer = std::move(answer)](const drogon::HttpRequestPtr& request, ResponseCallback&& respond) { respond(answer(request)); },
      {drogon::Get});
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

void HttpServer::Application::AddGenerating(const char* path, DialectOf dialect_of) {
  routes_[path] = {.generates = true};
  drogon::app().registerHandler(
      path,
      [this, dialect_of](const drogon::HttpRequestPtr& request, ResponseCallback&& respond) { Generate(request, respond, dialect_of); },
      {drogon::Post});
}

void HttpServer::Application::Generate(const drogon::HttpRequestPtr& request, const ResponseCallback& respond, DialectOf dialect_of) {
  RequestRecord record = RecordOf(request);
  if (options_.log_bodies) record.body = request->body();
  const auto fail = [&](const Error& error) {
    record.status = HttpStatus(error.code);
    record.error = error.code;
    LogRequest(record);
    respond(ErrorResponse(error, ErrorBodyFor(request->path(), error)));
  };
  const auto backend = backend_.load();
  if (!backend) return fail(kLoading);
  // Under overload most requests end here: reading them first would take time from those that are answered.
  if (Status room = backend->service.LookForRoom(); !room) return fail(room.error());
  const Dialect& dialect = dialect_of(*backend);
  Result<ParsedCall> call = dialect.Parse(request->body());
  if (!call) return fail(call.error());
  if (const std::string& priority = request->getHeader(kPriorityHeader); !priority.empty()) {
    if (Status status = ReadPriorityHeader(priority, call->request); !status) return fail(status.error());
  }
  auto exchange = std::make_shared<Exchange>(
      Exchange::Parts{.request = request,
                      .respond = respond,
                      .writer = std::move(call->writer),
                      .dialect = &dialect,
                      .backend = backend,
                      .stream = call->stream,
                      .headers = front_door_->cors().AnswerHeaders(request->getHeader("origin")),
                      .record = record,
                      .on_stream_end = [this, connection = request->getConnectionPtr()] { front_door_->OnAnswered(connection); }},
      mailbox_, tracker_);
  auto control = backend->Submit(*std::move(call), exchange);
  if (!control) {
    exchange->Abandon();
    return fail(control.error());
  }
  exchange->Track(*control);
}

void HttpServer::Application::AddTokens(const char* path, TokensAnswer answer) {
  routes_[path] = {};
  drogon::app().registerHandler(path,
                                [this, answer](const drogon::HttpRequestPtr& request, ResponseCallback&& respond) {
                                  const auto backend = backend_.load();
                                  if (!backend) return respond(ErrorResponse(kLoading, CllmErrorBody(kLoading)));
                                  backend->service.Post([backend, request, respond = std::move(respond), answer] {
                                    const Result<std::string> body = answer(backend->service.model(), request->body());
                                    respond(body ? JsonResponse(*body) : ErrorResponse(body.error(), CllmErrorBody(body.error())));
                                  });
                                },
                                {drogon::Post});
}

void HttpServer::Application::Run() {
  ConfigureApp();
  AddAdvices();
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
