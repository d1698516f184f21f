#include "http/handlers.h"

#include <utility>

#include "api/error_body.h"
#include "api/sampling_fields.h"
#include "http/metrics_page.h"

namespace cllm {
namespace {

const Error kLoading{ErrorCode::kUnavailable, "the model is still loading", {}};

}  // namespace

RequestRecord RecordOf(const drogon::HttpRequestPtr& request) {
  RequestRecord record;
  record.method = request->isHead() ? "HEAD" : request->methodString();
  record.path = request->path();
  record.remote = request->peerAddr().toIpPort();
  return record;
}

void HttpCall::Answer(std::string body) const { respond(BodyResponse(route->content_type, std::move(body))); }

void HttpCall::Fail(const Error& error) const { respond(ErrorResponse(error, ErrorBody(route->errors, error))); }

Handlers::Handlers(Settings settings, FrontDoor& front_door, Mailbox& mailbox, ConnectionTracker& tracker)
    : settings_(std::move(settings)), front_door_(front_door), mailbox_(mailbox), tracker_(tracker) {}

void Handlers::Index(HttpCall call) const { call.Answer(IndexBody(settings_.version, EndpointNames())); }

void Handlers::Health(HttpCall call) const {
  const std::string& level = call.request->getParameter("level");
  if (!level.empty() && level != "detailed" && level != "basic") {
    return call.Fail({ErrorCode::kInvalidArgument, "level must be basic or detailed", "level"});
  }
  const auto backend = backend_.load();
  if (!backend) {
    auto response = BodyResponse(call.route->content_type, LoadingBody());
    response->setStatusCode(drogon::k503ServiceUnavailable);
    return call.respond(response);
  }
  call.Answer(level == "detailed" ? DetailedHealthBody(backend->facts, backend->service.stats()) : HealthyBody());
}

void Handlers::Metrics(HttpCall call) const {
  const auto backend = backend_.load();
  if (!backend) return call.Fail(kLoading);
  call.Answer(MetricsPage(*backend));
}

void Handlers::Models(HttpCall call) const {
  const auto backend = backend_.load();
  if (!backend) return call.Fail(kLoading);
  call.Answer(ModelsBody(backend->facts, backend->service.max_context()));
}

void Handlers::StartGeneration(HttpCall call, DialectOf dialect_of) const {
  RequestRecord record = RecordOf(call.request);
  if (settings_.log_bodies) record.body = call.request->body();
  const auto fail = [&](const Error& error) {
    record.status = HttpStatus(error.code);
    record.error = error.code;
    LogRequest(record);
    call.Fail(error);
  };
  const auto backend = backend_.load();
  if (!backend) return fail(kLoading);
  // Under overload most requests end here: reading them first would take time from those that are answered.
  if (Status room = backend->service.LookForRoom(); !room) return fail(room.error());
  const Dialect& dialect = dialect_of(*backend);
  Result<ParsedCall> parsed = dialect.Parse(call.request->body());
  if (!parsed) return fail(parsed.error());
  if (const std::string& priority = call.request->getHeader(kPriorityHeader); !priority.empty()) {
    if (Status status = ReadPriorityHeader(priority, parsed->request); !status) return fail(status.error());
  }
  auto exchange = std::make_shared<Exchange>(
      Exchange::Parts{.request = call.request,
                      .respond = call.respond,
                      .writer = std::move(parsed->writer),
                      .dialect = &dialect,
                      .backend = backend,
                      .stream = parsed->stream,
                      .headers = front_door_.cors().AnswerHeaders(call.request->getHeader("origin")),
                      .record = record,
                      .on_stream_end = [&door = front_door_, connection = call.request->getConnectionPtr()] { door.OnAnswered(connection); }},
      mailbox_, tracker_);
  auto control = backend->Submit(*std::move(parsed), exchange);
  if (!control) {
    exchange->Abandon();
    return fail(control.error());
  }
  exchange->Track(*control);
}

void Handlers::StartWork(HttpCall call, BodyAnswer answer) const {
  const auto backend = backend_.load();
  if (!backend) return call.Fail(kLoading);
  backend->service.Post([backend, call = std::move(call), answer] {
    Result<std::string> body = answer(backend->service.model(), call.request->body());
    if (!body) return call.Fail(body.error());
    call.Answer(*std::move(body));
  });
}

}  // namespace cllm
