#include "http/exchange.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "api/error_body.h"
#include "http/answer_head.h"
#include "http/route_table.h"

namespace cllm {
namespace {

constexpr const char* kCacheHeader = "X-cLLM-Cache";

// Whether the body must end with the connection: HTTP/1.0 knows no chunks, and "Connection: close" asks for it.
bool EndsWithConnection(const drogon::HttpRequest& request) {
  if (request.version() == drogon::Version::kHttp10) return true;
  std::string connection = request.getHeader("connection");
  std::ranges::transform(connection, connection.begin(), [](unsigned char c) { return std::tolower(c); });
  return connection.find("close") != std::string::npos;
}

}  // namespace

drogon::HttpResponsePtr BodyResponse(std::string_view content_type, std::string body) {
  auto response = drogon::HttpResponse::newHttpResponse();
  response->setContentTypeString(std::string(content_type));
  response->setBody(std::move(body));
  return response;
}

drogon::HttpResponsePtr ErrorResponse(const Error& error, std::string body) {
  auto response = BodyResponse(kJsonType, std::move(body));
  response->setStatusCode(static_cast<drogon::HttpStatusCode>(HttpStatus(error.code)));
  if (const auto seconds = RetryAfter(error)) response->addHeader("Retry-After", std::to_string(*seconds));
  return response;
}

Exchange::Exchange(Parts parts, Mailbox& mailbox, ConnectionTracker& tracker)
    : parts_(std::move(parts)),
      mailbox_(mailbox),
      tracker_(tracker),
      connection_(parts_.request->getConnectionPtr()),
      loop_(trantor::EventLoop::getEventLoopOfCurrentThread()) {
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
  if (connection && connection->connected()) {
    tracker_.Add(connection_key_, control_);
  } else {
    control_->Send(RequestControl::Signal::kCancel);
  }
}

void Exchange::OnStart(const CacheUse& cache) {
  const std::lock_guard lock(mutex_);
  cache_ = cache;
}

std::string Exchange::CacheHeader() {
  const std::lock_guard lock(mutex_);
  if (cache_.result) return "hit";
  return cache_.prefix_tokens > 0 ? fmt::format("prefix={}", cache_.prefix_tokens) : "miss";
}

HeaderList Exchange::StreamHeaders() {
  HeaderList headers = {{kContentTypeHeader, "text/event-stream; charset=utf-8"},
                        {"Cache-Control", "no-cache"},
                        {kStreamHeader, "no"},
                        {kCacheHeader, CacheHeader()}};
  headers.insert(headers.end(), parts_.headers.begin(), parts_.headers.end());
  return headers;
}

TextDelta& Exchange::AnswerOf(int choice) {
  while (static_cast<int>(answers_.size()) <= choice) {
    answers_.push_back({.text = {}, .tokens = {}, .choice = static_cast<int>(answers_.size())});
  }
  return answers_[static_cast<std::size_t>(choice)];
}

void Exchange::OnText(TextDelta delta) {
  if (!parts_.stream) {
    TextDelta& answer = AnswerOf(delta.choice);
    answer.text += delta.text;
    std::ranges::move(delta.tokens, std::back_inserter(answer.tokens));
    return;
  }
  std::string frames = parts_.writer->StreamDelta(delta);
  const std::lock_guard lock(mutex_);
  has_text_ = true;
  frames_ += frames;
  Queue();
}

void Exchange::OnEnd(const GenerationEnd& end) {
  if (!parts_.stream) AnswerOf(end.choices() - 1);  // an answer may have no text at all
  const std::lock_guard lock(mutex_);
  Log(end, has_text_);
  // A stream that has not begun can still answer with the error's own status.
  if (parts_.stream && (end.status || has_text_)) {
    has_text_ = true;
    frames_ += parts_.writer->StreamEnd(end);
  }
  end_ = end;
  ended_ = true;
  Queue();
}

void Exchange::Log(const GenerationEnd& end, bool has_text) {
  RequestRecord& record = parts_.record;
  record.id = parts_.writer->id();
  record.generation = end;
  record.total_s = end.response_time_s;
  if (!end.status) record.error = end.status.error().code;
  // A stream that has begun has said 200, whatever its last frame says.
  record.status = end.status || has_text ? 200 : HttpStatus(end.status.error().code);
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
  {
    const std::lock_guard lock(mutex_);
    queued_ = false;
    begin_stream = has_text_;
  }
  if (!begin_stream) return RespondWhole();
  if (!std::exchange(responded_, true)) return BeginStream();
  WriteFrames();
}

void Exchange::RespondWhole() {
  const auto response = end_.status ? BodyResponse(kJsonType, parts_.writer->Whole(answers_, end_))
                                    : ErrorResponse(end_.status.error(), parts_.dialect->ErrorBody(end_.status.error()));
  response->addHeader(kCacheHeader, CacheHeader());
  AddHeaders(*response, parts_.headers);
  parts_.respond(response);
  Finish();
}

void Exchange::BeginStream() {
  const auto connection = connection_.lock();
  if (!connection || !connection->connected()) return Finish();
  if (EndsWithConnection(*parts_.request)) {
    HeaderList headers = StreamHeaders();
    headers.insert(headers.end(), parts_.common_headers.begin(), parts_.common_headers.end());
    stream_ = std::make_unique<ClosingFrameStream>(connection, ClosingHead(200, headers));
    return WriteFrames();
  }
  // Where earlier requests of a pipelining client are still open, Drogon calls back later; frames wait until then.
  auto response = drogon::HttpResponse::newAsyncStreamResponse(
      [self = shared_from_this()](drogon::ResponseStreamPtr stream) {
        self->stream_ = std::make_unique<ChunkedFrameStream>(std::move(stream));
        self->WriteFrames();
      },
      true);
  AddHeaders(*response, StreamHeaders());
  parts_.respond(response);
}

void Exchange::WriteFrames() {
  if (!stream_) return;
  std::string frames;
  bool ended = false;
  {
    const std::lock_guard lock(mutex_);
    frames.swap(frames_);
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
  if (handed_bytes_ > sent + kMostUnsentBytes) {
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
