#include "http/generation_start.h"

#include <algorithm>
#include <cctype>
#include <new>
#include <utility>

#include <trantor/net/EventLoop.h>

#include "api/error_body.h"
#include "api/sampling_fields.h"
#include "base/log.h"
#include "http/answer_head.h"
#include "http/model_admin.h"
#include "http/process_headers.h"

namespace cllm {
namespace {

// What takes less than a millisecond to read, whatever is in it.
constexpr std::size_t kReadOnLoop = std::size_t{4} << 10;

// One that is empty is there as well.
const std::string* FindHeader(const drogon::HttpRequest& request, std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto found = request.headers().find(name);
  return found == request.headers().end() ? nullptr : &found->second;
}

// The header that names what of a request changed nothing.
HeaderList IgnoredFieldsHeader(const std::vector<std::string>& fields, const std::string& request_id) {
  if (fields.empty()) return {};
  std::string list = FieldListValue(fields);
  spdlog::debug("request {} has fields that this server does not know: {}", EscapedForLog(request_id), list);
  return {{"X-cLLM-Ignored-Fields", std::move(list)}};
}

}  // namespace

GenerationStart::GenerationStart(HttpCall call, RequestBody body, ModelLease backend, DialectOf dialect_of, const RequestRoom& room)
    : call_(std::move(call)),
      dialect_of_(dialect_of),
      room_(room),
      backend_(std::move(backend)),
      record_(RecordOf(call_.request)),
      owner_(OwnerOf(room.front_door, *call_.request)),
      body_(std::move(body)),
      body_bytes_(body_.text.size()) {
  record_.model = backend_->facts.card.id;
}

void GenerationStart::Begin() {
  if (room_.log_bodies) record_.body = body_.text;
  // Under overload most requests end here: reading them first would take time from those that are answered.
  if (Status room = backend_->service.LookForRoom(); !room) return Fail(room.error());
  if (body_.text.size() > kReadOnLoop || !dialect_of_(*backend_).ReadsBodyAlone()) return ReadOnWorker();
  Submit(Read({}));
}

void GenerationStart::ReadOnWorker() {
  const auto control = std::make_shared<RequestControl>();
  const auto connection = call_.request->getConnectionPtr().lock();
  room_.tracker.Add(connection.get(), control);
  const auto stop = [control]() -> Status {
    if (control->signal() == RequestControl::Signal::kNone) return {};
    return cllm::Fail(ErrorCode::kCancelled, "the client left");
  };
  auto* const loop = trantor::EventLoop::getEventLoopOfCurrentThread();
  room_.workers.Post([self = shared_from_this(), control, key = connection.get(), stop, loop] {
    auto parsed = std::make_shared<Result<ParsedCall>>(self->Read(stop));
    loop->queueInLoop([self, control, key, parsed] {
      self->room_.tracker.Remove(key, control.get());
      self->Submit(std::move(*parsed));
    });
  });
}

Result<ParsedCall> GenerationStart::Read(const StopCheck& stop) {
  const std::string text = std::move(body_.text);  // given back when it is read
  try {
    return dialect_of_(*backend_).ParseFor(owner_, text, stop);
  } catch (const std::bad_alloc&) {
    return cllm::Fail(ErrorCode::kUnavailable, "the server has no memory for the request");
  }
}

void GenerationStart::Submit(Result<ParsedCall> parsed) {
  // The models may have gone while the body was read.
  if (room_.models.load() == nullptr) return Fail({ErrorCode::kUnavailable, "the server is shutting down", {}});
  if (!parsed) return Fail(parsed.error());
  if (const std::string* priority = FindHeader(*call_.request, kPriorityHeader)) {
    if (Status status = ReadPriorityHeader(*priority, parsed->request.priority); !status) return Fail(status.error());
  }
  if (parsed->asks_to_unload) {
    if (Status status = Unload(); !status) return Fail(status.error());
  }
  if (parsed->ready_answer) return AnswerAtOnce(*std::move(parsed->ready_answer), parsed->asks_to_unload);
  if (Status status = HoldMemory(*parsed); !status) return Fail(status.error());
  parsed->request.arrived = call_.arrived;
  if (room_.caches_by_key) parsed->request.cache_owner = owner_;
  const auto exchange = MakeExchange(*parsed);
  auto control = backend_->Submit(*std::move(parsed), exchange);
  if (control) return exchange->Track(*control);
  exchange->Abandon();
  Fail(control.error());
}

// Most that an answer holds of the scores of its prompt, beside what was handed on: a piece of them as text, and all for the result cache.
std::size_t GenerationStart::BytesOfScores(const ParsedCall& call, std::size_t prompt_tokens) {
  if (!call.request.prompt_logprobs) return 0;
  const std::size_t scores = prompt_tokens * (static_cast<std::size_t>(*call.request.prompt_logprobs) + 1);
  return scores * sizeof(TokenLogprob) + std::min(scores, kMostScoresAtOnce) * (sizeof(TokenLogprob) + sizeof(std::string));
}

// What was read of the body stays; and each answer has its tokens beside it, which are no more than its bytes or the context holds.
Status GenerationStart::HoldMemory(const ParsedCall& call) {
  constexpr std::size_t kOfAnAnswer = 4096;
  const std::size_t answers = static_cast<std::size_t>(std::max(call.choices, call.best_of)) * (1 + call.further_prompts.size());
  const std::size_t prompt = std::min(body_bytes_ + call.held_bytes, static_cast<std::size_t>(backend_->service.max_context()));
  const std::size_t of_an_answer = kOfAnAnswer + 2 * sizeof(TokenId) * prompt + BytesOfScores(call, prompt);
  if (body_.memory.Resize(body_.memory.bytes() + call.held_bytes + answers * of_an_answer)) return {};
  Error error{ErrorCode::kQueueFull, "the requests that are open leave no room for this one in http.max_memory_mb: try again later", {}};
  error.retry_after_s = 1;
  return std::unexpected(error);
}

std::shared_ptr<Exchange> GenerationStart::MakeExchange(ParsedCall& call) {
  return std::make_shared<Exchange>(
      Exchange::Parts{
          .request = call_.request,
          .respond = call_.respond,
          .writer = std::move(call.writer),
          .dialect = &dialect_of_(*backend_),
          .errors = call_.route->errors,
          .backend = backend_.backend(),
          .stream = call.stream,
          .common_headers = CommonHeaders(room_.front_door.cors(), call_.request->getHeader("origin"), record_.request_id),
          .headers = IgnoredFieldsHeader(call.ignored_fields, record_.request_id),
          .relaxed_schema = std::move(call.relaxed_schema),
          .record = record_,
          .on_stream_end = [&door = room_.front_door, connection = call_.request->getConnectionPtr()] { door.OnAnswered(connection); },
          .memory = std::move(body_.memory),
          .repeated_bytes = call.repeated_bytes,
          .keep_alive = room_.keep_alive},
      room_.mailbox, room_.tracker, room_.workers);
}

// The one model of a server stays, as it always has.
Status GenerationStart::Unload() {
  ModelRegistry& models = *room_.models.load();
  if (models.takes_any_name()) return {};
  if (auto refusal = WhyNotAdmin(*call_.request, room_.front_door)) return std::unexpected(*std::move(refusal));
  const Result<std::size_t> model = models.FindNamed(backend_->facts.card.id);
  return model ? models.Unload(*model) : std::unexpected(model.error());
}

// Of the process of a model its server decides whether it is unloaded.
void GenerationStart::AnswerAtOnce(std::string body, bool asks_to_unload) {
  record_.status = 200;
  record_.total_s = SecondsOf(call_.request);
  LogRequest(record_);
  const auto response = BodyResponse(call_.route->content_type, std::move(body));
  if (asks_to_unload && room_.front_door.is_of_server()) response->addHeader(kUnloadHeader, "1");
  call_.respond(response);
}

void GenerationStart::Fail(const Error& error) { call_.FailAndLog(error, std::move(record_)); }

}  // namespace cllm
