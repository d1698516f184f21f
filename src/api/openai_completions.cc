#include "api/openai_completions.h"

#include <algorithm>
#include <map>
#include <optional>

#include "api/constraint_fields.h"
#include "api/error_body.h"
#include "api/json_object.h"
#include "api/legacy_logprobs.h"
#include "api/model_name.h"
#include "api/openai_fields.h"
#include "api/prompt_fields.h"
#include "api/sampling_fields.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

constexpr std::int64_t kMostLogprobs = 20;   // vLLM's bound
constexpr int kOpenAiDefaultMaxTokens = 16;  // OpenAI's default for this endpoint

constexpr const char* kObject = "text_completion";

class CompletionsWriter : public AnswerWriter {
 public:
  // How many alternatives are shown of each token, of the answer (and, where it is echoed, of the prompt) and in the field of that name.
  struct Settings {
    std::optional<int> logprobs;
    std::optional<int> prompt_logprobs;
  };
  CompletionsWriter(ModelCard model, Settings settings, StreamSettings stream)
      : envelope_("cmpl-", std::move(model), stream), settings_(settings) {}

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
      Json choice = Choice(answer, OpenAiFinishReason(end.reason_of(answer.choice)));
      if (settings_.prompt_logprobs) choice["prompt_logprobs"] = PromptLogprobs(answer.prompt, *settings_.prompt_logprobs);
      body["choices"].push_back(std::move(choice));
    }
    body["usage"] = UsageObject(end);
    body["seed"] = SeedShown(end.seed);
    return Dump(body);
  }

 private:
  Json Choice(const TextDelta& delta, Json finish_reason) {
    return {{"text", delta.text}, {"index", delta.choice}, {"logprobs", LogprobsOf(delta)}, {"finish_reason", std::move(finish_reason)}};
  }

  Json LogprobsOf(const TextDelta& delta) {
    if (!settings_.logprobs) return nullptr;
    return logprobs_of_.try_emplace(delta.choice, *settings_.logprobs).first->second.Next(delta);
  }

  OpenAiEnvelope envelope_;
  Settings settings_;
  std::map<int, LegacyLogprobs> logprobs_of_;  // by choice
};

// How many alternatives are shown; nothing where log-probabilities are not wanted. false is how chats say so.
std::optional<int> ReadLogprobsCount(JsonObject& object) {
  const auto schema = [] { return words::AnyOf({words::Const(false), words::Integer(0, kMostLogprobs)}); };
  if (const Json* logprobs = object.Any("logprobs", schema); logprobs != nullptr && *logprobs == false) return std::nullopt;
  const auto count = object.Int("logprobs", 0, kMostLogprobs);
  return count ? std::optional(static_cast<int>(*count)) : std::nullopt;
}

Json CompletionFinishSchema() { return words::Enum({"stop", "length"}); }

Json CompletionChoiceSchema(Json finish_reason) {
  return words::Record({{"text", words::String()},
                        {"index", words::Integer()},
                        {"logprobs", words::OrNull(LegacyLogprobsSchema())},
                        {"finish_reason", std::move(finish_reason)}},
                       {{"prompt_logprobs", PromptLogprobsSchema()}});
}

}  // namespace

Result<OpenAiCompletionsDialect::Read> OpenAiCompletionsDialect::ReadFields(JsonObject& object, ParsedCall& call) const {
  ReadPrompts(object, call);
  ReadModelName(object);
  ReadChoices(object, 1 + static_cast<int>(call.further_prompts.size()), call);
  ReadMaxTokens(object, {"max_tokens", "max_completion_tokens", "n_predict", "max_new_tokens"}, call.request, /*least=*/0);
  call.request.default_max_tokens = defaults_.max_tokens > 0 ? defaults_.max_tokens : kOpenAiDefaultMaxTokens;
  ApplyDefaults(defaults_, call.request);
  ReadSamplingFields(object, call.request);
  ReadConstraint(object, call.request);
  Read read{.logprobs = ReadLogprobsCount(object), .prompt_logprobs = {}, .stream = ReadStreamFields(object)};
  if (read.logprobs) call.request.sampling.top_logprobs = *read.logprobs;
  call.request.echo = object.Bool("echo").value_or(false);
  call.stream = read.stream.stream;
  read.prompt_logprobs = ReadPromptLogprobs(object, call.stream);
  call.request.prompt_logprobs = read.prompt_logprobs;
  if (call.request.echo && read.logprobs) {
    call.request.prompt_logprobs = std::max(*read.logprobs, read.prompt_logprobs.value_or(0));
    call.request.shows_stop_token = true;
    if (std::holds_alternative<GapPrompt>(call.request.prompt)) object.Reject("suffix", "suffix can't go with echo and logprobs");
  }
  PrepareBestOf(object, call);
  if (const Status status = object.Finish(CompletionFields()); !status) return std::unexpected(status.error());
  return read;
}

Result<ParsedCall> OpenAiCompletionsDialect::Parse(std::string_view body, const StopCheck& stop) const {
  return ReadBody<ParsedCall>(body, stop, defaults_, [&](JsonObject& object, ParsedCall& call) -> Status {
    const Result<Read> read = ReadFields(object, call);
    if (!read) return std::unexpected(read.error());
    const CompletionsWriter::Settings settings{.logprobs = read->logprobs, .prompt_logprobs = read->prompt_logprobs};
    call.writer = std::make_unique<CompletionsWriter>(model_, settings, read->stream);
    if (call.request.echo) {
      call.repeated_bytes = body.size() * static_cast<std::size_t>(call.choices) * (1 + call.further_prompts.size());
    }
    return {};
  });
}

Operation OpenAiCompletionsDialect::Describe() const {
  const auto read = [this](JsonObject& object, ParsedCall& call) { return ReadFields(object, call); };
  return {.request = DescribeBody<ParsedCall>(defaults_, read),
          .answer = EnvelopeSchema(kObject, CompletionChoiceSchema(CompletionFinishSchema()), true),
          .frame = StreamSchema(kObject, CompletionChoiceSchema(words::OrNull(CompletionFinishSchema()))),
          .ends_with_done = true,
          .takes_calls = true};
}

}  // namespace cllm
