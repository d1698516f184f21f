#include "http/access_log.h"

#include "api/error_body.h"
#include "base/log.h"

namespace cllm {
namespace {

constexpr std::size_t kMostPathBytes = 200;
constexpr std::size_t kMostBodyBytes = 64 << 10;
constexpr double kMillisecondsPerSecond = 1e3;

double Milliseconds(double seconds) { return seconds * kMillisecondsPerSecond; }

}  // namespace

std::string_view OutcomeName(const std::optional<ErrorCode>& error) {
  if (!error) return "finished";
  switch (*error) {
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kTimedOut:
      return "timed_out";
    case ErrorCode::kInternal:
      return "failed";
    default:
      return "refused";
  }
}

void LogRequest(const RequestRecord& record) {
  LogFields fields;
  if (!record.id.empty()) fields.emplace_back("id", record.id);
  if (!record.request_id.empty()) fields.emplace_back("request_id", record.request_id);
  if (!record.model.empty()) fields.emplace_back("model", record.model);
  fields.emplace_back("remote", record.remote);
  fields.emplace_back("method", record.method);
  fields.emplace_back("path", record.path.substr(0, kMostPathBytes));
  fields.emplace_back("status", std::int64_t{record.status});
  fields.emplace_back("outcome", std::string(OutcomeName(record.error)));
  if (record.error) fields.emplace_back("code", std::string(ErrorCodeName(*record.error)));
  if (const auto& end = record.generation) {
    fields.emplace_back("prompt_tokens", std::int64_t{end->prompt_tokens});
    fields.emplace_back("generated_tokens", std::int64_t{end->generated_tokens});
    fields.emplace_back("queue_ms", Milliseconds(end->queue_time_s));
    fields.emplace_back("first_token_ms", Milliseconds(end->first_token_time_s));
  }
  fields.emplace_back("total_ms", Milliseconds(record.total_s));
  if (!record.body.empty()) fields.emplace_back("body", record.body.substr(0, kMostBodyBytes));
  LogEvent(record.is_probe && !record.error ? spdlog::level::debug : spdlog::level::info, "request", fields);
}

}  // namespace cllm
