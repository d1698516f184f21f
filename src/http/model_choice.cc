#include "http/model_choice.h"

#include <utility>

#include <fmt/format.h>
#include <trantor/net/EventLoop.h>

#include "api/body_model.h"

namespace cllm {
namespace {

// What is looked through in less than a tenth of a millisecond.
constexpr std::size_t kSearchedOnLoop = std::size_t{16} << 10;
// How soon it is noticed that a client has left, or that time is up.
constexpr std::chrono::milliseconds kBetweenLooks(50);

}  // namespace

ModelChoice::ModelChoice(HttpCall call, const RequestRoom& room, Next next)
    : call_(std::move(call)), room_(room), next_(std::move(next)), loop_(trantor::EventLoop::getEventLoopOfCurrentThread()) {}

void ModelChoice::Begin() {
  body_ = room_.front_door.TakeBody(call_.request->getConnectionPtr());
  const ModelRegistry* models = room_.models.load();
  if (models == nullptr) return Fail(room_.unavailable());
  if (models->takes_any_name()) return Choose({});
  if (body_.text.size() <= kSearchedOnLoop) return Choose(ModelOfBody(body_.text));
  room_.workers.Post(
      [self = shared_from_this()] { self->loop_->queueInLoop([self, name = ModelOfBody(self->body_.text)] { self->Choose(name); }); });
}

void ModelChoice::Choose(const std::string& name) {
  const ModelRegistry* models = room_.models.load();
  if (models == nullptr) return Fail(room_.unavailable());
  const Result<std::size_t> model = models->Find(name);
  if (!model) return Fail(model.error());
  BeginWith(*model, std::move(body_));
}

void ModelChoice::BeginWith(std::size_t model, RequestBody body) {
  ModelRegistry* models = room_.models.load();
  if (models == nullptr) return Fail(room_.unavailable());
  body_ = std::move(body);
  model_ = model;
  if (ModelLease lease = models->Take(model)) return next_(std::move(call_), std::move(body_), std::move(lease));
  Wait();
}

void ModelChoice::Wait() {
  control_ = std::make_shared<RequestControl>();
  connection_ = call_.request->getConnectionPtr().lock();
  if (!connection_) return;
  room_.tracker.Add(connection_.get(), control_);
  // What is asked for ends on its loop, whoever answers.
  number_ = room_.models.load()->Ask(model_, [self = shared_from_this()](Result<ModelLease> lease) mutable {
    auto* const loop = self->loop_;
    loop->queueInLoop([self = std::move(self), lease = std::move(lease)]() mutable { self->OnAnswer(std::move(lease)); });
  });
  Look();
}

void ModelChoice::Look() {
  ModelRegistry* models = room_.models.load();
  if (has_answer_ || models == nullptr) return;
  is_late_ = std::chrono::steady_clock::now() >= call_.arrived + room_.request_timeout;
  if (is_late_ || control_->signal() != RequestControl::Signal::kNone) return models->GiveUp(model_, number_);
  loop_->runAfter(kBetweenLooks, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Look();
  });
}

void ModelChoice::OnAnswer(Result<ModelLease> lease) {
  has_answer_ = true;
  room_.tracker.Remove(connection_.get(), control_.get());
  connection_.reset();
  if (room_.models.load() == nullptr) return Fail(room_.unavailable());
  if (!lease && is_late_) {
    return Fail({ErrorCode::kTimedOut, "the model was not in memory before the request's time was up (scheduler.request_timeout)", {}});
  }
  if (!lease) return Fail(lease.error());
  next_(std::move(call_), std::move(body_), *std::move(lease));
}

void ModelChoice::Fail(const Error& error) {
  if (!call_.route->logs_itself) return call_.Fail(error);
  RequestRecord record = RecordOf(call_.request);
  if (room_.log_bodies) record.body = body_.text;
  call_.FailAndLog(error, std::move(record));
}

}  // namespace cllm
