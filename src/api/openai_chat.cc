#include "api/openai_chat.h"

#include <set>

#include <fmt/format.h>

#include "api/body_frame.h"
#include "api/chat_messages.h"
#include "api/error_body.h"
#include "api/json_object.h"
#include "api/openai_fields.h"
#include "api/sampling_fields.h"

namespace cllm {
namespace {

constexpr std::int64_t kMostTopLogprobs = 20;  // OpenAI's bound

Json LogprobEntry(const std::string& bytes, float logprob) {
  Json list = Json::array();
  for (const unsigned char byte : bytes) list.push_back(byte);
  return {{"token", TokenShown(bytes)}, {"logprob", logprob}, {"bytes", list}};
}

Json LogprobsObject(const std::vector<TokenText>& tokens) {
  Json content = Json::array();
  for (const TokenText& token : tokens) {
    Json entry = LogprobEntry(token.bytes, token.token.logprob);
    Json top = Json::array();
    for (std::size_t i = 0; i < token.token.top.size(); ++i) {
      top.push_back(LogprobEntry(token.top_bytes[i], token.token.top[i].logprob));
    }
    entry["top_logprobs"] = std::move(top);
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

constexpr const char* kChunk = "chat.completion.chunk";

class ChatWriter : public AnswerWriter {
 public:
  ChatWriter(ModelCard model, bool logprobs, StreamSettings stream)
      : envelope_("chatcmpl-", std::move(model), stream), logprobs_(logprobs) {}

  const std::string& id() const override { return envelope_.id(); }

  std::string StreamDelta(const TextDelta& delta) override {
    std::string frames = Opening(delta.choice, {.prompt = delta.counts.prompt, .cached = delta.counts.cached});
    return frames +
           Chunk(delta.choice, {{"content", delta.text}}, logprobs_ ? LogprobsObject(delta.tokens) : Json(nullptr), nullptr, delta.counts);
  }

  std::string StreamEnd(const GenerationEnd& end) override {
    if (!end.status) return SseFrame(OpenAiErrorBody(end.status.error()));
    const TokenCounts counts{.prompt = end.prompt_tokens, .cached = end.cached_tokens, .generated = end.generated_tokens};
    std::string frames;
    for (int choice = 0; choice < end.choices(); ++choice) {
      frames += Opening(choice, counts);
      frames += Chunk(choice, Json::object(), nullptr, OpenAiFinishReason(end.reason_of(choice)), counts);
    }
    return frames + envelope_.End(kChunk, end);
  }

  std::string Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) override {
    Json body = envelope_.Object("chat.completion");
    body["choices"] = Json::array();
    for (const TextDelta& answer : answers) {
      body["choices"].push_back({{"index", answer.choice},
                                 {"message", {{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}}},
                                 {"logprobs", logprobs_ ? LogprobsObject(answer.tokens) : Json(nullptr)},
                                 {"finish_reason", OpenAiFinishReason(end.reason_of(answer.choice))}});
    }
    body["usage"] = UsageObject(end);
    body["seed"] = SeedShown(end.seed);
    return Dump(body);
  }

 private:
  // OpenAI's first chunk of a choice names the role before any text.
  std::string Opening(int choice, const TokenCounts& counts) {
    if (!opened_.insert(choice).second) return {};
    return Chunk(choice, {{"role", "assistant"}, {"content", ""}}, nullptr, nullptr, counts);
  }

  std::string Chunk(int choice, Json delta, Json logprobs, Json finish_reason, const TokenCounts& counts) const {
    return envelope_.Chunk(
        kChunk,
        {{"index", choice}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}, {"finish_reason", std::move(finish_reason)}},
        counts);
  }

  OpenAiEnvelope envelope_;
  bool logprobs_;
  std::set<int> opened_;  // choices
};

// logprobs is a switch here, top_logprobs the number of alternatives.
bool ReadLogprobs(JsonObject& object, SamplingParams& sampling) {
  const bool wanted = object.Bool("logprobs").value_or(false);
  const auto top = object.Int("top_logprobs", 0, kMostTopLogprobs);
  if (top.value_or(0) > 0 && !wanted) object.Reject("top_logprobs", "top_logprobs needs logprobs to be true");
  if (wanted) sampling.top_logprobs = static_cast<std::int32_t>(top.value_or(0));
  return wanted;
}

}  // namespace

std::string OpenAiChatDialect::ErrorBody(const Error& error) const { return OpenAiErrorBody(error); }

Result<ParsedCall> OpenAiChatDialect::Parse(std::string_view body, const StopCheck& stop) const {
  const Result<Json> json = ParseJsonObject(body, stop);
  if (!json) return std::unexpected(json.error());
  IgnoredFields ignored;
  JsonObject object(*json, {}, defaults_.unknown_fields == "ignore" ? &ignored : nullptr);
  ParsedCall call;
  Result<ChatPrompt> prompt = ReadChatPrompt(object);
  if (!prompt) return std::unexpected(prompt.error());
  call.request.prompt = std::move(*prompt);
  object.String("model");
  ReadMaxTokens(object, {"max_completion_tokens", "max_tokens", "n_predict"}, call.request);
  if (defaults_.max_tokens > 0) call.request.default_max_tokens = defaults_.max_tokens;
  ApplyDefaults(defaults_, call.request);
  ReadSamplingFields(object, call.request);
  const bool logprobs = ReadLogprobs(object, call.request.sampling);
  const StreamSettings stream = ReadStreamFields(object);
  call.stream = stream.stream;
  ReadChoices(object, 1, call);
  PrepareBestOf(object, call);
  if (const Status status = object.Finish(ChatFields()); !status) return std::unexpected(status.error());
  call.writer = std::make_unique<ChatWriter>(model_, logprobs, stream);
  call.ignored_fields = ignored.Take();
  return call;
}

Result<ChunkedText> ApplyTemplateBody(const TextModel& model, std::string_view body, const WorkLimits& limits) {
  const auto read = [](JsonObject& object) {
    Result<ChatPrompt> prompt = ReadChatPrompt(object);
    if (prompt) return std::move(*prompt);
    object.Reject(std::move(prompt.error()));
    return ChatPrompt{};
  };
  const auto answer = [&](const ChatPrompt& prompt) -> Result<ChunkedText> {
    const Result<std::string> text = model.RenderChat(prompt, limits.stop);
    if (!text) return std::unexpected(text.error());
    return ChunkedText(Dump(Json{{"prompt", *text}}));
  };
  return AnswerBody(body, limits, read, answer, ChatFields());
}

}  // namespace cllm
