#include "chat/completion_stream.h"

#include <limits>

#include <fmt/format.h>

#include "api/json_object.h"
#include "chat/command.h"
#include "chat/terminal_text.h"

namespace cllm {
namespace {

constexpr std::size_t kMostBeginning = 64 << 10;

const Json* Member(const Json* json, const char* name) {
  if (json == nullptr || !json->is_object()) return nullptr;
  const auto found = json->find(name);
  return found == json->end() || found->is_null() ? nullptr : &*found;
}

const std::string* Text(const Json* json) { return json != nullptr && json->is_string() ? &json->get_ref<const std::string&>() : nullptr; }

std::optional<int> Count(const Json* json) {
  if (json == nullptr || !json->is_number_integer()) return std::nullopt;
  const auto value = json->get<std::int64_t>();
  if (value < 0 || value > std::numeric_limits<int>::max()) return std::nullopt;
  return static_cast<int>(value);
}

std::unexpected<Error> NoCompletion(std::string_view data) {
  return Fail(ErrorCode::kInternal, fmt::format("the server sent what is no chat completion: {}", ForMessage(data)));
}

std::string ErrorText(const Json& json) {
  for (const char* name : {"error", "detail", "message"}) {
    const Json* error = Member(&json, name);
    if (const std::string* text = Text(error)) return ForMessage(*text);
    if (const std::string* text = Text(Member(error, "message"))) return ForMessage(*text);
    if (error != nullptr) return ForMessage(Dump(*error));
  }
  return {};
}

}  // namespace

std::string ServerErrorText(std::string_view body) {
  const Result<Json> json = ParseJsonObject(body);
  std::string text = json ? ErrorText(*json) : std::string();
  return text.empty() ? ForMessage(Trimmed(body)) : text;
}

Status CompletionStream::Push(std::string_view bytes, const OnText& on_text) {
  if (!has_event_ && beginning_.size() < kMostBeginning) beginning_ += bytes.substr(0, kMostBeginning);
  return parser_.Push(bytes, [&](std::string_view data) {
    has_event_ = true;
    return Handle(data, on_text);
  });
}

Status CompletionStream::Handle(std::string_view data, const OnText& on_text) {
  if (done_) return {};
  if (data == "[DONE]") {
    done_ = true;
    return {};
  }
  const Result<Json> json = ParseJsonObject(data);
  if (!json) return NoCompletion(data);
  if (Member(&*json, "error") != nullptr) {
    return Fail(ErrorCode::kInternal, "the server says: " + ErrorText(*json));
  }
  const Json* usage = Member(&*json, "usage");
  if (const auto count = Count(Member(usage, "prompt_tokens"))) prompt_tokens_ = count;
  if (const auto count = Count(Member(usage, "completion_tokens"))) generated_tokens_ = count;
  const Json* choices = Member(&*json, "choices");
  if (choices == nullptr || !choices->is_array()) return usage != nullptr ? Status() : NoCompletion(data);
  if (choices->empty()) return {};
  const Json* choice = &choices->front();
  if (const std::string* reason = Text(Member(choice, "finish_reason"))) finish_reason_ = *reason;
  const std::string* text = Text(Member(Member(choice, "delta"), "content"));
  return text != nullptr && !text->empty() ? on_text(*text) : Status();
}

Status CompletionStream::Finish() const {
  if (done_ || !finish_reason_.empty()) return {};
  if (!has_event_ && !beginning_.empty()) return NoCompletion(ServerErrorText(beginning_));
  return Fail(ErrorCode::kUnavailable, "the server ended the connection before the answer was complete");
}

}  // namespace cllm
