#include "api/cllm_dialect.h"

#include "api/constraint_fields.h"
#include "api/error_body.h"
#include "api/json_object.h"
#include "api/openai_fields.h"
#include "api/sampling_fields.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

const char* ReasonName(FinishReason reason) { return reason == FinishReason::kLength ? "length" : "stop"; }

class CllmWriter : public AnswerWriter {
 public:
  const std::string& id() const override { return id_; }

  std::string StreamDelta(const TextDelta& delta) override {
    return SseFrame(Dump(Json{{"id", id_}, {"token", delta.text}, {"done", false}}));
  }

  std::string StreamEnd(const GenerationEnd& end) override {
    if (!end.status) {
      Json frame{{"id", id_}};
      frame["error"] = CllmErrorObject(end.status.error());
      frame["done"] = true;
      return SseFrame(Dump(frame));
    }
    Json frame{{"id", id_}, {"token", ""}, {"done", true}};
    AddEnd(end, frame);
    return SseFrame(Dump(frame));
  }

  std::string Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) override {
    const double rate = end.response_time_s > 0 ? end.generated_tokens / end.response_time_s : 0;
    Json data{{"id", id_}, {"response_time", end.response_time_s}, {"text", answers.at(0).text}, {"tokens_per_second", rate}};
    AddEnd(end, data);
    return Dump(Json{{"data", std::move(data)}, {"success", true}});
  }

 private:
  static void AddEnd(const GenerationEnd& end, Json& json) {
    json["generated_tokens"] = end.generated_tokens;
    json["prompt_tokens"] = end.prompt_tokens;
    json["finish_reason"] = ReasonName(end.reason);
    json["seed"] = SeedShown(end.seed);
    if (end.cut_max_tokens) json["max_tokens"] = *end.cut_max_tokens;
  }

  std::string id_ = RandomHexId();
};

words::Members GenerateEndMembers() {
  return {{"generated_tokens", words::Integer()},
          {"prompt_tokens", words::Integer()},
          {"finish_reason", words::Enum({"length", "stop"})},
          {"seed", words::Integer()}};
}

Json GenerateAnswerSchema() {
  words::Members data{
      {"id", words::String()}, {"response_time", words::Number()}, {"text", words::String()}, {"tokens_per_second", words::Number()}};
  for (auto& member : GenerateEndMembers()) data.push_back(std::move(member));
  return words::Record({{"data", words::Record(data, {{"max_tokens", words::Integer()}})}, {"success", words::Const(true)}});
}

Json GenerateFrameSchema() {
  const words::Members delta{{"id", words::String()}, {"token", words::String()}, {"done", words::Const(false)}};
  words::Members end{{"id", words::String()}, {"token", words::Const("")}, {"done", words::Const(true)}};
  for (auto& member : GenerateEndMembers()) end.push_back(std::move(member));
  const words::Members failure{{"id", words::String()}, {"error", CllmErrorSchema()}, {"done", words::Const(true)}};
  return words::AnyOf({words::Record(delta), words::Record(end, {{"max_tokens", words::Integer()}}), words::Record(failure)});
}

}  // namespace

Status CllmDialect::ReadFields(JsonObject& object, ParsedCall& call) const {
  object.Require("prompt");
  call.request.prompt = object.String("prompt").value_or("");
  ReadMaxTokens(object, {"max_tokens"}, call.request);
  call.request.default_max_tokens = defaults_.max_tokens > 0 ? defaults_.max_tokens : defaults_.generate_max_tokens;
  ApplyDefaults(defaults_, call.request);
  ReadSamplingFields(object, call.request);
  ReadConstraint(object, call.request);
  const bool always_streams = endpoint_ == Endpoint::kGenerateStream;
  if (always_streams) object.Any("stream", [] { return words::Const(true); });
  const auto stream = object.Bool("stream");
  call.stream = always_streams || stream.value_or(false);
  if (always_streams && stream == false) {
    object.Reject("stream", "this endpoint always streams: use /generate for a whole answer");
  }
  return object.Finish();
}

Result<ParsedCall> CllmDialect::Parse(std::string_view body, const StopCheck& stop) const {
  const Result<Json> json = ParseJsonObject(body, stop);
  if (!json) return std::unexpected(json.error());
  JsonObject object(*json);
  ParsedCall call;
  if (const Status status = ReadFields(object, call); !status) return std::unexpected(status.error());
  call.writer = std::make_unique<CllmWriter>();
  return call;
}

Operation CllmDialect::Describe() const {
  const auto read = [this](JsonObject& object, ParsedCall& call) { return ReadFields(object, call); };
  RequestDefaults defaults = defaults_;
  defaults.unknown_fields = "reject";
  Operation operation{.request = DescribeBody<ParsedCall>(defaults, read), .frame = GenerateFrameSchema(), .takes_calls = true};
  if (endpoint_ == Endpoint::kGenerate) operation.answer = GenerateAnswerSchema();
  return operation;
}

}  // namespace cllm
