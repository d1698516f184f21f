#include "http/exchange.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "api/error_body.h"
#include "api/work.h"
#include "http/answer_head.h"
#include "http/route_table.h"

namespace cllm {
namespace {

constexpr const char* kCacheHeader = "X-cLLM-Cache";
constexpr const char* kRelaxedSchemaHeader = "X-cLLM-Relaxed-Schema";

}  // namespace

drogon::HttpResponsePtr BodyResponse(std::string_view content_type, std::string body) {
  auto response = drogon::HttpResponse::newHttpResponse();
  response->setContentTypeString(std::string(content_type));
  response->setBody(std::move(body));
  return response;
}

drogon::HttpResponsePtr BodyResponse(std::string_view content_type, ChunkedText body, MemoryShare memory) {
  constexpr std::size_t kShort = std::size_t{64} << 10;
  if (body.size() <= kShort) return BodyResponse(content_type, body.TakeAll());
  struct Rest {
    ChunkedText text;
    MemoryShare memory;
  };
  const std::size_t length = body.size();
  const auto rest = std::make_shared<Rest>(Rest{.text = std::move(body), .memory = std::move(memory)});
  // Asked for more when the socket takes more; null: nothing further is wanted.
  auto response = drogon::HttpResponse::newStreamResponse(
      [rest](char* to, std::size_t most) -> std::size_t { return to != nullptr ? rest->text.Take(to, most) : 0; });
  response->setContentTypeString(std::string(content_type));
  response->addHeader("Content-Length", std::to_string(length));
  return response;
}

drogon::HttpResponsePtr ErrorResponse(const Error& error, std::string body) {
  auto response = BodyResponse(kJsonType, std::move(body));
  response->setStatusCode(static_cast<drogon::HttpStatusCode>(HttpStatus(error.code)));
  if (error.code == ErrorCode::kUnauthorized) response->addHeader("WWW-Authenticate", kChallenge);
  if (const auto seconds = RetryAfter(error)) response->addHeader("Retry-After", std::to_string(*seconds));
  return response;
}

Exchange::Exchange(Parts parts, Mailbox& mailbox, ConnectionTracker& tracker, BodyWorkers& workers)
    : parts_(std::move(parts)),
      mailbox_(mailbox),
      tracker_(tracker),
      workers_(workers),
      connection_(parts_.request->getConnectionPtr()),
      loop_(trantor::EventLoop::getEventLoopOfCurrentThread()),
      held_for_request_(parts_.memory.bytes()) {
  if (const auto connection = connection_.lock()) {
    connection_key_ = connection.get();
    sent_before_ = connection->bytesSent();
  }
}

Exchange::~Exchange() {
  if (finished_) return;
  if (control_) tracker_.Remove(connection_key_, control_.get());
  if (const auto connection = connection_.lock()) connection->forceClose();
}

void Exchange::Track(std::shared_ptr<RequestControl> control) {
  if (finished_) return;
  control_ = std::move(control);
  const auto connection = connection_.lock();
  if (!connection || !connection->connected()) return control_->Send(RequestControl::Signal::kCancel);
  tracker_.Add(connection_key_, control_);
  const bool may_wait = parts_.stream && parts_.keep_alive.count() > 0 && !parts_.dialect->KeepAlive().empty();
  if (may_wait) KeepAliveAfter(std::min(parts_.keep_alive, kFirstWait));
}

void Exchange::KeepAliveAfter(std::chrono::milliseconds delay) {
  loop_->runAfter(delay, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->KeepAlive();
  });
}

void Exchange::KeepAlive() {
  if (finished_) return;
  {
    const std::lock_guard lock(mutex_);
    if (has_text_ || ended_ || is_too_large_) return;
    has_begun_ = true;
    frames_ += parts_.dialect->KeepAlive();
  }
  Flush();
  KeepAliveAfter(parts_.keep_alive);
}

void Exchange::OnStart(const AnswerStart& start) {
  const std::lock_guard lock(mutex_);
  start_ = start;
}

std::optional<std::string> Exchange::CacheHeader() {
  const std::lock_guard lock(mutex_);
  if (!start_) return std::nullopt;
  if (start_->is_cached) return "hit";
  return start_->prefix_tokens > 0 ? fmt::format("prefix={}", start_->prefix_tokens) : "miss";
}

HeaderList Exchange::OwnHeaders() {
  std::vector<std::string> relaxed = parts_.relaxed_schema;
  {
    const std::lock_guard lock(mutex_);
    if (start_) relaxed.insert(relaxed.end(), start_->relaxed_schema.begin(), start_->relaxed_schema.end());
  }
  HeaderList headers = parts_.headers;
  if (!relaxed.empty()) headers.emplace_back(kRelaxedSchemaHeader, FieldListValue(relaxed));
  return headers;
}

HeaderList Exchange::StreamHeaders() {
  HeaderList headers = {
      {kContentTypeHeader, std::string(parts_.dialect->StreamType())}, {"Cache-Control", "no-cache"}, {kStreamHeader, "no"}};
  if (auto cache = CacheHeader()) headers.emplace_back(kCacheHeader, *std::move(cache));
  std::ranges::move(OwnHeaders(), std::back_inserter(headers));
  return headers;
}

TextDelta& Exchange::AnswerOf(int choice) {
  while (static_cast<int>(answers_.size()) <= choice) {
    TextDelta next;
    next.choice = static_cast<int>(answers_.size());
    answers_.push_back(std::move(next));
  }
  return answers_[static_cast<std::size_t>(choice)];
}

void Exchange::OnText(TextDelta delta) {
  if (!parts_.stream) {
    if (!Hold(delta)) return;
    AnswerOf(delta.choice).Append(std::move(delta));
    return;
  }
  std::string frames = parts_.writer->StreamDelta(delta);
  if (!delta.prompt.empty()) held_opening_bytes_ += frames.size();
  if (!Hold(parts_.writer->held_bytes() + held_opening_bytes_)) return;
  const std::lock_guard lock(mutex_);
  opening_bytes_ = held_opening_bytes_;
  has_text_ = has_begun_ = true;
  frames_ += frames;
  Queue();
}

// False from the piece on that finds no room.
bool Exchange::Hold(const TextDelta& delta) {
  constexpr std::size_t kDocument = 6;  // as large is the JSON document from which tokens are written
  answer_bytes_ += delta.bytes();
  const auto add = [this](const TokenText& token) {
    answer_bytes_ +=
        kDocument * (sizeof(token) + token.bytes.size() + token.top_bytes.size() * (sizeof(TokenLogprob) + sizeof(std::string)));
  };
  std::ranges::for_each(delta.tokens, add);
  std::ranges::for_each(delta.prompt, add, &PromptToken::text);
  return Hold(answer_bytes_);
}

bool Exchange::Hold(std::size_t answer_bytes) {
  if (parts_.memory.Resize(held_for_request_ + answer_bytes)) return true;
  const std::lock_guard lock(mutex_);
  if (!std::exchange(is_too_large_, true)) Queue();
  return false;
}

void Exchange::OnEnd(const GenerationEnd& given_end) {
  if (!parts_.stream) AnswerOf(given_end.choices() - 1);  // an answer may have no text at all
  const std::lock_guard lock(mutex_);
  GenerationEnd end = given_end;
  if (is_too_large_) end.status = std::unexpected(NoRoomForAnswer());
  Log(end, has_begun_);
  // A stream that has not begun can still answer with the error's own status.
  if (parts_.stream && (end.status || has_begun_)) {
    has_begun_ = true;
    frames_ += parts_.writer->StreamEnd(end);
  }
  end_ = end;
  ended_ = true;
  Queue();
}

void Exchange::Log(const GenerationEnd& end, bool has_begun) {
  RequestRecord& record = parts_.record;
  record.id = parts_.writer->id();
  record.generation = end;
  record.total_s = end.response_time_s;
  if (!end.status) record.error = end.status.error().code;
  // A stream that has begun has said 200, whatever its last frame says.
  record.status = end.status || has_begun ? 200 : HttpStatus(end.status.error().code);
  LogRequest(record);
}

// Under the lock.
void Exchange::Queue() {
  if (std::exchange(queued_, true)) return;
  mailbox_.Add(loop_, shared_from_this());
}

void Exchange::Flush() {
  if (finished_) return;
  bool begin_stream = false;
  bool give_up = false;
  {
    const std::lock_guard lock(mutex_);
    queued_ = false;
    begin_stream = has_begun_;
    give_up = is_too_large_ && !ended_;
  }
  if (give_up && control_) control_->Send(RequestControl::Signal::kCancel);
  if (give_up) return;
  if (!begin_stream) return RespondWhole();
  if (!std::exchange(responded_, true)) return BeginStream();
  WriteFrames();
}

void Exchange::RespondWhole() {
  if (!end_.status) return Respond(ErrorResponse(end_.status.error(), ErrorBody(parts_.errors, end_.status.error())));
  if (answer_bytes_ + parts_.repeated_bytes <= kWrittenOnLoop)
    return Respond(BodyResponse(kJsonType, parts_.writer->Whole(answers_, end_)));
  finished_ = true;  // there is no other news
  workers_.Post([self = shared_from_this()] {
    const auto response = self->WriteWhole();
    self->loop_->queueInLoop([self, response] { self->Respond(response); });
  });
}

// On a worker.
drogon::HttpResponsePtr Exchange::WriteWhole() {
  try {
    ChunkedText body(parts_.writer->Whole(std::exchange(answers_, {}), end_));
    return BodyResponse(kJsonType, std::move(body), std::move(parts_.memory));
  } catch (const std::bad_alloc&) {
    const Error error{ErrorCode::kUnavailable, "the server has no memory for the answer", {}};
    return ErrorResponse(error, ErrorBody(parts_.errors, error));
  }
}

void Exchange::Respond(const drogon::HttpResponsePtr& response) {
  response->addHeader(kCacheHeader, CacheHeader().value_or("miss"));
  AddHeaders(*response, OwnHeaders());
  parts_.respond(response);
  Finish();
}

void Exchange::BeginStream() {
  const auto connection = connection_.lock();
  if (!connection || !connection->connected()) return Finish();
  // Frames wait until it has begun.
  BeginFrameStream(parts_.request, parts_.respond, StreamHeaders(), parts_.common_headers,
                   [self = shared_from_this()](std::unique_ptr<FrameStream> stream) {
                     self->stream_ = std::move(stream);
                     self->WriteFrames();
                   });
}

void Exchange::WriteFrames() {
  if (!stream_) return;
  std::string frames;
  bool ended = false;
  std::size_t opening_bytes = parts_.repeated_bytes;
  {
    const std::lock_guard lock(mutex_);
    frames.swap(frames_);
    opening_bytes += opening_bytes_;
    ended = ended_;
  }
  const auto connection = connection_.lock();
  if (!connection || !connection->connected()) return Finish();
  if (!frames.empty()) stream_->Send(frames);
  handed_bytes_ += frames.size();
  if (ended) {
    stream_->Close();
    return Finish();
  }
  const std::size_t sent = connection->bytesSent() - sent_before_;
  if (handed_bytes_ > sent + kMostUnsentBytes + opening_bytes) {
    if (control_) control_->Send(RequestControl::Signal::kCancel);
    connection->forceClose();
    Finish();
  }
}

void Exchange::Finish() {
  finished_ = true;
  if (stream_) parts_.on_stream_end();
  stream_.reset();
  if (control_) tracker_.Remove(connection_key_, control_.get());
}

}  // namespace cllm
