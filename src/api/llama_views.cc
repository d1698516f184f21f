#include "api/llama_views.h"

#include "api/backend.h"
#include "api/schema_words.h"
#include "base/json.h"

namespace cllm {

std::string LlamaPropsBody(const Backend& backend) {
  const ServerFacts& facts = backend.facts;
  const Json settings{{"params", backend.llama_completion.DefaultSettings()}, {"n_ctx", backend.service.max_context()}};
  return Dump(Json{{"default_generation_settings", settings},
                   {"total_slots", backend.service.stats().max_running},
                   {"model_alias", facts.card.id},
                   {"model_ftype", facts.quantization},
                   {"model_path", facts.model_path},
                   {"modalities", {{"vision", false}, {"video", false}, {"audio", false}}},
                   {"endpoint_slots", true},
                   {"endpoint_props", false},
                   {"endpoint_metrics", true},
                   {"chat_template", facts.chat_template},
                   {"bos_token", facts.bos_token},
                   {"eos_token", facts.eos_token},
                   {"build_info", "cllm-" + facts.version},
                   {"is_sleeping", false}});
}

Operation DescribeLlamaProps() {
  const Json text = words::String();
  const Json flag = words::Bool();
  const Json settings = words::Record({{"params", words::AnyObject()}, {"n_ctx", words::Integer()}});
  return {.answer = words::Record({{"default_generation_settings", settings},
                                   {"total_slots", words::Integer()},
                                   {"model_alias", text},
                                   {"model_ftype", text},
                                   {"model_path", text},
                                   {"modalities", words::Record({{"vision", flag}, {"video", flag}, {"audio", flag}})},
                                   {"endpoint_slots", flag},
                                   {"endpoint_props", flag},
                                   {"endpoint_metrics", flag},
                                   {"chat_template", text},
                                   {"bos_token", text},
                                   {"eos_token", text},
                                   {"build_info", text},
                                   {"is_sleeping", flag}})};
}

// Places are alike, and what runs moves between them: the first ones are those that compute.
Result<std::string> LlamaSlotsBody(const Backend& backend, const std::function<std::string(const char*)>& query) {
  const ServiceStats stats = backend.service.stats();
  if (!query("fail_on_no_slot").empty() && stats.loop.running >= stats.max_running) {
    return Fail(ErrorCode::kUnavailable, "no slot available");
  }
  Json slots = Json::array();
  for (std::int64_t id = 0; id < stats.max_running; ++id) {
    slots.push_back(
        {{"id", id}, {"n_ctx", backend.service.max_context()}, {"speculative", false}, {"is_processing", id < stats.loop.running}});
  }
  return Dump(slots);
}

Operation DescribeLlamaSlots() {
  return {.answer = words::ListOf(words::Record(
              {{"id", words::Integer()}, {"n_ctx", words::Integer()}, {"speculative", words::Bool()}, {"is_processing", words::Bool()}})),
          .query = {{"fail_on_no_slot", words::String()}}};
}

std::string LlamaAdaptersBody(const Backend& /*backend*/) { return "[]"; }

Operation DescribeLlamaAdapters() { return {.answer = words::ListOf(words::AnyObject(), 0, 0)}; }

Result<std::string> SetLlamaAdaptersBody(const FindModel& /*find*/, std::string_view body) {
  const Result<Json> json = ParseJson(body, DuplicateNames::kLastCounts);
  if (!json) return std::unexpected(json.error());
  if (!json->is_array()) return InvalidArgument("the body must be an array");
  if (!json->empty()) return InvalidArgument("there are no LoRA adapters: an empty array is all that can be set");
  return Dump(Json{{"success", true}});
}

Operation DescribeSetLlamaAdapters() {
  return {.request = words::ListOf(words::AnyObject(), 0, 0), .answer = words::Record({{"success", words::Const(true)}})};
}

Result<std::string> LlamaPropsFixedBody(const FindModel& /*find*/, std::string_view /*body*/) {
  return Fail(ErrorCode::kNotSupported, "global properties are not changed over HTTP: they are options of the server");
}

Result<std::string> LlamaSlotsUnkeptBody(const FindModel& /*find*/, std::string_view /*body*/) {
  return Fail(ErrorCode::kNotSupported, "slots are neither saved, restored nor erased: prompts that begin alike share what was computed");
}

Operation DescribeLlamaUnsupported() { return {}; }

std::string VllmVersionBody(const Backend& backend) { return Dump(Json{{"version", backend.facts.version}}); }

Operation DescribeVllmVersion() { return {.answer = words::Record({{"version", words::String()}})}; }

std::string VllmTokenizerBody(const Backend& backend) {
  const auto or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  return Dump(Json{{"tokenizer_class", "cllm"},
                   {"model_max_length", backend.service.max_context()},
                   {"bos_token", or_null(backend.facts.bos_token)},
                   {"eos_token", or_null(backend.facts.eos_token)},
                   {"chat_template", or_null(backend.facts.chat_template)}});
}

Operation DescribeVllmTokenizer() {
  const Json text = words::OrNull(words::String());
  return {.answer = words::Record({{"tokenizer_class", words::String()},
                                   {"model_max_length", words::Integer()},
                                   {"bos_token", text},
                                   {"eos_token", text},
                                   {"chat_template", text}})};
}

}  // namespace cllm
