#include "http/server.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <latch>
#include <optional>

#include <unistd.h>

#include <drogon/HttpAppFramework.h>
#include <fmt/format.h>

#include "api/error_body.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/utf8.h"
#include "http/answer_head.h"
#include "http/connection_tracker.h"
#include "http/front_door.h"
#include "http/handlers.h"
#include "http/listen_address.h"
#include "http/mailbox.h"
#include "http/model_admin.h"
#include "http/process_headers.h"
#include "http/route_table.h"
#include "http/tls_files.h"

namespace cllm {
namespace {

// Hands answers over on the loop of the current thread, which is the connection's: there Drogon sends an answer in the turn in which it
// announces it, so that nothing that waits for an announced answer, such as the connection's end, can pass it.
ResponseCallback OnThisLoop(ResponseCallback respond) {
  return [loop = trantor::EventLoop::getEventLoopOfCurrentThread(), respond = std::move(respond)](const drogon::HttpResponsePtr& response) {
    loop->runInLoop([respond, response] { respond(response); });
  };
}

// The error behind a status of our own answers.
std::optional<ErrorCode> CodeOfStatus(int status) {
  if (status < 400) return std::nullopt;
  for (const ErrorCode code :
       {ErrorCode::kUnauthorized, ErrorCode::kForbidden, ErrorCode::kNotFound, ErrorCode::kMethodNotAllowed, ErrorCode::kTimedOut,
        ErrorCode::kTooLarge, ErrorCode::kQueueFull, ErrorCode::kUnavailable, ErrorCode::kInternal}) {
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

drogon::HttpResponsePtr ErrorAt(const drogon::HttpRequestPtr& request, const Error& error) {
  return ErrorResponse(error, ErrorBody(ErrorFamilyOf(request->getOriginalPath()), error));
}

drogon::HttpResponsePtr NothingThere(const drogon::HttpRequestPtr& request) {
  std::string message = fmt::format("there is nothing at {}", Shortened(request->path()));
  const auto nearest = NearestPath(request->getOriginalPath());
  message += nearest.empty() ? "; /openapi.json says what there is" : fmt::format("; there is {}", nearest);
  return ErrorAt(request, {ErrorCode::kNotFound, message, {}});
}

drogon::HttpResponsePtr WrongMethod(const drogon::HttpRequestPtr& request, const Route& route) {
  const std::string message = fmt::format("{} does not answer {}", Shortened(request->path()), RecordOf(request).method);
  auto response = ErrorAt(request, {ErrorCode::kMethodNotAllowed, message, {}});
  response->addHeader("Allow", AllowedMethods(route));
  return response;
}

// Where Drogon itself gives up on a request.
drogon::HttpResponsePtr ErrorPage(drogon::HttpStatusCode code, const drogon::HttpRequestPtr& request) {
  const bool is_ours = static_cast<int>(code) >= 500;
  return ErrorAt(request, is_ours ? Error{ErrorCode::kInternal, "the server failed to answer", {}}
                                  : Error{ErrorCode::kInvalidArgument, "bad request", {}});
}

std::chrono::nanoseconds Nanoseconds(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
}

}  // namespace

// What the header hides, so that no other room sees Drogon.
class HttpServer::Application {
 public:
  Application(HttpOptions options, std::string version) : options_(std::move(options)), version_(std::move(version)) {}

  Status Bind();
  int port() const { return options_.port; }
  int loops() const;
  void Run();
  void ShowLoading(ModelRegistry& models) { handlers_->ShowLoading(models); }
  void SetModels(ModelRegistry& models, const ModelLease& example);
  void AnnounceEnd() { handlers_->AnnounceEnd(); }
  void DropModels();
  void WakeSenders() { mailbox_.Deliver(); }
  void WaitUntilListening();
  void Quit();

 private:
  Status MakeFrontDoor();
  void ConfigureApp();
  void AddAdvices();
  void Dispatch(const drogon::HttpRequestPtr& request, ResponseCallback respond) const;
  drogon::HttpResponsePtr Options(const drogon::HttpRequestPtr& request, const Route& route) const;
  void OnResponse(const drogon::HttpRequestPtr& request, const drogon::HttpResponsePtr& response) const;
  void RemoveUploadFolder();

  HttpOptions options_;
  std::string version_;
  bool open_to_all_ = true;  // no key is asked for
  bool caches_by_key_ = false;
  std::string upload_folder_;  // Drogon insists on one; empty and temporary
  Mailbox mailbox_;
  ConnectionTracker tracker_;
  std::unique_ptr<FrontDoor> front_door_;  // made by Bind, and so are the handlers
  std::unique_ptr<Handlers> handlers_;
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
  Result<ApiKeys> admin_keys = ApiKeys::Create(options_.admin_api_keys, {});
  if (!admin_keys) return std::unexpected(admin_keys.error());
  Result<Cors> cors = Cors::Create(options_.cors_origins);
  if (!cors) return std::unexpected(cors.error());
  Result<BrowserGuard> guard = BrowserGuard::Create(options_.allowed_hosts, {MachineName(), options_.host});
  if (!guard) return std::unexpected(guard.error());
  auto memory = std::make_shared<MemoryBudget>(static_cast<std::size_t>(options_.max_memory_mb) << 20U);
  FrontDoor::Settings settings{.limits = {},
                               .timeout = std::chrono::milliseconds(options_.timeout_ms),
                               .connections = {},
                               .keys = std::move(*keys),
                               .admin_keys = std::move(*admin_keys),
                               .cors = std::move(*cors),
                               .memory = std::move(memory),
                               .guard = std::move(*guard)};
  settings.connections.places = static_cast<std::size_t>(AllowDescriptors(options_.max_connections));
  settings.connections.places_per_address = static_cast<std::size_t>(options_.max_connections_per_address);
  settings.limits.body_bytes = static_cast<std::size_t>(options_.max_body_mb) << 20;
  settings.limits.body_text = fmt::format("{} MiB of http.max_body_mb", options_.max_body_mb);
  open_to_all_ = !settings.keys.required();
  caches_by_key_ = settings.keys.count() > 1 && options_.cache_share == "keys";
  if (options_.listener >= 0) {
    // The server has asked for them.
    settings.is_of_server = true;
    settings.keys = settings.admin_keys = {};
  }
  front_door_ = std::make_unique<FrontDoor>(std::move(settings),
                                            [this](const trantor::TcpConnection* connection) { tracker_.OnDisconnect(connection); });
  return {};
}

Status HttpServer::Application::Bind() {
  if (Status status = MakeFrontDoor(); !status) return status;
  handlers_ = std::make_unique<Handlers>(Handlers::Settings{.version = version_,
                                                            .asks_for_keys = !open_to_all_,
                                                            .log_bodies = options_.log_bodies,
                                                            .caches_by_key = caches_by_key_,
                                                            .keep_alive = std::chrono::milliseconds(options_.keep_alive_ms),
                                                            .stall_timeout = Nanoseconds(options_.stall_timeout_s),
                                                            .request_timeout = Nanoseconds(options_.request_timeout_s)},
                                         *front_door_, mailbox_, tracker_);
  if (options_.listener >= 0) return {};
  if (Status status = CheckTlsFiles(options_.tls_certificate, options_.tls_key); !status) return status;
  const Result<ListenAddress> address = TryAddress(options_.host, options_.port);
  if (!address) return std::unexpected(address.error());
  options_.host = address->host;
  options_.port = address->port;
  open_to_all_ = open_to_all_ && !address->is_loopback;
  return {};
}

void HttpServer::Application::SetModels(ModelRegistry& models, const ModelLease& example) {
  if (open_to_all_ && options_.listener < 0) {
    spdlog::warn(
        "{} is not this machine alone and no API key is set: whoever reaches port {} can use the model "
        "(--api-key-file FILE, or --host 127.0.0.1)",
        options_.host, options_.port);
  }
  handlers_->SetModels(models, example);
}

void HttpServer::Application::ConfigureApp() {
  trantor::Logger::setOutputFunction(LogDrogon, [] {});
  trantor::Logger::setLogLevel(trantor::Logger::kWarn);
  std::string folder = (std::filesystem::temp_directory_path() / "cllm-XXXXXX").string();
  if (mkdtemp(folder.data()) != nullptr) upload_folder_ = folder;
  auto& app = drogon::app();
  const bool is_of_server = options_.listener >= 0;
  const bool tls = !is_of_server && !options_.tls_certificate.empty();
  app.setThreadNum(loops())
      .setUploadPath(upload_folder_)
      .setDocumentRoot(upload_folder_)  // no file of the working directory may be served
      .setFileTypes({})
      .enableGzip(false)
      .setServerHeaderField(kServerName)
      .disableSigtermHandling()
      .setIdleConnectionTimeout(0)  // the gates close what is idle
      .addListener(is_of_server ? "127.0.0.1" : options_.host, is_of_server ? 0 : static_cast<std::uint16_t>(options_.port), tls,
                   options_.tls_certificate, options_.tls_key);
  // Drogon knows addresses of IP alone: its sockets give way to ours before they listen.
  if (is_of_server) app.setBeforeListenSockOptCallback([listener = options_.listener](int socket) { dup2(listener, socket); });
  app.setConnectionCallback([this](const trantor::TcpConnectionPtr& connection) { front_door_->OnConnection(connection); });
  app.setCustomErrorHandler(ErrorPage);
}

void HttpServer::Application::AddAdvices() {
  auto& app = drogon::app();
  // Drogon never routes: it knows paths in any case, and would answer OPTIONS with headers that allow every origin.
  app.registerPreRoutingAdvice([this](const drogon::HttpRequestPtr& request, drogon::AdviceCallback&& respond,
                                      drogon::AdviceChainCallback&&) { Dispatch(request, std::move(respond)); });
  app.registerPreSendingAdvice(
      [this](const drogon::HttpRequestPtr& request, const drogon::HttpResponsePtr& response) { OnResponse(request, response); });
}

void HttpServer::Application::Dispatch(const drogon::HttpRequestPtr& request, ResponseCallback respond) const {
  RouteMatch match = FindRoute(request->getOriginalPath());
  if (match.route == nullptr) return respond(NothingThere(request));
  if (request->method() == drogon::Options) return respond(Options(request, *match.route));
  // Drogon has made a GET of HEAD and will send no body.
  const Route* route = RouteFor(*match.route, request->methodString());
  if (route == nullptr) return respond(WrongMethod(request, *match.route));
  if (route->needs_admin) {
    if (const auto refusal = WhyNotAdmin(*request, *front_door_)) return respond(ErrorAt(request, *refusal));
  }
  HttpCall call{request, OnThisLoop(std::move(respond)), route, std::move(match.parameter)};
  if (front_door_->is_of_server()) call.arrived -= std::chrono::milliseconds(std::atoi(request->getHeader(kElapsedHeader).c_str()));
  (handlers_.get()->*route->answer)(std::move(call));
}

drogon::HttpResponsePtr HttpServer::Application::Options(const drogon::HttpRequestPtr& request, const Route& route) const {
  auto response = drogon::HttpResponse::newHttpResponse(drogon::k204NoContent, drogon::CT_NONE);
  response->addHeader("Allow", AllowedMethods(route));
  if (request->getHeader("access-control-request-method").empty()) return response;
  for (const auto& [name, value] : front_door_->cors().PreflightHeaders(
           request->getHeader("origin"), request->getHeader("access-control-request-headers"), AllowedMethods(route))) {
    response->addHeader(name, value);
  }
  return response;
}

// Sees every answer but a stream that ends with its connection.
void HttpServer::Application::OnResponse(const drogon::HttpRequestPtr& request, const drogon::HttpResponsePtr& response) const {
  AddHeaders(*response, CommonHeaders(front_door_->cors(), request->getHeader("origin"), request->getHeader(kRequestIdHeader)));
  if (response->getHeader(kStreamHeader).empty()) front_door_->OnAnswered(request->getConnectionPtr());
  const Route* route = FindRoute(request->getOriginalPath()).route;
  // Of a model's process the server logs the rest.
  if (front_door_->is_of_server() || (route != nullptr && route->logs_itself && request->method() == drogon::Post)) return;
  RequestRecord record = RecordOf(request);
  record.status = response->statusCode();
  record.error = CodeOfStatus(record.status);
  record.is_probe = route != nullptr && !route->needs_key;
  record.total_s = SecondsOf(request);
  LogRequest(record);
}

void HttpServer::Application::Run() {
  ConfigureApp();
  AddAdvices();
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

void HttpServer::Application::DropModels() {
  handlers_->DropModels();
  WaitUntilListening();  // every loop has left the handler that it was in
  handlers_->StopWorkers();
  WaitUntilListening();  // and what the workers had for it
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
void HttpServer::ShowLoading(ModelRegistry& models) { application_->ShowLoading(models); }
void HttpServer::SetModels(ModelRegistry& models, const ModelLease& example) { application_->SetModels(models, example); }
void HttpServer::AnnounceEnd() { application_->AnnounceEnd(); }
void HttpServer::DropModels() { application_->DropModels(); }
void HttpServer::WakeSenders() { application_->WakeSenders(); }
void HttpServer::WaitUntilListening() { application_->WaitUntilListening(); }
void HttpServer::Quit() { application_->Quit(); }

}  // namespace cllm
