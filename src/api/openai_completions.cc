#include "api/openai_completions.h"

#include <ctime>
#include <map>

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
    std::string frames;
    for (int choice = 0; choice < end.choices(); ++choice) {
      frames += Chunk({.text = {}, .tokens = {}, .choice = choice}, OpenAiFinishReason(end.reason_of(choice)));
    }
    if (include_usage_) {
      Json chunk = Envelope();
      chunk["choices"] = Json::array();
      chunk["usage"] = UsageObject(end);
      frames += SseFrame(Dump(chunk));
    }
    return frames + SseFrame("[DONE]");
  }

  std::string Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) override {
    Json body = Envelope();
    body["choices"] = Json::array();
    for (const TextDelta& answer : answers) {
      body["choices"].push_back(Choice(answer, OpenAiFinishReason(end.reason_of(answer.choice))));
    }
    body["usage"] = UsageObject(end);
    body["seed"] = end.seed;
    return Dump(body);
  }

 private:
  Json Envelope() const { return {{"id", id_}, {"object", "text_completion"}, {"created", created_}, {"model", model_}}; }

  Json Choice(const TextDelta& delta, Json finish_reason) {
    return {{"text", delta.text},
            {"index", delta.choice},
            {"logprobs", logprobs_ ? LogprobsObject(delta.tokens, text_offsets_[delta.choice]) : Json(nullptr)},
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
  std::map<int, std::size_t> text_offsets_;  // by choice
};

std::optional<std::vector<TokenId>> TokenList(const Json& json) {
  std::vector<TokenId> tokens;
  for (const Json& item : json) {
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() > std::numeric_limits<TokenId>::max()) return std::nullopt;
    tokens.push_back(item.get<TokenId>());
  }
  return tokens;
}

// A string or a list of token ids.
std::optional<Prompt> ReadOnePrompt(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (!json.is_array()) return std::nullopt;
  auto tokens = TokenList(json);
  if (!tokens) return std::nullopt;
  return std::move(*tokens);
}

// One prompt, or a list of prompts.
void ReadPrompts(JsonObject& object, ParsedCall& call) {
  const Json* json = object.Any("prompt");
  if (json == nullptr) return object.Reject("prompt", "prompt is missing");
  const bool is_list = json->is_array() && !json->empty() && ((*json)[0].is_string() || (*json)[0].is_array());
  if (!is_list) {
    std::optional<Prompt> prompt = ReadOnePrompt(*json);
    if (!prompt) return object.Reject("prompt", "prompt must be a string, an array of token ids, or an array of these");
    call.request.prompt = std::move(*prompt);
    return;
  }
  if (json->size() > kMostChoices) {
    return object.Reject("prompt", fmt::format("prompt has {} entries, more than {}", json->size(), kMostChoices));
  }
  for (std::size_t i = 0; i < json->size(); ++i) {
    std::optional<Prompt> prompt = ReadOnePrompt((*json)[i]);
    if (!prompt) return object.Reject("prompt", fmt::format("prompt[{}] must be a string or an array of token ids", i));
    if (i == 0) {
      call.request.prompt = std::move(*prompt);
    } else {
      call.further_prompts.push_back(std::move(*prompt));
    }
  }
}

}  // namespace

std::string OpenAiCompletionsDialect::ErrorBody(const Error& error) const { return OpenAiErrorBody(error); }

Result<ParsedCall> OpenAiCompletionsDialect::Parse(std::string_view body) const {
  const Result<Json> json = ParseJsonObject(body);
  if (!json) return std::unexpected(json.error());
  JsonObject object(*json);
  ParsedCall call;
  ReadPrompts(object, call);
  call.choices = ReadChoices(object, 1 + static_cast<int>(call.further_prompts.size()));
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
