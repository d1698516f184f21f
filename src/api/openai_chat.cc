#include "api/openai_chat.h"

#include <map>
#include <set>
#include <string>

#include <fmt/format.h>

#include "api/body_frame.h"
#include "api/chat_messages.h"
#include "api/constraint_fields.h"
#include "api/error_body.h"
#include "api/json_object.h"
#include "api/model_name.h"
#include "api/openai_fields.h"
#include "api/sampling_fields.h"
#include "api/schema_words.h"
#include "api/tool_fields.h"

namespace cllm {
namespace {

Json LogprobsObject(const std::vector<TokenText>& tokens) { return {{"content", LogprobEntries(tokens)}, {"refusal", nullptr}}; }

constexpr const char* kChunk = "chat.completion.chunk";

class ChatWriter : public AnswerWriter {
 public:
  struct Settings {
    bool logprobs = false;
    bool shows_reasoning = true;
    bool speaks_of_functions = false;  // as ToolSettings has it
    bool shows_raw = false;
    LlamaProgress progress = {};
    std::optional<int> prompt_logprobs = {};
  };
  ChatWriter(ModelCard model, Settings settings, StreamSettings stream)
      : envelope_("chatcmpl-", std::move(model), stream), settings_(settings) {}

  const std::string& id() const override { return envelope_.id(); }

  std::string StreamDelta(const TextDelta& delta) override {
    std::string frames = Opening(delta.choice, {.prompt = delta.counts.prompt, .cached = delta.counts.cached});
    Json fields = Json::object();
    if (!delta.reasoning.empty() && settings_.shows_reasoning) fields["reasoning_content"] = delta.reasoning;
    if (!delta.text.empty() || delta.empty()) fields["content"] = delta.text;
    if (!delta.calls.empty()) AddCallPieces(delta, fields);
    if (settings_.shows_raw) raw_[delta.choice] += delta.raw;
    if (fields.empty()) return frames;
    Json others = Json::object();
    settings_.progress.AddTo(others, delta);
    return frames + Chunk(delta.choice, std::move(fields), LogprobsOf(delta), delta.counts, others);
  }

  std::string StreamEnd(const GenerationEnd& end) override {
    if (!end.status) return SseFrame(OpenAiErrorBody(end.status.error()));
    const TokenCounts counts = CountsOf(end);
    std::string frames;
    for (int choice = 0; choice < end.choices(); ++choice) {
      frames += Opening(choice, counts);
      Json last{{"index", choice},
                {"delta", Json::object()},
                {"logprobs", nullptr},
                {"finish_reason", ReasonOf(end.reason_of(choice), calling_.contains(choice))}};
      if (settings_.shows_raw) last["raw_text"] = raw_[choice];
      Json others = Json::object();
      settings_.progress.AddTo(others, end.of(choice));
      frames += envelope_.Chunk(kChunk, std::move(last), counts, others);
    }
    Json others = Json::object();
    settings_.progress.AddTo(others, end);
    return frames + envelope_.End(kChunk, end, others);
  }

  std::string Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) override {
    Json body = envelope_.Object("chat.completion");
    body["choices"] = Json::array();
    for (const TextDelta& answer : answers) {
      Json choice{{"index", answer.choice},
                  {"message", MessageOf(answer)},
                  {"logprobs", LogprobsOf(answer)},
                  {"finish_reason", ReasonOf(end.reason_of(answer.choice), !answer.calls.empty())}};
      if (settings_.shows_raw) choice["raw_text"] = answer.raw;
      body["choices"].push_back(std::move(choice));
    }
    // Of all answers to the prompt they are the same.
    if (settings_.prompt_logprobs) body["prompt_logprobs"] = PromptLogprobs(answers.front().prompt, *settings_.prompt_logprobs);
    body["usage"] = UsageObject(end);
    body["seed"] = SeedShown(end.seed);
    settings_.progress.AddTo(body, end);
    return Dump(body);
  }

 private:
  Json LogprobsOf(const TextDelta& delta) const { return settings_.logprobs ? LogprobsObject(delta.tokens) : Json(nullptr); }

  std::string ReasonOf(FinishReason reason, bool calls) const {
    if (!calls || reason == FinishReason::kLength) return OpenAiFinishReason(reason);
    return settings_.speaks_of_functions ? "function_call" : "tool_calls";
  }

  Json MessageOf(const TextDelta& answer) const {
    Json message{{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}};
    if (!answer.reasoning.empty() && settings_.shows_reasoning) message["reasoning_content"] = answer.reasoning;
    if (answer.calls.empty()) return message;
    if (answer.text.empty()) message["content"] = nullptr;
    if (settings_.speaks_of_functions) {
      message["function_call"] = {{"name", answer.calls.front().call_name}, {"arguments", answer.calls.front().text}};
      return message;
    }
    for (const AnswerPart& call : answer.calls) {
      message["tool_calls"].push_back(
          {{"id", call.call_id}, {"type", "function"}, {"function", {{"name", call.call_name}, {"arguments", call.text}}}});
    }
    return message;
  }

  // The name comes first, with what there is of the arguments; then further pieces of them.
  void AddCallPieces(const TextDelta& delta, Json& fields) {
    calling_.insert(delta.choice);
    for (const AnswerPart& piece : delta.calls) {
      Json function = Json::object();
      if (!piece.call_name.empty()) function["name"] = piece.call_name;
      function["arguments"] = piece.text;
      if (settings_.speaks_of_functions) {
        fields["function_call"] = std::move(function);
        continue;
      }
      Json call{{"index", piece.call}};
      if (!piece.call_id.empty()) call["id"] = piece.call_id;
      if (!piece.call_name.empty()) call["type"] = "function";
      call["function"] = std::move(function);
      fields["tool_calls"].push_back(std::move(call));
    }
  }

  // OpenAI's first chunk of a choice names the role before any text.
  std::string Opening(int choice, const TokenCounts& counts) {
    if (!opened_.insert(choice).second) return {};
    return Chunk(choice, {{"role", "assistant"}, {"content", ""}}, nullptr, counts);
  }

  std::string Chunk(int choice, Json delta, Json logprobs, const TokenCounts& counts, const Json& others = Json::object()) const {
    Json piece{{"index", choice}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}, {"finish_reason", nullptr}};
    return envelope_.Chunk(kChunk, std::move(piece), counts, others);
  }

  OpenAiEnvelope envelope_;
  Settings settings_;
  std::map<int, std::string> raw_;  // by choice
  std::set<int> opened_;            // choices
  std::set<int> calling_;           // choices with calls
};

// logprobs is a switch here, top_logprobs the number of alternatives.
bool ReadLogprobs(JsonObject& object, SamplingParams& sampling) {
  const bool wanted = object.Bool("logprobs").value_or(false);
  const auto top = object.Int("top_logprobs", 0, kMostTopLogprobs);
  if (top.value_or(0) > 0 && !wanted) object.Reject("top_logprobs", "top_logprobs needs logprobs to be true");
  if (wanted) sampling.top_logprobs = static_cast<std::int32_t>(top.value_or(0));
  return wanted;
}

Json ChatFinishSchema() { return words::Enum({"stop", "length", "tool_calls", "function_call"}); }

Json CalledFunctionSchema() { return words::Record({{"name", words::String()}, {"arguments", words::String()}}); }

Json ChatMessageSchema() {
  const Json call = words::Record({{"id", words::String()}, {"type", words::Const("function")}, {"function", CalledFunctionSchema()}});
  return words::Record(
      {{"role", words::Const("assistant")}, {"content", words::OrNull(words::String())}, {"refusal", words::Null()}},
      {{"reasoning_content", words::String()}, {"tool_calls", words::ListOf(call)}, {"function_call", CalledFunctionSchema()}});
}

// A piece of a message.
Json ChatDeltaSchema() {
  const Json function = words::Record({{"arguments", words::String()}}, {{"name", words::String()}});
  const Json call =
      words::Record({{"index", words::Integer()}, {"function", function}}, {{"id", words::String()}, {"type", words::Const("function")}});
  return words::Record({}, {{"role", words::Const("assistant")},
                            {"content", words::String()},
                            {"reasoning_content", words::String()},
                            {"tool_calls", words::ListOf(call)},
                            {"function_call", function}});
}

// A choice with its text under `name`.
Json ChatChoiceSchema(const char* name, Json text, Json finish_reason) {
  const Json logprobs = words::Record({{"content", words::ListOf(TokenLogprobSchema())}, {"refusal", words::Null()}});
  return words::Record({{"index", words::Integer()},
                        {name, std::move(text)},
                        {"logprobs", words::OrNull(logprobs)},
                        {"finish_reason", std::move(finish_reason)}},
                       {{"raw_text", words::String()}});
}

}  // namespace

ChatPrompt ReadTemplateFields(JsonObject& object) {
  ChatPrompt prompt = ReadChatPrompt(object);
  GenerateRequest unused;
  ReadTools(object, unused, prompt);
  return prompt;
}

Result<OpenAiChatDialect::Read> OpenAiChatDialect::ReadFields(JsonObject& object, ParsedCall& call) const {
  Read read;
  bool hides_thoughts = false;
  ChatPrompt prompt = ReadChatPrompt(object, &hides_thoughts);
  read.tools = ReadTools(object, call.request, prompt);
  ReadModelName(object);
  ReadMaxTokens(object, {"max_completion_tokens", "max_tokens", "n_predict", "max_new_tokens"}, call.request);
  if (defaults_.max_tokens > 0) call.request.default_max_tokens = defaults_.max_tokens;
  ApplyDefaults(defaults_, call.request);
  ReadSamplingFields(object, call.request);
  ReadConstraint(object, call.request);
  prompt.is_constrained = call.request.constraint.has_value();
  call.request.prompt = std::move(prompt);
  read.logprobs = ReadLogprobs(object, call.request.sampling);
  read.shows_reasoning = object.Bool("include_reasoning").value_or(true) && !hides_thoughts;
  call.request.wants_raw = object.Bool("return_raw").value_or(false);
  read.stream = ReadStreamFields(object);
  call.stream = read.stream.stream;
  read.progress = ReadLlamaProgress(object, call.stream, call.request);
  call.request.prompt_logprobs = ReadPromptLogprobs(object, call.stream);
  ReadChoices(object, 1, call);
  PrepareBestOf(object, call);
  if (const Status status = object.Finish(ChatFields()); !status) return std::unexpected(status.error());
  return read;
}

Result<ParsedCall> OpenAiChatDialect::Parse(std::string_view body, const StopCheck& stop) const {
  return ReadBody<ParsedCall>(body, stop, defaults_, [&](JsonObject& object, ParsedCall& call) -> Status {
    const Result<Read> read = ReadFields(object, call);
    if (!read) return std::unexpected(read.error());
    call.relaxed_schema = read->tools.relaxed;
    call.writer = std::make_unique<ChatWriter>(model_,
                                               ChatWriter::Settings{.logprobs = read->logprobs,
                                                                    .shows_reasoning = read->shows_reasoning,
                                                                    .speaks_of_functions = read->tools.speaks_of_functions,
                                                                    .shows_raw = call.request.wants_raw,
                                                                    .progress = read->progress,
                                                                    .prompt_logprobs = call.request.prompt_logprobs},
                                               read->stream);
    return {};
  });
}

Operation OpenAiChatDialect::Describe() const {
  const auto read = [this](JsonObject& object, ParsedCall& call) { return ReadFields(object, call); };
  const words::Members beside{{"timings", LlamaProgress::TimingsSchema()}, {"prompt_logprobs", PromptLogprobsSchema()}};
  const words::Members progress{{"timings", LlamaProgress::TimingsSchema()}, {"prompt_progress", LlamaProgress::PromptSchema()}};
  return {.request = DescribeBody<ParsedCall>(defaults_, read),
          .answer = EnvelopeSchema("chat.completion", ChatChoiceSchema("message", ChatMessageSchema(), ChatFinishSchema()), true, beside),
          .frame = StreamSchema(kChunk, ChatChoiceSchema("delta", ChatDeltaSchema(), words::OrNull(ChatFinishSchema())), progress),
          .ends_with_done = true,
          .takes_calls = true};
}

Result<ChunkedText> ApplyTemplateBody(const TextModel& model, std::string_view body, const WorkLimits& limits) {
  const auto answer = [&](const ChatPrompt& prompt) -> Result<ChunkedText> {
    const Result<std::string> text = model.RenderChat(prompt, limits.stop);
    if (!text) return std::unexpected(text.error());
    return ChunkedText(Dump(Json{{"prompt", *text}}));
  };
  return AnswerBody(body, limits, ReadTemplateFields, answer, ChatFields());
}

Operation DescribeApplyTemplate() {
  return {.request = DescribeBodyOf(ReadTemplateFields, ChatFields()), .answer = words::Record({{"prompt", words::String()}})};
}

}  // namespace cllm
