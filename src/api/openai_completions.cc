#include "api/openai_completions.h"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "api/constraint_fields.h"
#include "api/error_body.h"
#include "api/json_object.h"
#include "api/openai_fields.h"
#include "api/prompt_fields.h"
#include "api/sampling_fields.h"
#include "api/schema_words.h"
#include "base/utf8.h"

namespace cllm {
namespace {

constexpr std::int64_t kMostLogprobs = 5;    // OpenAI's bound
constexpr int kOpenAiDefaultMaxTokens = 16;  // OpenAI's default for this endpoint

// A token as OpenAI's legacy log-probabilities name it: its text, or its bytes where they are no text by themselves.
std::string LegacyName(const std::string& bytes) {
  if (IsValidUtf8(bytes)) return bytes;
  std::string name = "bytes:";
  for (const unsigned char byte : bytes) name += fmt::format("\\x{:02x}", byte);
  return name;
}

// The most likely tokens and, as OpenAI has it, the chosen one, whose name is `chosen`. Where two tokens have the same text, each
// has an entry of its own, and the text stays with the chosen one.
Json TopLogprobs(const TokenText& token, const std::string& chosen) {
  Json top = Json::object();
  for (std::size_t i = 0; i < token.token.top.size(); ++i) {
    const auto& [id, logprob] = token.token.top[i];
    std::string name = LegacyName(token.top_bytes[i]);
    const bool is_taken = name == chosen || top.contains(name);
    if (id != token.token.token && is_taken) name = fmt::format("token_id:{}", id);
    top[name] = logprob;
  }
  top[chosen] = token.token.logprob;
  return top;
}

// The log-probabilities of one answer that comes in pieces. text_offset is where in the answer, in characters, a token's text
// begins; tokens that share a character begin there together.
class LegacyLogprobs {
 public:
  // Parallel arrays, one entry a token.
  Json Next(const std::vector<TokenText>& tokens) {
    Json texts = Json::array();
    Json logprobs = Json::array();
    Json tops = Json::array();
    Json offsets = Json::array();
    for (const TokenText& token : tokens) {
      std::string name = LegacyName(token.bytes);
      logprobs.push_back(token.token.logprob);
      tops.push_back(TopLogprobs(token, name));
      texts.push_back(std::move(name));
      offsets.push_back(offset_);
      if (token.in_text) offset_ += Characters(assembler_.Push(token.bytes));
    }
    return {{"tokens", texts}, {"token_logprobs", logprobs}, {"top_logprobs", tops}, {"text_offset", offsets}};
  }

 private:
  static std::size_t Characters(const std::string& text) {
    return static_cast<std::size_t>(std::ranges::count_if(text, [](unsigned char byte) { return (byte & 0xC0) != 0x80; }));
  }

  Utf8Assembler assembler_;
  std::size_t offset_ = 0;
};

constexpr const char* kObject = "text_completion";

class CompletionsWriter : public AnswerWriter {
 public:
  CompletionsWriter(ModelCard model, bool logprobs, StreamSettings stream)
      : envelope_("cmpl-", std::move(model), stream), logprobs_(logprobs) {}

  const std::string& id() const override { return envelope_.id(); }

  std::string StreamDelta(const TextDelta& delta) override { return envelope_.Chunk(kObject, Choice(delta, nullptr), delta.counts); }

  std::string StreamEnd(const GenerationEnd& end) override {
    if (!end.status) return SseFrame(OpenAiErrorBody(end.status.error()));
    const TokenCounts counts{.prompt = end.prompt_tokens, .cached = end.cached_tokens, .generated = end.generated_tokens};
    std::string frames;
    for (int choice = 0; choice < end.choices(); ++choice) {
      Json last = Choice({.text = {}, .tokens = {}, .choice = choice}, OpenAiFinishReason(end.reason_of(choice)));
      frames += envelope_.Chunk(kObject, std::move(last), counts);
    }
    return frames + envelope_.End(kObject, end);
  }

  std::string Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) override {
    Json body = envelope_.Object(kObject);
    body["choices"] = Json::array();
    for (const TextDelta& answer : answers) {
      body["choices"].push_back(Choice(answer, OpenAiFinishReason(end.reason_of(answer.choice))));
    }
    body["usage"] = UsageObject(end);
    body["seed"] = SeedShown(end.seed);
    return Dump(body);
  }

 private:
  Json Choice(const TextDelta& delta, Json finish_reason) {
    return {{"text", delta.text},
            {"index", delta.choice},
            {"logprobs", logprobs_ ? logprobs_of_[delta.choice].Next(delta.tokens) : Json(nullptr)},
            {"finish_reason", std::move(finish_reason)}};
  }

  OpenAiEnvelope envelope_;
  bool logprobs_;
  std::map<int, LegacyLogprobs> logprobs_of_;  // by choice
};

// How many alternatives are shown; nothing where log-probabilities are not wanted. false is how chats say so.
std::optional<std::int64_t> ReadLogprobsCount(JsonObject& object) {
  const auto schema = [] { return words::AnyOf({words::Const(false), words::Integer(0, kMostLogprobs)}); };
  if (const Json* logprobs = object.Any("logprobs", schema); logprobs != nullptr && *logprobs == false) return std::nullopt;
  return object.Int("logprobs", 0, kMostLogprobs);
}

Json CompletionFinishSchema() { return words::Enum({"stop", "length"}); }

Json CompletionChoiceSchema(Json finish_reason) {
  Json numbers = words::AnyObject();
  numbers["additionalProperties"] = words::Number();
  const Json logprobs = words::Record({{"tokens", words::ListOf(words::String())},
                                       {"token_logprobs", words::ListOf(words::Number())},
                                       {"top_logprobs", words::ListOf(std::move(numbers))},
                                       {"text_offset", words::ListOf(words::Integer())}});
  return words::Record({{"text", words::String()},
                        {"index", words::Integer()},
                        {"logprobs", words::OrNull(logprobs)},
                        {"finish_reason", std::move(finish_reason)}});
}

}  // namespace

Result<OpenAiCompletionsDialect::Read> OpenAiCompletionsDialect::ReadFields(JsonObject& object, ParsedCall& call) const {
  ReadPrompts(object, call);
  object.String("model");
  ReadChoices(object, 1 + static_cast<int>(call.further_prompts.size()), call);
  ReadMaxTokens(object, {"max_tokens", "max_completion_tokens", "n_predict", "max_new_tokens"}, call.request);
  call.request.default_max_tokens = defaults_.max_tokens > 0 ? defaults_.max_tokens : kOpenAiDefaultMaxTokens;
  ApplyDefaults(defaults_, call.request);
  ReadSamplingFields(object, call.request);
  ReadConstraint(object, call.request);
  const auto logprobs = ReadLogprobsCount(object);
  if (logprobs) call.request.sampling.top_logprobs = static_cast<std::int32_t>(*logprobs);
  call.request.echo = object.Bool("echo").value_or(false);
  if (call.request.echo && logprobs) object.Reject("echo", "echo with logprobs is not supported yet");
  const StreamSettings stream = ReadStreamFields(object);
  call.stream = stream.stream;
  PrepareBestOf(object, call);
  if (const Status status = object.Finish(CompletionFields()); !status) return std::unexpected(status.error());
  return Read{.logprobs = logprobs.has_value(), .stream = stream};
}

Result<ParsedCall> OpenAiCompletionsDialect::Parse(std::string_view body, const StopCheck& stop) const {
  return ReadBody<ParsedCall>(body, stop, defaults_, [&](JsonObject& object, ParsedCall& call) -> Status {
    const Result<Read> read = ReadFields(object, call);
    if (!read) return std::unexpected(read.error());
    call.writer = std::make_unique<CompletionsWriter>(model_, read->logprobs, read->stream);
    return {};
  });
}

Operation OpenAiCompletionsDialect::Describe() const {
  const auto read = [this](JsonObject& object) {
    ParsedCall unused;
    static_cast<void>(ReadFields(object, unused));
  };
  return {.request = DescribeBody(read, defaults_),
          .answer = EnvelopeSchema(kObject, CompletionChoiceSchema(CompletionFinishSchema()), true),
          .frame = StreamSchema(kObject, CompletionChoiceSchema(words::OrNull(CompletionFinishSchema()))),
          .ends_with_done = true,
          .takes_calls = true};
}

}  // namespace cllm
