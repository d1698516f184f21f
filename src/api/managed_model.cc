#include "api/managed_model.h"

#include "api/body_frame.h"
#include "api/json_object.h"
#include "api/model_name.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

std::string ReadModelField(JsonObject& object) {
  const auto model = ReadModelName(object);
  if (!model || model->empty()) object.Reject("model", "model is missing");
  return model.value_or("");
}

}  // namespace

Result<std::string> ReadManagedModel(std::string_view body) {
  const Result<Json> json = ParseJsonObject(body);
  if (!json) return std::unexpected(json.error());
  JsonObject object(*json, {}, nullptr);
  std::string model = ReadModelField(object);
  if (Status status = object.Finish({}); !status) return std::unexpected(status.error());
  return model;
}

std::string ManagedModelBody(const ListedModel& model) {
  return Dump(Json{{"data", {{"model", model.facts.card.id}, {"state", ModelStateName(model.state)}}}, {"success", true}});
}

Operation DescribeManagedModel() {
  const Json states = words::Enum({"unloaded", "queued", "loading", "loaded", "unloading", "failed"});
  const Json data = words::Record({{"model", words::String()}, {"state", states}});
  return {.request = DescribeBodyOf(ReadModelField), .answer = words::Record({{"data", data}, {"success", words::Bool()}})};
}

}  // namespace cllm
