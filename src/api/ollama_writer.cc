#include "api/ollama_writer.h"

#include <chrono>
#include <utility>

#include <fmt/chrono.h>

#include "api/anthropic_writer.h"
#include "api/error_body.h"
#include "api/openai_fields.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

std::int64_t Nanoseconds(double seconds) { return static_cast<std::int64_t>(seconds * 1e9); }

void AddEnding(const GenerationEnd& end, Json& body) {
  body["done"] = true;
  body["done_reason"] = OpenAiFinishReason(end.reason);
  body["total_duration"] = Nanoseconds(end.response_time_s);
  body["load_duration"] = 0;
  body["prompt_eval_count"] = end.prompt_tokens;
  body["prompt_eval_duration"] = Nanoseconds(std::max(0.0, end.first_token_time_s - end.queue_time_s));
  body["eval_count"] = end.generated_tokens;
  body["eval_duration"] = Nanoseconds(end.generation_time_s);
}

Json CallObject(const AnswerPart& call) {
  return {{"id", call.call_id},
          {"function", {{"index", call.call}, {"name", call.call_name}, {"arguments", ArgumentsAsObject(call.text)}}}};
}

Json OllamaLogprobs(const std::vector<TokenText>& tokens) {
  Json list = Json::array();
  const auto entry = [](const std::string& bytes, float logprob) {
    return Json{{"token", TokenShown(bytes)}, {"logprob", logprob}, {"bytes", std::vector<unsigned char>(bytes.begin(), bytes.end())}};
  };
  for (const TokenText& token : tokens) {
    Json shown = entry(token.bytes, token.token.logprob);
    Json top = Json::array();
    for (std::size_t i = 0; i < token.token.top.size(); ++i) top.push_back(entry(token.top_bytes[i], token.token.top[i].logprob));
    if (!top.empty()) shown["top_logprobs"] = std::move(top);
    list.push_back(std::move(shown));
  }
  return list;
}

}  // namespace

std::string OllamaTimeNow() {
  const auto now = std::chrono::system_clock::now();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count() % 1'000'000;
  return fmt::format("{:%FT%T}.{:06}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)), micros);
}

std::string OllamaLoadedBody(OllamaForm form, const std::string& model, const char* reason) {
  Json body{{"model", model}, {"created_at", OllamaTimeNow()}};
  if (form == OllamaForm::kChat) body["message"] = {{"role", "assistant"}, {"content", ""}};
  if (form == OllamaForm::kGenerate) body["response"] = "";
  body["done"] = true;
  body["done_reason"] = reason;
  return Dump(body);
}

Json OllamaWriter::Piece(const std::string& text, const std::string& thoughts, Json calls) const {
  Json body{{"model", settings_.model}, {"created_at", OllamaTimeNow()}};
  const bool is_chat = settings_.form == OllamaForm::kChat;
  if (is_chat) body["message"] = {{"role", "assistant"}, {"content", text}};
  if (!is_chat) body["response"] = text;
  Json& place = is_chat ? body["message"] : body;
  if (!thoughts.empty()) place["thinking"] = thoughts;
  if (!calls.empty()) place["tool_calls"] = std::move(calls);
  body["done"] = false;
  return body;
}

Json OllamaWriter::TakeWhole(const AnswerPart& piece) {
  if (has_call_ && piece.call == call_.call) {
    call_.text += piece.text;
    return Json::array();
  }
  Json whole = Json::array();
  if (has_call_) whole.push_back(CallObject(call_));
  has_call_ = true;
  call_ = piece;
  return whole;
}

std::string OllamaWriter::Line(Json piece) const { return Dump(piece) + "\n"; }

std::string OllamaWriter::StreamDelta(const TextDelta& delta) {
  Json calls = Json::array();
  for (const AnswerPart& piece : delta.calls) {
    for (Json& call : TakeWhole(piece)) calls.push_back(std::move(call));
  }
  if (delta.text.empty() && delta.reasoning.empty() && calls.empty() && delta.tokens.empty()) return {};
  Json piece = Piece(delta.text, delta.reasoning, std::move(calls));
  if (settings_.logprobs) piece["logprobs"] = OllamaLogprobs(delta.tokens);
  return Line(std::move(piece));
}

std::string OllamaWriter::StreamEnd(const GenerationEnd& end) {
  if (!end.status) return OllamaErrorBody(end.status.error()) + "\n";
  std::string lines;
  if (std::exchange(has_call_, false)) lines = Line(Piece("", "", Json::array({CallObject(call_)})));
  Json last = Piece("", "", nullptr);
  AddEnding(end, last);
  return lines + Line(std::move(last));
}

std::string OllamaWriter::Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) {
  const TextDelta& answer = answers.at(0);
  Json calls = Json::array();
  for (const AnswerPart& call : answer.calls) calls.push_back(CallObject(call));
  Json body = Piece(answer.text, answer.reasoning, std::move(calls));
  if (settings_.logprobs) body["logprobs"] = OllamaLogprobs(answer.tokens);
  AddEnding(end, body);
  return Dump(body);
}

namespace {

words::Members PieceMembers(OllamaForm form, bool is_done) {
  words::Members members{{"model", words::String()}, {"created_at", words::String()}, {"done", words::Const(is_done)}};
  if (form == OllamaForm::kGenerate) members.emplace_back("response", words::String());
  if (form == OllamaForm::kChat) {
    const Json function = words::Record({{"index", words::Integer()}, {"name", words::String()}, {"arguments", words::AnyObject()}});
    const Json calls = words::ListOf(words::Record({{"id", words::String()}, {"function", function}}));
    members.emplace_back("message", words::Record({{"role", words::Const("assistant")}, {"content", words::String()}},
                                                  {{"thinking", words::String()}, {"tool_calls", calls}}));
  }
  return members;
}

words::Members OptionalMembers(OllamaForm form) {
  words::Members members{{"logprobs", words::ListOf(words::AnyObject())}};
  if (form == OllamaForm::kGenerate) {
    members.emplace_back("thinking", words::String());
    members.emplace_back("tool_calls", words::ListOf(words::AnyObject()));
  }
  return members;
}

Json EndSchema(OllamaForm form) {
  words::Members members = PieceMembers(form, true);
  members.emplace_back("done_reason", words::Enum({"stop", "length", "load", "unload"}));
  words::Members optional = OptionalMembers(form);
  for (const char* name : {"total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"}) {
    optional.emplace_back(name, words::Integer());
  }
  return words::Record(members, optional);
}

}  // namespace

Json OllamaAnswerSchema(OllamaForm form) { return EndSchema(form); }

Json OllamaLineSchema(OllamaForm form) {
  return words::AnyOf(
      {words::Record(PieceMembers(form, false), OptionalMembers(form)), EndSchema(form), ErrorBodySchema(ErrorFamily::kOllama)});
}

}  // namespace cllm
