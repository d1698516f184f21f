#include "api/openai_completions.h"

#include <ctime>

#include <fmt/format.h>

#include "api/error_body.h"
#include "api/json_object.h"
#include "api/openai_fields.h"
#include "api/sampling_fields.h"

namespace cllm {
namespace {

constexpr std::int64_t kMostLogprobs = 5;    // OpenAI's bound
constexpr int kOpenAiDefaultMaxTokens = 16;  // OpenAI's default for this endpoint

// Parallel arrays, one entry a token; text_offset counts bytes of the answer.
Json LogprobsObject(const std::vector<TokenText>& tokens, std::size_t& offset) {
  Json texts = Json::array();
  Json logprobs = Json::array();
  Json tops = Json::array();
  Json offsets = Json::array();
  for (const TokenText& token : tokens) {
    texts.push_back(TokenShown(token.bytes));
    logprobs.push_back(token.token.logprob);
    Json top = Json::object();
    for (std::size_t i = 0; i < token.token.top.size(); ++i) {
      top[TokenShown(token.top_bytes[i])] = token.token.top[i].logprob;
    }
    tops.push_back(std::move(top));
    offsets.push_back(offset);
    offset += token.bytes.size();
  }
  return {{"tokens", texts}, {"token_logprobs", logprobs}, {"top_logprobs", tops}, {"text_offset", offsets}};
}

class CompletionsWriter : public AnswerWriter {
 public:
  CompletionsWriter(std::string model, bool logprobs, bool include_usage)
      : model_(std::move(model)), logprobs_(logprobs), include_usage_(include_usage) {}

  const std::string& id() const override { return id_; }

  std::string StreamDelta(const TextDelta& delta) override { return Chunk(delta, nullptr); }

  std::string StreamEnd(const GenerationEnd& end) override {
    if (!end.status) return SseFrame(OpenAiErrorBody(end.status.error()));
    std::string frames = Chunk({}, OpenAiFinishReason(end.reason));
    if (include_usage_) {
      Json chunk = Envelope();
      chunk["choices"] = Json::array();
      chunk["usage"] = UsageObject(end);
      frames += SseFrame(Dump(chunk));
    }
    return frames + SseFrame("[DONE]");
  }

  std::string Whole(const TextDelta& answer, const GenerationEnd& end) override {
    Json body = Envelope();
    body["choices"] = Json::array({Choice(answer, OpenAiFinishReason(end.reason))});
    body["usage"] = UsageObject(end);
    body["seed"] = end.seed;
    return Dump(body);
  }

 private:
  Json Envelope() const {
    return {{"id", id_}, {"object", "text_completion"}, {"created", created_}, {"model", model_}};
  }

  Json Choice(const TextDelta& delta, Json finish_reason) {
    return {{"text", delta.text},
            {"index", 0},
            {"logprobs", logprobs_ ? LogprobsObject(delta.tokens, text_offset_) : Json(nullptr)},
            {"finish_reason", std::move(finish_reason)}};
  }

  std::string Chunk(const TextDelta& delta, Json finish_reason) {
    Json chunk = Envelope();
    chunk["choices"] = Json::array({Choice(delta, std::move(finish_reason))});
    if (include_usage_) chunk["usage"] = nullptr;
    return SseFrame(Dump(chunk));
  }

  std::string id_ = "cmpl-" + RandomHexId();
  std::int64_t created_ = std::time(nullptr);
  std::string model_;
  bool logprobs_;
  bool include_usage_;
  std::size_t text_offset_ = 0;
};

std::optional<std::vector<TokenId>> TokenList(const Json& json) {
  std::vector<TokenId> tokens;
  for (const Json& item : json) {
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() > std::numeric_limits<TokenId>::max()) return std::nullopt;
    tokens.push_back(item.get<TokenId>());
  }
  return tokens;
}

// A string, a list of token ids, or a list with one of either.
void ReadPrompt(JsonObject& object, GenerateRequest& request) {
  const Json* json = object.Any("prompt");
  if (json == nullptr) return object.Reject("prompt", "prompt is missing");
  if (json->is_array() && json->size() == 1 && ((*json)[0].is_string() || (*json)[0].is_array())) json = &(*json)[0];
  if (json->is_string()) {
    request.prompt = json->get<std::string>();
    return;
  }
  if (json->is_array() && json->size() > 1 && ((*json)[0].is_string() || (*json)[0].is_array())) {
    return object.Reject("prompt", "more than one prompt in a request is not supported yet");
  }
  auto tokens = json->is_array() ? TokenList(*json) : std::nullopt;
  if (!tokens) return object.Reject("prompt", "prompt must be a string or an array of token ids");
  request.prompt = std::move(*tokens);
}

}  // namespace

std::string OpenAiCompletionsDialect::ErrorBody(const Error& error) const { return OpenAiErrorBody(error); }

Result<ParsedCall> OpenAiCompletionsDialect::Parse(std::string_view body) const {
  const Result<Json> json = ParseJsonObject(body);
  if (!json) return std::unexpected(json.error());
  JsonObject object(*json);
  ParsedCall call;
  ReadPrompt(object, call.request);
  ReadMaxTokens(object, {"max_tokens", "max_completion_tokens", "n_predict"}, call.request);
  call.request.default_max_tokens = defaults_.max_tokens > 0 ? defaults_.max_tokens : kOpenAiDefaultMaxTokens;
  call.request.sampling = defaults_.sampling;
  ReadSamplingFields(object, call.request);
  const auto logprobs = object.Int("logprobs", 0, kMostLogprobs);
  if (logprobs) call.request.sampling.top_logprobs = static_cast<std::int32_t>(*logprobs);
  const StreamSettings stream = ReadStreamFields(object);
  call.stream = stream.stream;
  ReadHintsAndUnsupported(object);
  if (const Status status = object.Finish(); !status) return std::unexpected(status.error());
  call.writer = std::make_unique<CompletionsWriter>(model_.id, logprobs.has_value(), stream.include_usage);
  return call;
}

}  // namespace cllm
