#include "http/embedding_work.h"

#include <algorithm>
#include <new>
#include <utility>

#include <trantor/net/EventLoop.h>

#include "api/sampling_fields.h"
#include "http/answer_head.h"

namespace cllm {
namespace {

// What takes less than a millisecond to read, whatever is in it.
constexpr std::size_t kTextsReadOnLoop = std::size_t{4} << 10;

}  // namespace

EmbeddingWork::EmbeddingWork(HttpCall call, RequestBody body, ModelLease backend, DialectOf dialect_of, const RequestRoom& room)
    : call_(std::move(call)),
      dialect_of_(dialect_of),
      room_(room),
      backend_(std::move(backend)),
      body_(std::move(body)),
      body_bytes_(body_.text.size()),
      connection_(call_.request->getConnectionPtr().lock()) {}

void EmbeddingWork::Begin() {
  if (!connection_) return;
  // Under overload most requests end here: reading them first would take time from those that are answered.
  if (Status room = backend_->service.LookForRoom(); !room) return call_.Fail(room.error());
  room_.tracker.Add(connection_.get(), control_);
  if (body_bytes_ <= kTextsReadOnLoop) {
    Read();
    return Submit();
  }
  room_.workers.Post([self = shared_from_this()] {
    self->Read();
    self->Continue(&EmbeddingWork::Submit);
  });
}

void EmbeddingWork::Continue(void (EmbeddingWork::*next)()) {
  connection_->getLoop()->queueInLoop([self = shared_from_this(), next] { (self.get()->*next)(); });
}

StopCheck EmbeddingWork::StopWhenLeft() const {
  return [this]() -> Status {
    if (control_->signal() == RequestControl::Signal::kNone) return {};
    return cllm::Fail(ErrorCode::kCancelled, "the client left");
  };
}

void EmbeddingWork::Read() {
  const std::string text = std::move(body_.text);  // given back when it is read
  try {
    parsed_ = dialect_of_(*backend_).Parse(text, StopWhenLeft());
  } catch (const std::bad_alloc&) {
    parsed_ = cllm::Fail(ErrorCode::kUnavailable, "the server has no memory for the request");
  }
}

void EmbeddingWork::Submit() {
  // The model may have gone while the body was read.
  if (room_.models.load() == nullptr) return Fail({ErrorCode::kUnavailable, "the server is shutting down", {}});
  if (!parsed_) return Fail(parsed_.error());
  EmbeddingRequest& request = parsed_->request;
  if (const std::string& priority = call_.request->getHeader(kPriorityHeader); !priority.empty()) {
    if (Status status = ReadPriorityHeader(priority, request.priority); !status) return Fail(status.error());
  }
  if (Status status = HoldMemory(); !status) return Fail(status.error());
  request.arrived = call_.arrived;
  if (Status status = backend_->service.Embed(std::move(request), shared_from_this(), control_); !status) Fail(status.error());
}

// What was read of the body stays (documents twice, where they go back), with its tokens, which are no more than its bytes, or what the
// context holds of each pair; and so do the embeddings until they are written.
Status EmbeddingWork::HoldMemory() {
  constexpr std::size_t kOfAText = 256;
  const std::size_t texts = parsed_->request.texts.size();
  const auto size = static_cast<std::size_t>(backend_->service.embedding_size());
  const std::size_t of_a_pair = std::min(body_bytes_, static_cast<std::size_t>(backend_->service.max_context()));
  const std::size_t tokens = parsed_->request.wants_scores() ? texts * of_a_pair : body_bytes_;
  const std::size_t more = body_bytes_ + tokens * sizeof(TokenId) + texts * (kOfAText + size * sizeof(float));
  if (body_.memory.Resize(body_.memory.bytes() + more)) return {};
  Error error{ErrorCode::kQueueFull, "the requests that are open leave no room for this one in http.max_memory_mb: try again later", {}};
  error.retry_after_s = 1;
  return std::unexpected(error);
}

void EmbeddingWork::OnEnd(Result<EmbeddingAnswer> answer) {
  if (!answer) {
    answer_ = std::unexpected(answer.error());
    return Continue(&EmbeddingWork::Answer);
  }
  room_.workers.Post([self = shared_from_this(), answer = std::make_shared<const EmbeddingAnswer>(std::move(*answer))] {
    self->Write(*answer);
    self->Continue(&EmbeddingWork::Answer);
  });
}

void EmbeddingWork::Write(const EmbeddingAnswer& answer) {
  const StopCheck stop = StopWhenLeft();
  try {
    answer_ = parsed_->writer->Write(answer, {stop, body_.memory});
  } catch (const std::bad_alloc&) {
    answer_ = cllm::Fail(ErrorCode::kUnavailable, "the server has no memory for the answer");
  }
}

void EmbeddingWork::Answer() {
  if (!answer_) return Fail(answer_.error());
  room_.tracker.Remove(connection_.get(), control_.get());
  const auto response = BodyResponse(call_.route->content_type, *std::move(answer_), std::move(body_.memory));
  if (!parsed_->ignored_fields.empty()) response->addHeader("X-cLLM-Ignored-Fields", FieldListValue(parsed_->ignored_fields));
  call_.respond(response);
}

void EmbeddingWork::Fail(const Error& error) {
  room_.tracker.Remove(connection_.get(), control_.get());
  call_.Fail(error);
}

}  // namespace cllm
