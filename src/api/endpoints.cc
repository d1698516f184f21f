#include "api/endpoints.h"

#include <algorithm>
#include <variant>

#include <fmt/format.h>

#include "api/json_object.h"
#include "api/schema_words.h"
#include "base/machine.h"

namespace cllm {
namespace {

// Each figure at its place.
template <typename Fields, typename Stats>
void ShowStats(const Fields& fields, const Stats& stats, Json& data) {
  for (const auto& field : fields) {
    if (field.health.empty()) continue;
    const std::size_t dot = field.health.find('.');
    Json& place = data[field.health.substr(0, dot)][field.health.substr(dot + 1)];
    std::visit([&place](auto value) { place = value; }, field.Read(stats));
  }
}

double IdleShare(const EngineLoopStats& loop) {
  const std::int64_t busy_ns = loop.computing_ns + loop.idle_with_work_ns;
  return busy_ns > 0 ? static_cast<double>(loop.idle_with_work_ns) / static_cast<double>(busy_ns) : 0.0;
}

Json ModelObject(const ServerFacts& facts) {
  return {{"id", facts.card.id},
          {"path", facts.model_path},
          {"description", facts.model_description},
          {"parameters", facts.model_parameters},
          {"bytes", facts.model_bytes},
          {"trained_context", facts.trained_context},
          {"capabilities", facts.capabilities}};
}

// As OpenAI lists a model.
Json ModelEntry(const ListedModel& model) {
  const ServerFacts& facts = model.facts;
  return {{"id", facts.card.id},
          {"object", "model"},
          {"created", facts.card.created_unix_s},
          {"owned_by", "cllm"},
          {"capabilities", facts.capabilities},
          {"meta",
           {{"n_vocab", facts.vocab_size},
            {"n_ctx", model.max_context},
            {"n_ctx_train", facts.trained_context},
            {"n_embd", facts.embedding_size},
            {"n_params", facts.model_parameters},
            {"size", facts.model_bytes}}}};
}

std::string_view ReadinessName(Readiness readiness) {
  switch (readiness) {
    case Readiness::kHealthy:
      return "healthy";
    case Readiness::kLoading:
      return "loading";
    case Readiness::kDraining:
      return "draining";
    case Readiness::kStalled:
      break;
  }
  return "stalled";
}

Json HealthObject(Readiness readiness) {
  return {{"model_loaded", readiness != Readiness::kLoading}, {"status", ReadinessName(readiness)}};
}

Json Envelope(Readiness readiness, Json data) { return {{"data", std::move(data)}, {"success", readiness == Readiness::kHealthy}}; }

// The schemas of what is above.
words::Members HealthMembers() {
  return {{"model_loaded", words::Bool()}, {"status", words::Enum({"healthy", "loading", "draining", "stalled"})}};
}

Json SuccessSchema(Json data) { return words::Record({{"data", std::move(data)}, {"success", words::Bool()}}); }

Json ModelEntrySchema() {
  const Json count = words::Integer();
  const Json meta = words::Record(
      {{"n_vocab", count}, {"n_ctx", count}, {"n_ctx_train", count}, {"n_embd", count}, {"n_params", count}, {"size", count}});
  return words::Record({{"id", words::String()},
                        {"object", words::Const("model")},
                        {"created", count},
                        {"owned_by", words::Const("cllm")},
                        {"capabilities", words::ListOf(words::String())},
                        {"meta", meta}});
}

}  // namespace

std::string_view ModelStateName(ModelState state) {
  constexpr std::string_view kNames[] = {"unloaded", "queued", "loading", "loaded", "unloading", "failed"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string HealthBody(Readiness readiness) { return Dump(Envelope(readiness, HealthObject(readiness))); }

namespace {

void AddFigures(const ServerFacts& facts, const ServiceStats& stats, Json& data) {
  data["model"] = ModelObject(facts);
  data["engine"] = {{"name", facts.engine_name}, {"idle_with_work_share", IdleShare(stats.loop)}};
  data["queue"] = Json::object();
  data["kv"] = {{"capacity_tokens", facts.kv_tokens_capacity},
                {"bytes", stats.loop.kv_tokens * facts.kv_bytes_per_token},
                {"capacity_bytes", facts.kv_tokens_capacity * facts.kv_bytes_per_token}};
  ShowStats(kServiceStats, stats, data);
  ShowStats(kEngineLoopStats, stats.loop, data);
}

void AddFiguresOfProcess(const std::string& health, Json& entry) {
  const Json body = Json::parse(health, nullptr, false);
  if (!body.is_object() || !body.contains("data")) return;
  for (const char* name : {"model", "engine", "queue", "kv", "memory"}) {
    if (body["data"].contains(name)) entry[name] = body["data"][name];
  }
}

Json MemoryObject() { return {{"resident_bytes", ResidentMemoryBytes()}, {"available_bytes", AvailableMemoryBytes()}}; }

Json StateObject(const ListedModel& model) {
  Json entry{{"id", model.facts.card.id}, {"state", ModelStateName(model.state)}, {"waiting", model.waiting}};
  if (model.needed_bytes > 0) entry["needed_bytes"] = model.needed_bytes;
  if (model.state == ModelState::kLoading) entry["load_progress"] = model.load_progress;
  if (model.seconds_left > 0) entry["seconds_left"] = model.seconds_left;
  if (!model.problem.empty()) entry["problem"] = model.problem;
  return entry;
}

}  // namespace

std::string DetailedHealthBody(Readiness readiness, const ServerFacts& facts, const ServiceStats& stats) {
  Json data = HealthObject(readiness);
  data["version"] = facts.version;
  AddFigures(facts, stats, data);
  data["memory"] = MemoryObject();
  return Dump(Envelope(readiness, std::move(data)));
}

std::string DetailedHealthBody(Readiness readiness, const std::string& version, const ModelList& models,
                               const std::vector<LoadedModelStats>& loaded, const std::vector<ProcessFigures>& processes) {
  Json data = HealthObject(readiness);
  data["version"] = version;
  data["models"] = Json::array();
  for (const ListedModel& model : models) {
    Json entry = StateObject(model);
    const auto figures = std::ranges::find(loaded, model.facts.card.id, &LoadedModelStats::id);
    if (figures != loaded.end()) AddFigures(figures->facts, figures->stats, entry);
    const auto process = std::ranges::find(processes, model.facts.card.id, &ProcessFigures::id);
    if (process != processes.end()) AddFiguresOfProcess(process->health, entry);
    data["models"].push_back(std::move(entry));
  }
  data["memory"] = MemoryObject();
  return Dump(Envelope(readiness, std::move(data)));
}

std::string LiveBody() { return Dump(Json{{"data", {{"status", "alive"}}}, {"success", true}}); }

std::string ModelsBody(const ModelList& models) {
  Json data = Json::array();
  for (const ListedModel& model : models) data.push_back(ModelEntry(model));
  return Dump(Json{{"object", "list"}, {"data", std::move(data)}});
}

std::string ModelBody(const ListedModel& model) { return Dump(ModelEntry(model)); }

std::string IndexBody(const std::string& version, const std::vector<std::string>& endpoints) {
  return Dump(Json{{"name", "cLLM"}, {"version", version}, {"endpoints", endpoints}});
}

Operation DescribeIndex() {
  return {.answer =
              words::Record({{"name", words::Const("cLLM")}, {"version", words::String()}, {"endpoints", words::ListOf(words::String())}})};
}

Operation DescribeLive() { return {.answer = SuccessSchema(words::Record({{"status", words::Const("alive")}}))}; }

Operation DescribeReady() { return {.answer = SuccessSchema(words::Record(HealthMembers())), .is_probe = true}; }

Operation DescribeHealth() {
  const Json model = words::Record({{"id", words::String()},
                                    {"path", words::String()},
                                    {"description", words::String()},
                                    {"parameters", words::Integer()},
                                    {"bytes", words::Integer()},
                                    {"trained_context", words::Integer()},
                                    {"capabilities", words::ListOf(words::String())}});
  Json figures = words::AnyObject();
  figures["additionalProperties"] = words::Number();
  Json engine = figures;
  engine["properties"]["name"] = words::String();
  const words::Members of_a_model{{"model", model}, {"engine", engine}, {"queue", figures}, {"kv", figures}};
  words::Members of_one_of_several = of_a_model;
  for (const char* field : {"needed_bytes", "load_progress", "seconds_left"}) of_one_of_several.emplace_back(field, words::Number());
  of_one_of_several.emplace_back("problem", words::String());
  of_one_of_several.emplace_back("memory", figures);  // of its process
  const Json several =
      words::ListOf(words::Record({{"id", words::String()},
                                   {"state", words::Enum({"unloaded", "queued", "loading", "loaded", "unloading", "failed"})},
                                   {"waiting", words::Integer()}},
                                  of_one_of_several));
  words::Members detailed = of_a_model;
  detailed.insert(detailed.end(), {{"version", words::String()}, {"memory", figures}, {"models", several}});
  return {.answer = SuccessSchema(words::Record(HealthMembers(), detailed)),
          .query = {{"level", words::Enum({"basic", "detailed", ""})}},
          .is_probe = true};
}

Operation DescribeModels() {
  return {.answer = words::Record({{"object", words::Const("list")}, {"data", words::ListOf(ModelEntrySchema())}})};
}

Operation DescribeModel() { return {.answer = ModelEntrySchema()}; }

}  // namespace cllm
