#include "api/response_writer.h"

#include <chrono>
#include <ctime>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "api/error_body.h"
#include "api/sampling_fields.h"

namespace cllm {
namespace {

bool IsCut(const GenerationEnd& end) { return end.status && end.reason == FinishReason::kLength; }

const char* StatusOf(const GenerationEnd* end) {
  if (end == nullptr) return "in_progress";
  if (!end->status) return "failed";
  return IsCut(*end) ? "incomplete" : "completed";
}

// OpenAI's names for what fails an answer that has begun.
Json FailureOf(const GenerationEnd* end) {
  if (end == nullptr || end->status) return nullptr;
  const Error& error = end->status.error();
  return {{"code", error.code == ErrorCode::kQueueFull ? "rate_limit_exceeded" : "server_error"}, {"message", error.message}};
}

Json ResponseUsage(const GenerationEnd& end) {
  return {{"input_tokens", end.prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", end.cached_tokens}, {"cache_write_tokens", 0}}},
          {"output_tokens", end.generated_tokens},
          {"output_tokens_details", {{"reasoning_tokens", end.reasoning_tokens}}},
          {"total_tokens", end.prompt_tokens + end.generated_tokens}};
}

// The fields of an object without its braces.
std::string FieldsOf(const Json& object) {
  const std::string text = Dump(object);
  return text.substr(1, text.size() - 2);
}

}  // namespace

ResponseWriter::ResponseWriter(Parts parts)
    : parts_(std::move(parts)),
      id_("resp_" + RandomHexId()),
      created_(std::time(nullptr)),
      output_(parts_.stream ? &events_ : nullptr, parts_.shows_logprobs, std::move(parts_.namespaced)) {}

std::string ResponseWriter::Object(const GenerationEnd* end) const {
  Json head{{"id", id_},
            {"object", "response"},
            {"created_at", created_},
            {"status", StatusOf(end)},
            {"background", false},
            {"completed_at", nullptr},
            {"error", FailureOf(end)},
            {"incomplete_details", nullptr},
            {"model", parts_.model.id}};
  if (end != nullptr && end->status && !IsCut(*end)) head["completed_at"] = std::time(nullptr);
  if (end != nullptr && IsCut(*end)) head["incomplete_details"] = {{"reason", "max_output_tokens"}};
  if (end != nullptr && end->status) {
    head["usage"] = ResponseUsage(*end);
    head["seed"] = SeedShown(end->seed);
  }
  std::string items;
  for (const StoredItem& item : output_.items()) {
    if (!items.empty()) items += ',';
    items += item.json;
  }
  return fmt::format("{{{},\"output\":[{}],{}}}", FieldsOf(head), items, parts_.request_fields);
}

std::string ResponseWriter::EndedBody(const GenerationEnd& end) {
  std::string body = Object(&end);
  if (end.status) Keep(body);
  return body;
}

void ResponseWriter::Keep(const std::string& body) {
  if (!parts_.store) return;
  StoredTurn turn{.input = std::move(parts_.input), .output = output_.items()};
  parts_.store->Insert(parts_.owner, id_, body, std::move(parts_.before), std::move(turn), std::chrono::steady_clock::now());
}

void ResponseWriter::Begin() {
  if (std::exchange(has_begun_, true)) return;
  const std::string object = Object(nullptr);
  events_.AddResponse("response.created", object);
  events_.AddResponse("response.in_progress", object);
}

std::string ResponseWriter::StreamDelta(const TextDelta& delta) {
  Begin();
  output_.Add(delta);
  return events_.Take();
}

std::string ResponseWriter::StreamEnd(const GenerationEnd& end) {
  Begin();
  output_.End(IsCut(end) || !end.status);
  if (!end.status) {
    const Error& error = end.status.error();
    events_.Add("error", {{"code", ErrorCodeName(error.code)},
                          {"message", error.message},
                          {"param", error.field.empty() ? Json(nullptr) : Json(error.field)}});
  }
  const std::string body = EndedBody(end);
  events_.AddResponse(fmt::format("response.{}", StatusOf(&end)), body);
  return events_.Take();
}

std::string ResponseWriter::Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) {
  for (const TextDelta& answer : answers) output_.Add(answer);
  output_.End(IsCut(end));
  return EndedBody(end);
}

}  // namespace cllm
