#include "api/llama_writer.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "api/error_body.h"
#include "api/openai_fields.h"
#include "api/sampling_fields.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

const char* StopType(const GenerationEnd& end) {
  if (end.reason == FinishReason::kLength) return "limit";
  return end.stop_string.empty() ? "eos" : "word";
}

Json ProbabilityEntry(TokenId id, const std::string& bytes, float logprob) {
  return {
      {"id", id}, {"token", TokenShown(bytes)}, {"bytes", std::vector<unsigned char>(bytes.begin(), bytes.end())}, {"logprob", logprob}};
}

Json Probabilities(const std::vector<TokenText>& tokens) {
  Json list = Json::array();
  for (const TokenText& token : tokens) {
    Json entry = ProbabilityEntry(token.token.token, token.bytes, token.token.logprob);
    entry["top_logprobs"] = Json::array();
    for (std::size_t i = 0; i < token.token.top.size(); ++i) {
      entry["top_logprobs"].push_back(ProbabilityEntry(token.token.top[i].token, token.top_bytes[i], token.token.top[i].logprob));
    }
    list.push_back(std::move(entry));
  }
  return list;
}

Json TokenIdsOf(const std::vector<TokenText>& tokens) {
  Json ids = Json::array();
  for (const TokenText& token : tokens) ids.push_back(token.token.token);
  return ids;
}

// Each bias of a token; null is a ban.
Json BiasList(const GenerateRequest& request, const std::vector<TokenId>& ends) {
  Json list = Json::array();
  for (const auto& [token, bias] : request.sampling.logit_bias) list.push_back({{"token", token}, {"bias", bias}});
  const auto ban = [&](const std::vector<TokenId>& tokens) {
    for (const TokenId token : tokens) list.push_back({{"token", token}, {"bias", nullptr}});
  };
  ban(request.sampling.banned);
  if (request.ignore_eos) ban(ends);
  return list;
}

}  // namespace

Json LlamaGenerationSettings(const GenerateRequest& request, bool stream, const std::vector<TokenId>& ends) {
  const SamplingParams& sampling = request.sampling;
  const int most = request.max_tokens.value_or(request.default_max_tokens.value_or(kUntilContextEnd));
  const bool has_gbnf = request.constraint && request.constraint->grammar.kind == GrammarPart::Kind::kGbnf;
  return {{"seed", request.seed ? SeedShown(*request.seed) : -1},
          {"temperature", sampling.temperature},
          {"dynatemp_range", 0.0},
          {"dynatemp_exponent", 1.0},
          {"top_k", sampling.top_k},
          {"top_p", sampling.top_p},
          {"min_p", sampling.min_p},
          {"top_n_sigma", -1.0},
          {"xtc_probability", 0.0},
          {"xtc_threshold", 0.1},
          {"typical_p", 1.0},
          {"repeat_last_n", sampling.penalty_last_n},
          {"repeat_penalty", sampling.repetition_penalty},
          {"presence_penalty", sampling.presence_penalty},
          {"frequency_penalty", sampling.frequency_penalty},
          {"dry_multiplier", 0.0},
          {"mirostat", 0},
          {"adaptive_target", -1.0},
          {"adaptive_decay", 0.9},
          {"stop", request.stop},
          {"max_tokens", most},
          {"n_predict", most},
          {"n_keep", 0},
          {"n_discard", 0},
          {"ignore_eos", request.ignore_eos},
          {"stream", stream},
          {"logit_bias", BiasList(request, ends)},
          {"n_probs", std::max(0, sampling.top_logprobs)},
          {"min_keep", 0},
          {"grammar", has_gbnf ? request.constraint->grammar.text : std::string()},
          {"samplers", Json::array({"penalties", "top_k", "top_p", "min_p", "temperature"})},
          {"timings_per_token", false},
          {"post_sampling_probs", false},
          {"lora", Json::array()}};
}

std::string LlamaWriter::StreamDelta(const TextDelta& delta) {
  if (settings_.evaluates_only && !delta.prompt_computed) return {};
  const auto choice = static_cast<std::size_t>(delta.choice);
  if (has_new_line_.size() <= choice) has_new_line_.resize(choice + 1);
  if (delta.text.contains('\n')) has_new_line_[choice] = true;
  Json chunk{{"index", delta.choice},
             {"content", delta.text},
             {"tokens", TokenIdsOf(delta.tokens)},
             {"stop", false},
             {"id_slot", settings_.slot},
             {"tokens_predicted", delta.counts.generated},
             {"tokens_evaluated", delta.counts.prompt}};
  settings_.progress.AddTo(chunk, delta);
  if (settings_.shows_probabilities && !delta.prompt_computed) chunk["completion_probabilities"] = Probabilities(delta.tokens);
  return SseFrame(Dump(chunk));
}

bool LlamaWriter::HasNewLine(const TextDelta& answer) const {
  const auto choice = static_cast<std::size_t>(answer.choice);
  return answer.text.contains('\n') || (choice < has_new_line_.size() && has_new_line_[choice]);
}

Json LlamaWriter::Last(const TextDelta& answer, const GenerationEnd& end) const {
  const bool is_empty = settings_.evaluates_only;
  const int predicted = is_empty ? 0 : end.generated_tokens;
  Json settings = settings_.generation;
  settings["seed"] = SeedShown(end.seed);
  Json timings = LlamaTimings(CountsOf(end), end.times());
  timings["predicted_n"] = predicted;
  Json body{{"index", answer.choice},
            {"content", is_empty ? std::string() : answer.text},
            {"tokens", settings_.shows_tokens && !is_empty ? TokenIdsOf(answer.tokens) : Json::array()},
            {"id_slot", settings_.slot},
            {"stop", true},
            {"model", settings_.model},
            {"tokens_predicted", predicted},
            {"tokens_evaluated", end.prompt_tokens},
            {"generation_settings", std::move(settings)},
            {"prompt", end.prompt},
            {"has_new_line", !is_empty && HasNewLine(answer)},
            {"truncated", end.reason == FinishReason::kLength && (end.cut_max_tokens || settings_.until_context_end)},
            {"stop_type", is_empty ? "limit" : StopType(end)},
            {"stopping_word", end.stop_string},
            {"tokens_cached", end.prompt_tokens + predicted},
            {"timings", std::move(timings)}};
  if (settings_.shows_probabilities && !settings_.streams) body["completion_probabilities"] = Probabilities(answer.tokens);
  return Projected(std::move(body));
}

// The fields that were asked for, by paths such as "generation_settings/n_predict".
Json LlamaWriter::Projected(Json body) const {
  if (settings_.fields.empty()) return body;
  Json chosen = Json::object();
  for (const std::string& path : settings_.fields) {
    const Json* value = &body;
    for (const auto part : path | std::views::split('/')) {
      const auto found = value->is_object() ? value->find(std::string_view(part)) : value->end();
      value = found != value->end() ? &*found : nullptr;
      if (value == nullptr) break;
    }
    if (value != nullptr) chosen[path] = *value;
  }
  return chosen;
}

std::string LlamaWriter::StreamEnd(const GenerationEnd& end) {
  if (!end.status) return SseFrame(LlamaServerErrorBody(end.status.error()));
  std::string frames;
  for (int choice = 0; choice < end.choices(); ++choice) {
    frames += SseFrame(Dump(Last({.text = {}, .tokens = {}, .choice = choice}, end.of(choice))));
  }
  return frames;
}

std::string LlamaWriter::Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) {
  if (answers.size() == 1) return Dump(Last(answers.front(), end.of(0)));
  Json list = Json::array();
  for (const TextDelta& answer : answers) list.push_back(Last(answer, end.of(answer.choice)));
  return Dump(list);
}

namespace {

Json ProbabilitiesSchema() {
  const words::Members entry{
      {"id", words::TokenId()}, {"token", words::String()}, {"bytes", words::ListOf(words::Integer(0, 255))}, {"logprob", words::Number()}};
  words::Members token = entry;
  token.emplace_back("top_logprobs", words::ListOf(words::Record(entry)));
  return words::ListOf(words::Record(token));
}

// Any of its members may be what was asked for alone; and members of members, by their paths.
Json LastObjectSchema() {
  Json schema = words::Record({}, {{"index", words::Integer()},
                                   {"content", words::String()},
                                   {"tokens", words::ListOf(words::TokenId())},
                                   {"id_slot", words::Integer()},
                                   {"stop", words::Const(true)},
                                   {"model", words::String()},
                                   {"tokens_predicted", words::Integer()},
                                   {"tokens_evaluated", words::Integer()},
                                   {"generation_settings", words::AnyObject()},
                                   {"prompt", words::String()},
                                   {"has_new_line", words::Bool()},
                                   {"truncated", words::Bool()},
                                   {"stop_type", words::Enum({"eos", "limit", "word"})},
                                   {"stopping_word", words::String()},
                                   {"tokens_cached", words::Integer()},
                                   {"timings", LlamaProgress::TimingsSchema()},
                                   {"completion_probabilities", ProbabilitiesSchema()}});
  schema["patternProperties"] = {{"/", Json::object()}};
  return schema;
}

}  // namespace

Json LlamaAnswerSchema() { return words::AnyOf({LastObjectSchema(), words::ListOf(LastObjectSchema())}); }

Json LlamaFrameSchema() {
  const Json piece = words::Record({{"index", words::Integer()},
                                    {"content", words::String()},
                                    {"tokens", words::ListOf(words::TokenId())},
                                    {"stop", words::Const(false)},
                                    {"id_slot", words::Integer()},
                                    {"tokens_predicted", words::Integer()},
                                    {"tokens_evaluated", words::Integer()}},
                                   {{"completion_probabilities", ProbabilitiesSchema()},
                                    {"timings", LlamaProgress::TimingsSchema()},
                                    {"prompt_progress", LlamaProgress::PromptSchema()}});
  return words::AnyOf({piece, LastObjectSchema(), ErrorBodySchema(ErrorFamily::kLlamaServer)});
}

}  // namespace cllm
