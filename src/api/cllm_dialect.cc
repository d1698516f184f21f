#include "api/cllm_dialect.h"

#include "api/constraint_fields.h"
#include "api/error_body.h"
#include "api/json_object.h"
#include "api/sampling_fields.h"

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

}  // namespace

Result<ParsedCall> CllmDialect::Parse(std::string_view body, const StopCheck& stop) const {
  const Result<Json> json = ParseJsonObject(body, stop);
  if (!json) return std::unexpected(json.error());
  JsonObject object(*json);
  ParsedCall call;
  const auto prompt = object.String("prompt");
  if (!prompt && !object.Has("prompt")) object.Reject("prompt", "prompt is missing");
  call.request.prompt = prompt.value_or("");
  ReadMaxTokens(object, {"max_tokens"}, call.request);
  call.request.default_max_tokens = defaults_.max_tokens > 0 ? defaults_.max_tokens : defaults_.generate_max_tokens;
  ApplyDefaults(defaults_, call.request);
  ReadSamplingFields(object, call.request);
  ReadConstraint(object, call.request);
  const auto stream = object.Bool("stream");
  call.stream = endpoint_ == Endpoint::kGenerateStream || stream.value_or(false);
  if (endpoint_ == Endpoint::kGenerateStream && stream == false) {
    object.Reject("stream", "this endpoint always streams: use /generate for a whole answer");
  }
  if (const Status status = object.Finish(); !status) return std::unexpected(status.error());
  call.writer = std::make_unique<CllmWriter>();
  return call;
}

}  // namespace cllm
