#include "http/proxy_work.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "api/stream_error.h"
#include "http/answer_head.h"
#include "http/model_admin.h"
#include "http/model_choice.h"
#include "http/process_headers.h"

namespace cllm {
namespace {

// How soon it is noticed that a client has left.
constexpr std::chrono::milliseconds kBetweenWatches(50);
// How much longer than a request may take its process has to say so itself.
constexpr std::chrono::seconds kPatienceWithProcess(30);

// Of one connection alone, or told by this server to the process and the client in its own words.
bool IsOfConnection(std::string_view name) {
  constexpr std::array kNames = {"connection", "keep-alive",    "transfer-encoding", "content-length", "host",         "expect",
                                 "te",         "authorization", "x-api-key",         "origin",         "referer",      "cookie",
                                 "date",       "server",        "accept-encoding",   "content-type",   "x-request-id", "user-agent",
                                 "vary"};
  return std::ranges::find(kNames, name) != kNames.end() || name.starts_with("sec-") || name.starts_with("access-control-") ||
         name.starts_with("x-cllm-owner") || name.starts_with("x-cllm-remote") || name.starts_with("x-cllm-elapsed") ||
         name.starts_with("x-cllm-unload");
}

std::string HexOf(std::string_view bytes) {
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace

ProxyWork::ProxyWork(HttpCall call, RequestBody body, std::vector<ModelLease> models, const RequestRoom& room)
    : call_(std::move(call)),
      body_(std::move(body)),
      models_(std::move(models)),
      room_(room),
      loop_(trantor::EventLoop::getEventLoopOfCurrentThread()),
      connection_(call_.request->getConnectionPtr().lock()),
      body_bytes_(body_.text.size()) {
  std::ranges::reverse(models_);
}

ProxyWork::~ProxyWork() {
  if (descriptor_ >= 0) close(descriptor_);
}

void ProxyWork::Begin() {
  if (!connection_) return;
  self_ = shared_from_this();
  sent_before_ = connection_->bytesSent();
  room_.tracker.Add(connection_.get(), control_);
  Ask();
  Watch();
}

void ProxyWork::Ask() {
  const ModelRegistry* registry = room_.models.load();
  if (registry == nullptr) return Fail(room_.unavailable());
  if (!registry->accepting()) return Fail({ErrorCode::kUnavailable, "the server is shutting down", {}});
  model_ = std::move(models_.back());
  models_.pop_back();
  const Result<int> connected = model_.remote()->Connect();
  if (!connected) return models_.empty() ? WaitForItsEnd() : OnProcessEnd();
  descriptor_ = *connected;
  answer_ = std::make_unique<AnswerReader>();
  unsent_ = Head();
  unsent_ += body_.text;
  if (models_.empty()) body_.text = {};
  channel_ = std::make_unique<trantor::Channel>(loop_, descriptor_);
  channel_->tie(shared_from_this());
  channel_->setReadCallback([this] { Read(); });
  channel_->setWriteCallback([this] { Write(); });
  channel_->setCloseCallback([this] { Read(); });
  channel_->setErrorCallback([this] { Read(); });
  channel_->enableReading();
  Write();
}

// A process that takes no connection is about to end, and the registry will see it in a moment: the request is for the next one.
void ProxyWork::WaitForItsEnd() {
  constexpr std::chrono::milliseconds kMoment(20);
  name_ = model_.remote()->id();
  model_.reset();
  loop_->runAfter(kMoment, [self = shared_from_this()] { self->ChooseAgain(); });
}

void ProxyWork::ChooseAgain() {
  if (finished_) return;
  ModelRegistry* registry = room_.models.load();
  if (registry == nullptr) return Fail(room_.unavailable());
  const Result<std::size_t> model = registry->FindNamed(name_);
  if (!model) return Fail(model.error());
  Finish();
  const auto begin = [&room = room_](HttpCall call, RequestBody body, ModelLease chosen) {
    std::make_shared<ProxyWork>(std::move(call), std::move(body), std::vector<ModelLease>{std::move(chosen)}, room)->Begin();
  };
  std::make_shared<ModelChoice>(std::move(call_), room_, begin)->BeginWith(*model, std::move(body_));
}

std::string ProxyWork::Head() const {
  const drogon::HttpRequest& request = *call_.request;
  std::string target = request.getOriginalPath();
  if (!request.query().empty()) target += "?" + request.query();
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n", MethodName(call_.route->method), target);
  if (call_.route->method == RouteMethod::kPost) head += fmt::format("Content-Length: {}\r\n", body_.text.size());
  for (const auto& [name, value] : request.headers()) {
    if (!IsOfConnection(name)) head += fmt::format("{}: {}\r\n", name, value);
  }
  const std::string type = request.getHeader("content-type");
  if (!type.empty()) head += fmt::format("Content-Type: {}\r\n", type);
  const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - call_.arrived);
  head +=
      fmt::format("X-Request-Id: {}\r\n{}: {}\r\n{}: {}\r\n{}: {}\r\n\r\n", request.getHeader(kRequestIdHeader), kOwnerHeader,
                  HexOf(OwnerOf(room_.front_door, request)), kRemoteHeader, request.peerAddr().toIpPort(), kElapsedHeader, elapsed.count());
  return head;
}

void ProxyWork::Write() {
  if (finished_ || descriptor_ < 0) return;
  std::size_t written = 0;
  while (written < unsent_.size()) {
    const ssize_t count = send(descriptor_, unsent_.data() + written, unsent_.size() - written, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;  // full, or gone: then there is something to read
    written += static_cast<std::size_t>(count);
  }
  unsent_.erase(0, written);
  if (unsent_.empty() == channel_->isWriting()) unsent_.empty() ? channel_->disableWriting() : channel_->enableWriting();
}

void ProxyWork::Read() {
  std::array<char, std::size_t{64} << 10> block{};
  while (!finished_ && descriptor_ >= 0) {
    const ssize_t count = recv(descriptor_, block.data(), block.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (count <= 0) return OnProcessEnd();
    if (!answer_->Add({block.data(), static_cast<std::size_t>(count)})) return OnProcessEnd();
    OnBytes();
  }
}

void ProxyWork::OnBytes() {
  if (!answer_->has_head()) return;
  const bool goes_on = answer_->status() == 404 && !models_.empty();
  if (answer_->is_stream() && !goes_on) {
    if (!std::exchange(responded_, true)) BeginStream();
    frames_ += answer_->TakeBody();
    return WriteFrames();
  }
  std::string more = answer_->TakeBody();
  if (!HoldsAnswer(more.size())) return Fail(NoRoomForAnswer());
  whole_ += more;
  if (!answer_->is_complete()) return;
  if (!goes_on) return Respond();
  Close();
  whole_.clear();
  Ask();
}

bool ProxyWork::HoldsAnswer(std::size_t more) { return body_.memory.Resize(body_bytes_ + whole_.size() + more); }

HeaderList ProxyWork::HeadersOfAnswer() const {
  HeaderList headers;
  for (const auto& [name, value] : answer_->headers()) {
    if (!IsOfConnection(name)) headers.emplace_back(name, value);
  }
  return headers;
}

// Whether the answer may go out. Who may unload the model is decided here, and so is what becomes of it.
bool ProxyWork::UnloadIfAsked() {
  if (answer_->Header(kUnloadHeader).empty()) return true;
  ModelRegistry* registry = room_.models.load();
  if (registry == nullptr || registry->takes_any_name()) return true;
  Status status;
  if (auto refusal = WhyNotAdmin(*call_.request, room_.front_door)) status = std::unexpected(*std::move(refusal));
  const Result<std::size_t> model = registry->FindNamed(model_.remote()->id());
  if (status && model) status = registry->Unload(*model);
  if (!status) Fail(status.error());
  return status.has_value();
}

void ProxyWork::Respond() {
  if (!UnloadIfAsked()) return;
  const std::string_view type = answer_->Header("content-type");
  auto response = BodyResponse(type.empty() ? kJsonType : type, ChunkedText(std::move(whole_)), std::move(body_.memory));
  response->setStatusCode(static_cast<drogon::HttpStatusCode>(answer_->status()));
  AddHeaders(*response, HeadersOfAnswer());
  call_.respond(response);
  Finish();
}

void ProxyWork::BeginStream() {
  HeaderList headers = HeadersOfAnswer();
  headers.emplace_back(kContentTypeHeader, std::string(answer_->Header("content-type")));
  const HeaderList common =
      CommonHeaders(room_.front_door.cors(), call_.request->getHeader("origin"), call_.request->getHeader(kRequestIdHeader));
  BeginFrameStream(call_.request, call_.respond, headers, common, [self = shared_from_this()](std::unique_ptr<FrameStream> stream) {
    self->stream_ = std::move(stream);
    self->WriteFrames();
  });
}

void ProxyWork::WriteFrames() {
  if (!stream_ || finished_) return;
  const std::string frames = std::exchange(frames_, {});
  if (!connection_->connected()) return Finish();
  if (!frames.empty()) stream_->Send(frames);
  handed_bytes_ += frames.size();
  if (answer_->is_complete()) {
    stream_->Close();
    return Finish();
  }
  const std::size_t sent = connection_->bytesSent() - sent_before_;
  if (handed_bytes_ <= sent + kMostUnsentBytes + body_bytes_) return;
  connection_->forceClose();
  Finish();
}

// Now and then: whether the client is there yet.
void ProxyWork::Watch() {
  if (finished_) return;
  if (control_->signal() != RequestControl::Signal::kNone) return Finish();
  const auto since = std::chrono::steady_clock::now() - call_.arrived;
  if (since > room_.request_timeout + kPatienceWithProcess) {
    return Fail({ErrorCode::kTimedOut, "the model's process has not answered in the request's time", {}});
  }
  loop_->runAfter(kBetweenWatches, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Watch();
  });
}

void ProxyWork::OnProcessEnd() {
  const std::string how = model_.remote()->how_it_ended();
  Error error{ErrorCode::kUnavailable,
              how.empty() ? "the model's process has closed the connection"
                          : fmt::format("the model's process has ended ({}); it is "
                                        "started again for the next request",
                                        how),
              {}};
  error.retry_after_s = 1;
  Fail(error);
}

// A stream that has begun says it in its last frame.
void ProxyWork::Fail(const Error& error) {
  if (finished_) return;
  RequestRecord record = RecordOf(call_.request);
  record.model = model_.remote() ? model_.remote()->id() : name_;
  if (responded_) {
    record.status = answer_->status();
    record.error = error.code;
    record.total_s = SecondsOf(call_.request);
    LogRequest(record);
    frames_ += StreamErrorFrame(call_.route->errors, call_.route->path.ends_with("/responses"), error);
    if (stream_) {
      stream_->Send(std::exchange(frames_, {}));
      stream_->Close();
    } else {
      connection_->forceClose();
    }
  } else {
    call_.route->logs_itself ? call_.FailAndLog(error, std::move(record)) : call_.Fail(error);
  }
  Finish();
}

void ProxyWork::Close() {
  if (channel_) {
    channel_->disableAll();
    channel_->remove();
    // It may be the one whose event this is.
    loop_->queueInLoop([channel = std::shared_ptr<trantor::Channel>(std::move(channel_))] {});
  }
  if (descriptor_ >= 0) close(std::exchange(descriptor_, -1));
}

void ProxyWork::Finish() {
  if (std::exchange(finished_, true)) return;
  Close();
  if (stream_) room_.front_door.OnAnswered(call_.request->getConnectionPtr());
  stream_.reset();
  room_.tracker.Remove(connection_.get(), control_.get());
  model_.reset();
  models_.clear();
  loop_->queueInLoop([self = std::move(self_)] {});
}

}  // namespace cllm
