#include "chat/remote_answerer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "api/json_object.h"
#include "chat/command.h"
#include "chat/completion_stream.h"
#include "chat/terminal_text.h"

namespace cllm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostErrorBytes = 64 << 10;
constexpr std::size_t kMostModelListBytes = 4 << 20;
constexpr long kModelListTimeoutS = 30;

double SecondsBetween(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double>(to - from).count(); }

bool IsSuccess(int status) { return status >= 200 && status < 300; }

// Whether the request is to blame, or the server failed at it; anything else says nothing of the request.
ErrorCode CodeOf(int status) {
  if (status == 400 || status == 413 || status == 422) return ErrorCode::kInvalidArgument;
  return status == 500 ? ErrorCode::kInternal : ErrorCode::kUnavailable;
}

// What a status other than success means, with what the server says of it and what to do.
Error ErrorOf(int status, std::string_view body) {
  std::string message = fmt::format("the server answers with HTTP {}", status);
  if (const std::string text = ServerErrorText(body); !text.empty()) message += ": " + text;
  if (status == 401 || status == 403) message += " (give a key with --api-key or CLLM_API_KEY)";
  if (status >= 300 && status < 400) message += " (it names another address: give that as --server-url)";
  return {.code = CodeOf(status), .message = std::move(message), .field = {}};
}

// Keeps the beginning of a body.
void AddWithin(std::string& body, std::string_view bytes, std::size_t most) { body += bytes.substr(0, most - std::min(most, body.size())); }

// {"data": [{"id": …}]}: the first id, or nothing.
std::string FirstModel(std::string_view body) {
  const Result<Json> json = ParseJsonObject(body);
  if (!json) return {};
  const auto data = json->find("data");
  if (data == json->end() || !data->is_array() || data->empty() || !data->front().is_object()) return {};
  const auto id = data->front().find("id");
  return id != data->front().end() && id->is_string() ? id->get<std::string>() : std::string();
}

}  // namespace

Result<std::string> ApiBase(const std::string& server_url) {
  std::string url(Trimmed(server_url));
  if (url.find("://") == std::string::npos) url = "http://" + url;
  while (url.ends_with('/')) url.pop_back();
  const std::size_t host = url.find("://") + 3;
  const bool is_http = url.starts_with("http://") || url.starts_with("https://");
  if (!is_http || url.size() <= host || url.find_first_of(" \t\r\n?#") != std::string::npos) {
    return InvalidArgument(fmt::format("--server-url {} is no address such as http://localhost:8080", ForMessage(server_url)));
  }
  return url.ends_with("/v1") ? url : url + "/v1";
}

std::string ChatRequestBody(const std::string& model, const std::vector<ChatMessage>& messages, const ChatSettings& settings) {
  Json body = Json::object();
  if (!model.empty()) body["model"] = model;
  body["messages"] = Json::array();
  for (const ChatMessage& message : messages) {
    body["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  body.update(settings.fields());
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  return Dump(body);
}

RemoteAnswerer::RemoteAnswerer(std::string base, std::string model, std::unique_ptr<HttpClient> http)
    : base_(std::move(base)), model_(std::move(model)), http_(std::move(http)) {}

Result<std::unique_ptr<RemoteAnswerer>> RemoteAnswerer::Connect(const Target& target, Interrupts& interrupts) {
  Result<std::string> base = ApiBase(target.server_url);
  if (!base) return std::unexpected(base.error());
  auto http = HttpClient::Create(target.api_key, interrupts);
  if (!http) return std::unexpected(http.error());
  std::unique_ptr<RemoteAnswerer> answerer(new RemoteAnswerer(std::move(*base), target.model, std::move(*http)));
  if (const Status status = answerer->TakeModelName(); !status) return std::unexpected(status.error());
  return answerer;
}

Status RemoteAnswerer::TakeModelName() {
  std::string body;
  const auto response = http_->Send(
      {.url = base_ + "/models", .body = {}, .timeout_s = kModelListTimeoutS},
      [&](int, std::string_view bytes) -> Status {
        AddWithin(body, bytes, kMostModelListBytes);
        return {};
      },
      [&] { return body.size() >= kMostModelListBytes; });
  if (!response) return std::unexpected(response.error());
  if (response->interrupted) return Fail(ErrorCode::kCancelled, "interrupted");
  const bool has_no_list = response->status == 404 || response->status == 405 || response->status == 501;
  if (!IsSuccess(response->status) && !has_no_list) return std::unexpected(ErrorOf(response->status, body));
  if (model_.empty() && !has_no_list) model_ = FirstModel(body);
  return {};
}

std::string RemoteAnswerer::Name() const {
  return fmt::format("{} at {}", model_.empty() ? "the server's model" : ForMessage(model_), base_);
}

Result<AnswerSummary> RemoteAnswerer::Ask(const std::vector<ChatMessage>& messages, const ChatSettings& settings, const OnText& on_text) {
  CompletionStream stream;
  std::string error_body;
  const Clock::time_point asked = Clock::now();
  Clock::time_point first;
  Clock::time_point last = asked;
  const auto take_text = [&](std::string_view text) {
    last = Clock::now();
    if (first == Clock::time_point()) first = last;
    return on_text(text);
  };
  const auto response = http_->Send(
      {.url = base_ + "/chat/completions", .body = ChatRequestBody(model_, messages, settings), .timeout_s = {}},
      [&](int status, std::string_view bytes) -> Status {
        if (IsSuccess(status)) return stream.Push(bytes, take_text);
        AddWithin(error_body, bytes, kMostErrorBytes);
        return {};
      },
      [&] { return stream.done() || error_body.size() >= kMostErrorBytes; });
  if (!response) return std::unexpected(response.error());
  AnswerSummary summary;
  summary.interrupted = response->interrupted;
  if (summary.interrupted) return summary;
  if (!IsSuccess(response->status)) return std::unexpected(ErrorOf(response->status, error_body));
  if (const Status status = stream.Finish(); !status) return std::unexpected(status.error());
  summary.cut = stream.cut();
  summary.prompt_tokens = stream.prompt_tokens();
  summary.generated_tokens = stream.generated_tokens();
  summary.prompt_s = SecondsBetween(asked, first == Clock::time_point() ? last : first);
  summary.answer_s = first == Clock::time_point() ? 0 : SecondsBetween(first, last);
  return summary;
}

}  // namespace cllm
