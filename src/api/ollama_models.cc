#include "api/ollama_models.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "api/body_frame.h"
#include "api/json_object.h"
#include "api/model_name.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

// Of which Ollama's API is spoken here.
constexpr const char* kSpokenVersion = "0.13.5";

// Ollama's names have a tag.
std::string TaggedName(const std::string& id) { return id.contains(':') ? id : id + ":latest"; }

std::string TimeOf(std::int64_t unix_s) { return fmt::format("{:%FT%TZ}", fmt::gmtime(static_cast<std::time_t>(unix_s))); }

// 64 hexadecimal digits that are the same for the same program, file and settings: what an answer's fingerprint stands for.
std::string DigestOf(const ServerFacts& facts) {
  std::string digest;
  for (std::uint64_t part = 0; part < 4; ++part) {
    std::uint64_t hash = 14695981039346656037U + part;
    for (const char c : facts.card.fingerprint) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
    digest += fmt::format("{:016x}", hash);
  }
  return digest;
}

std::string ParameterSize(std::int64_t parameters) {
  const auto count = static_cast<double>(parameters);
  return count >= 1e9 ? fmt::format("{:.1f}B", count / 1e9) : fmt::format("{:.2f}M", count / 1e6);
}

Json DetailsOf(const ServerFacts& facts) {
  return {{"parent_model", ""},
          {"format", "gguf"},
          {"family", facts.architecture},
          {"families", Json::array({facts.architecture})},
          {"parameter_size", ParameterSize(facts.model_parameters)},
          {"quantization_level", facts.quantization}};
}

Json DetailsSchema() {
  const Json text = words::String();
  return words::Record({{"parent_model", text},
                        {"format", text},
                        {"family", text},
                        {"families", words::ListOf(text)},
                        {"parameter_size", text},
                        {"quantization_level", text}});
}

words::Members EntryMembers() {
  return {{"name", words::String()},
          {"model", words::String()},
          {"size", words::Integer()},
          {"digest", words::String()},
          {"details", DetailsSchema()}};
}

Json TagEntry(const ServerFacts& facts) {
  const std::string name = TaggedName(facts.card.id);
  return {{"name", name}, {"model", name}, {"size", facts.model_bytes}, {"digest", DigestOf(facts)}, {"details", DetailsOf(facts)}};
}

std::string ReadName(JsonObject& object) {
  object.RequireOneOf({"model", "name"}, "model is missing");
  const auto model = ReadModelName(object);
  const auto name = ReadModelName(object, "name");
  return model ? *model : name.value_or("");
}

std::string ReadShown(JsonObject& object) {
  object.Bool("verbose");
  object.Ignore("options");
  for (const char* set : {"system", "template"}) object.String(set);
  return ReadName(object);
}

std::string ReadNamed(JsonObject& object) {
  for (const char* flag : {"stream", "insecure"}) object.Bool(flag);
  for (const char* text : {"username", "password"}) object.String(text);
  return ReadName(object);
}

Result<std::string> ReadNameOf(std::string (*read)(JsonObject&), std::string_view body) {
  const Result<Json> json = ParseJsonObject(body);
  if (!json) return std::unexpected(json.error());
  IgnoredFields ignored;
  JsonObject object(*json, {}, &ignored);
  std::string name = read(object);
  if (Status status = FinishBody(object, {}); !status) return std::unexpected(status.error());
  return name;
}

}  // namespace

std::string OllamaVersionBody(const ModelList& models) {
  return Dump(Json{{"version", kSpokenVersion}, {"cllm", models.front().facts.version}});
}

Operation DescribeOllamaVersion() { return {.answer = words::Record({{"version", words::String()}, {"cllm", words::String()}})}; }

std::string OllamaTagsBody(const ModelList& models) {
  Json tags = Json::array();
  for (const ListedModel& model : models) {
    Json entry = TagEntry(model.facts);
    entry["modified_at"] = TimeOf(model.facts.card.created_unix_s);
    tags.push_back(std::move(entry));
  }
  return Dump(Json{{"models", std::move(tags)}});
}

Operation DescribeOllamaTags() {
  words::Members entry = EntryMembers();
  entry.emplace_back("modified_at", words::String());
  return {.answer = words::Record({{"models", words::ListOf(words::Record(entry))}})};
}

std::string OllamaRunningBody(const ModelList& models) {
  const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  Json running = Json::array();
  for (const ListedModel& model : models) {
    if (model.state != ModelState::kLoaded) continue;
    const bool stays = model.seconds_left <= 0;
    Json entry = TagEntry(model.facts);
    entry["expires_at"] = stays ? "9999-12-31T23:59:59Z" : TimeOf(now + static_cast<std::int64_t>(model.seconds_left));
    entry["size_vram"] = 0;
    entry["context_length"] = model.max_context;
    running.push_back(std::move(entry));
  }
  return Dump(Json{{"models", std::move(running)}});
}

Operation DescribeOllamaRunning() {
  words::Members entry = EntryMembers();
  entry.emplace_back("expires_at", words::String());
  entry.emplace_back("size_vram", words::Integer());
  entry.emplace_back("context_length", words::Integer());
  return {.answer = words::Record({{"models", words::ListOf(words::Record(entry))}})};
}

Result<std::string> OllamaShowBody(const FindModel& find, std::string_view body) {
  const Result<std::string> name = ReadNameOf(ReadShown, body);
  if (!name) return std::unexpected(name.error());
  const Result<ListedModel> model = find(*name);
  if (!model) return std::unexpected(model.error());
  const ServerFacts& facts = model->facts;
  Json capabilities = facts.capabilities;
  if (std::ranges::find(facts.capabilities, "completion") != facts.capabilities.end()) {
    capabilities.push_back("tools");
    if (facts.chat_template.contains("think")) capabilities.push_back("thinking");
  }
  const std::string& family = facts.architecture;
  return Dump(Json{{"modelfile", ""},
                   {"parameters", ""},
                   {"template", facts.chat_template},
                   {"details", DetailsOf(facts)},
                   {"model_info",
                    {{"general.architecture", family},
                     {"general.parameter_count", facts.model_parameters},
                     {family + ".context_length", facts.trained_context},
                     {family + ".embedding_length", facts.embedding_size}}},
                   {"capabilities", std::move(capabilities)},
                   {"modified_at", TimeOf(facts.card.created_unix_s)}});
}

Operation DescribeOllamaShow() {
  return {.request = DescribeBodyOf(ReadShown),
          .answer = words::Record({{"modelfile", words::String()},
                                   {"parameters", words::String()},
                                   {"template", words::String()},
                                   {"details", DetailsSchema()},
                                   {"model_info", words::AnyObject()},
                                   {"capabilities", words::ListOf(words::String())},
                                   {"modified_at", words::String()}})};
}

Result<std::string> OllamaPullBody(const FindModel& find, std::string_view body) {
  const Result<std::string> name = ReadNameOf(ReadNamed, body);
  if (!name) return std::unexpected(name.error());
  if (!find(*name)) return OllamaUnmanagedBody(find, body);
  return Dump(Json{{"status", "success"}}) + "\n";
}

Result<std::string> OllamaUnmanagedBody(const FindModel& /*find*/, std::string_view /*body*/) {
  return InvalidArgument("models are not managed over HTTP here: `cllm pull`, `cllm list` and `cllm rm` do it where the server runs");
}

Operation DescribeOllamaPull() {
  return {.request = DescribeBodyOf(ReadNamed), .answer = words::Record({{"status", words::Const("success")}})};
}

Operation DescribeOllamaUnmanaged() { return {}; }

}  // namespace cllm
