#include "http/client_work.h"

#include <new>
#include <utility>

namespace cllm {

ClientWork::ClientWork(HttpCall call, RequestBody body, BodyAnswer answer, ConnectionTracker& tracker)
    : call_(std::move(call)),
      make_answer_(answer),
      tracker_(tracker),
      body_(std::move(body)),
      connection_(call_.request->getConnectionPtr().lock()) {}

void ClientWork::Begin(const ModelLease& backend) {
  if (!connection_) return;
  tracker_.Add(connection_.get(), control_);
  const Status status = backend->service.SubmitJob(control_, [self = shared_from_this(), backend](const StopCheck& stop) {
    self->Do(*backend, stop);
    self->connection_->getLoop()->queueInLoop([self] { self->Answer(); });
  });
  if (status) return;
  answer_ = std::unexpected(status.error());
  Answer();
}

void ClientWork::Do(const Backend& backend, const StopCheck& stop) {
  try {
    // One that was told to end while it waited does nothing.
    const Status wanted = stop();
    answer_ =
        wanted ? make_answer_(backend, body_.text, {stop, body_.memory, backend.service.max_context()}) : std::unexpected(wanted.error());
  } catch (const std::bad_alloc&) {
    answer_ = Fail(ErrorCode::kUnavailable, "the server has no memory for the answer");
  }
  body_.text = {};
}

void ClientWork::Answer() {
  tracker_.Remove(connection_.get(), control_.get());
  if (answer_) {
    call_.respond(BodyResponse(call_.route->content_type, *std::move(answer_), std::move(body_.memory)));
  } else {
    call_.Fail(answer_.error());
  }
}

}  // namespace cllm
