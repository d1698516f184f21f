#include "api/ollama_dialect.h"

#include <limits>
#include <memory>

#include <fmt/format.h>

#include "api/chat_messages.h"
#include "api/constraint_fields.h"
#include "api/model_name.h"
#include "api/openai_fields.h"
#include "api/sampling_fields.h"
#include "api/schema_words.h"
#include "api/tool_fields.h"

namespace cllm {
namespace {

constexpr std::int64_t kMostTopTokens = 20;

// true, false or how much.
void ReadThink(JsonObject& object, ChatPrompt& prompt) {
  const Json* think = object.Any("think", [] { return words::AnyOf({words::Bool(), words::Enum({"", "low", "medium", "high", "max"})}); });
  if (think == nullptr || *think == "") return;
  if (think->is_boolean()) return SetTemplateArgument(object, "think", "enable_thinking", *think, prompt);
  for (const char* effort : {"low", "medium", "high", "max"}) {
    if (*think == effort) return SetTemplateArgument(object, "think", "reasoning_effort", *think, prompt);
  }
  object.Reject("think", "think must be true, false, low, medium, high or max");
}

// How long the model should stay loaded, which the server decides: seconds, or a duration in words. Says whether it is none at all.
bool ReadKeepAlive(JsonObject& object) {
  const Json* keep = object.Any("keep_alive", [] { return words::AnyOf({words::Number(), words::String()}); });
  if (keep == nullptr) return false;
  if (!keep->is_number() && !keep->is_string()) object.Reject("keep_alive", "keep_alive must be a number of seconds or a duration");
  return *keep == 0 || *keep == "0" || *keep == "0s" || *keep == "0m";
}

bool ReadOllamaLogprobs(JsonObject& object, SamplingParams& sampling) {
  const bool wanted = object.Bool("logprobs").value_or(false);
  const auto top = object.Int("top_logprobs", 0, kMostTopTokens);
  if (wanted || top.value_or(0) > 0) sampling.top_logprobs = static_cast<std::int32_t>(top.value_or(0));
  return wanted || top.value_or(0) > 0;
}

// Without messages a chat asks for nothing but its model.
bool HasMessages(JsonObject& object) {
  const Json* messages = object.Any("messages");
  return messages != nullptr && !(messages->is_array() && messages->empty());
}

// The prompt of /api/generate: a conversation of one message, or, where it is raw, what the model sees; or a gap before `suffix`.
Prompt ReadPrompt(JsonObject& object) {
  const std::string text = object.String("prompt").value_or("");
  const std::string suffix = object.String("suffix").value_or("");
  const auto system = object.String("system");
  const bool is_raw = object.Bool("raw").value_or(false);
  ChatPrompt chat;
  ReadThink(object, chat);
  if (is_raw && system && !system->empty()) object.Reject("system", "system has no place in a raw prompt");
  if (!suffix.empty()) return GapPrompt{.prefix = text, .suffix = suffix};
  if (is_raw) return text;
  if (system && !system->empty()) chat.messages.push_back({.role = "system", .content = *system});
  chat.messages.push_back({.role = "user", .content = text});
  return chat;
}

bool AsksForNothing(const Prompt& prompt) {
  const auto* text = std::get_if<std::string>(&prompt);
  const auto* chat = std::get_if<ChatPrompt>(&prompt);
  return text != nullptr ? text->empty() : chat != nullptr && chat->messages.back().content.empty();
}

}  // namespace

// One by one: what changes an answer is obeyed or refused.
void OllamaDialect::ReadOptions(JsonObject& object, GenerateRequest& request) const {
  object.Object("options", OllamaOptionFields(), [&](JsonObject& options) {
    ReadSamplingFields(options, request);
    const auto context = options.Int("num_ctx", 0, std::numeric_limits<std::int32_t>::max());
    if (context > max_context_) {
      options.Reject("num_ctx", fmt::format("options.num_ctx {} is more than the {} tokens that this server gives a request "
                                            "(model.max_context_length)",
                                            *context, max_context_));
    }
    // Both of Ollama's negative numbers, and 0, mean that nothing but the context bounds the answer.
    const auto most = options.Int("num_predict", -2, kMostTokensField);
    if (most) request.max_tokens = *most <= 0 ? kUntilContextEnd : static_cast<int>(std::min<std::int64_t>(*most, 1 << 30));
  });
}

Result<OllamaDialect::Read> OllamaDialect::ReadFields(JsonObject& object, ParsedCall& call) const {
  Read read{.writer = {.form = form_}};
  ApplyDefaults(defaults_, call.request);
  if (defaults_.max_tokens > 0) call.request.default_max_tokens = defaults_.max_tokens;
  read.writer.model = ReadModelName(object).value_or("");
  if (form_ == OllamaForm::kGenerate) {
    call.request.prompt = ReadPrompt(object);
    read.is_load = AsksForNothing(call.request.prompt);
  } else if (object.Any("messages"); !HasMessages(object)) {
    ChatPrompt unused;  // a client may say how it will chat when it has the model loaded
    ReadTools(object, call.request, unused);
    ReadThink(object, unused);
    read.is_load = true;
  } else {
    ChatPrompt prompt = ReadChatPrompt(object);
    call.relaxed_schema = ReadTools(object, call.request, prompt).relaxed;
    ReadThink(object, prompt);
    call.request.prompt = std::move(prompt);
  }
  // As some clients write them, beside `options`, which count where both are there.
  ReadSamplingFields(object, call.request);
  ReadMaxTokens(object, {"max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens"}, call.request);
  ReadOptions(object, call.request);
  ReadBareFormat(object, "format", call.request);
  if (auto* prompt = std::get_if<ChatPrompt>(&call.request.prompt)) prompt->is_constrained = call.request.constraint.has_value();
  read.is_unload = ReadKeepAlive(object);
  read.writer.logprobs = ReadOllamaLogprobs(object, call.request.sampling);
  call.stream = object.Bool("stream").value_or(true);
  if (const Status status = object.Finish(OllamaFields()); !status) return std::unexpected(status.error());
  return read;
}

Result<ParsedCall> OllamaDialect::Parse(std::string_view body, const StopCheck& stop) const {
  return ReadBody<ParsedCall>(body, stop, defaults_, [&](JsonObject& object, ParsedCall& call) -> Status {
    Result<Read> read = ReadFields(object, call);
    if (!read) return std::unexpected(read.error());
    call.asks_to_unload = read->is_load && read->is_unload;
    if (read->is_load) call.ready_answer = OllamaLoadedBody(form_, read->writer.model, read->is_unload ? "unload" : "load");
    call.writer = std::make_unique<OllamaWriter>(std::move(read->writer));
    return {};
  });
}

Operation OllamaDialect::Describe() const {
  const auto read = [this](JsonObject& object, ParsedCall& call) { return ReadFields(object, call); };
  return {.request = DescribeBody<ParsedCall>(defaults_, read),
          .answer = OllamaAnswerSchema(form_),
          .frame = OllamaLineSchema(form_),
          .stream_type = kLinesType,
          .takes_calls = true};
}

}  // namespace cllm
