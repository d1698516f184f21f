#include "api/openai_chat.h"

#include <ctime>
#include <set>

#include <fmt/format.h>

#include "api/body_frame.h"
#include "api/error_body.h"
#include "api/json_object.h"
#include "api/openai_fields.h"
#include "api/sampling_fields.h"

namespace cllm {
namespace {

constexpr std::int64_t kMostTopLogprobs = 20;  // OpenAI's bound
constexpr std::size_t kMostMessages = 10'000;

Json LogprobEntry(const std::string& bytes, float logprob) {
  Json list = Json::array();
  for (const unsigned char byte : bytes) list.push_back(byte);
  return {{"token", TokenShown(bytes)}, {"logprob", logprob}, {"bytes", list}};
}

Json LogprobsObject(const std::vector<TokenText>& tokens) {
  Json content = Json::array();
  for (const TokenText& token : tokens) {
    Json entry = LogprobEntry(token.bytes, token.token.logprob);
    Json top = Json::array();
    for (std::size_t i = 0; i < token.token.top.size(); ++i) {
      top.push_back(LogprobEntry(token.top_bytes[i], token.token.top[i].logprob));
    }
    entry["top_logprobs"] = std::move(top);
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

class ChatWriter : public AnswerWriter {
 public:
  ChatWriter(std::string model, bool logprobs, bool include_usage)
      : model_(std::move(model)), logprobs_(logprobs), include_usage_(include_usage) {}

  const std::string& id() const override { return id_; }

  std::string StreamDelta(const TextDelta& delta) override {
    std::string frames = Opening(delta.choice);
    return frames + Chunk(delta.choice, {{"content", delta.text}}, logprobs_ ? LogprobsObject(delta.tokens) : Json(nullptr), nullptr);
  }

  std::string StreamEnd(const GenerationEnd& end) override {
    if (!end.status) return SseFrame(OpenAiErrorBody(end.status.error()));
    std::string frames;
    for (int choice = 0; choice < end.choices(); ++choice) {
      frames += Opening(choice);
      frames += Chunk(choice, Json::object(), nullptr, OpenAiFinishReason(end.reason_of(choice)));
    }
    if (include_usage_) {
      Json chunk = Envelope("chat.completion.chunk");
      chunk["choices"] = Json::array();
      chunk["usage"] = UsageObject(end);
      frames += SseFrame(Dump(chunk));
    }
    return frames + SseFrame("[DONE]");
  }

  std::string Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) override {
    Json body = Envelope("chat.completion");
    body["choices"] = Json::array();
    for (const TextDelta& answer : answers) {
      body["choices"].push_back({{"index", answer.choice},
                                 {"message", {{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}}},
                                 {"logprobs", logprobs_ ? LogprobsObject(answer.tokens) : Json(nullptr)},
                                 {"finish_reason", OpenAiFinishReason(end.reason_of(answer.choice))}});
    }
    body["usage"] = UsageObject(end);
    body["seed"] = end.seed;
    return Dump(body);
  }

 private:
  Json Envelope(const char* object) const { return {{"id", id_}, {"object", object}, {"created", created_}, {"model", model_}}; }

  // OpenAI's first chunk of a choice names the role before any text.
  std::string Opening(int choice) {
    if (!opened_.insert(choice).second) return {};
    return Chunk(choice, {{"role", "assistant"}, {"content", ""}}, nullptr, nullptr);
  }

  std::string Chunk(int choice, Json delta, Json logprobs, Json finish_reason) const {
    Json chunk = Envelope("chat.completion.chunk");
    chunk["choices"] = Json::array(
        {{{"index", choice}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}, {"finish_reason", std::move(finish_reason)}}});
    if (include_usage_) chunk["usage"] = nullptr;
    return SseFrame(Dump(chunk));
  }

  std::string id_ = "chatcmpl-" + RandomHexId();
  std::int64_t created_ = std::time(nullptr);
  std::string model_;
  bool logprobs_;
  bool include_usage_;
  std::set<int> opened_;  // choices
};

// A string, or an array of {"type": "text", "text": …} parts, which are joined.
std::optional<std::string> ContentText(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) return std::nullopt;
  std::string text;
  for (const Json& part : content) {
    if (!part.is_object() || part.value("type", Json()) != "text") return std::nullopt;
    const auto found = part.find("text");
    if (found == part.end() || !found->is_string()) return std::nullopt;
    text += found->get<std::string>();
  }
  return text;
}

Result<ChatMessage> ReadMessage(const Json& json, const std::string& path) {
  if (!json.is_object()) return InvalidArgument(path + " must be an object", path);
  JsonObject object(json, path + ".");
  ChatMessage message;
  message.role = object.String("role").value_or("");
  const bool known_role = message.role == "system" || message.role == "user" || message.role == "assistant";
  if (message.role == "developer") {
    message.role = "system";  // OpenAI's newer name for the same thing
  } else if (!known_role) {
    object.Reject("role", fmt::format("{}.role must be system, developer, user or assistant", path));
  }
  const Json* content = object.Any("content");
  const auto text = content == nullptr ? std::nullopt : ContentText(*content);
  if (!text) object.Reject("content", fmt::format("{}.content must be a string or an array of text parts", path));
  message.content = text.value_or("");
  object.Ignore("name");
  object.Ignore("refusal");
  object.Ignore("annotations");
  if (const Json* calls = object.Any("tool_calls"); calls != nullptr && !calls->empty()) {
    object.Reject("tool_calls", path + ".tool_calls is not supported yet");
  }
  if (const Status status = object.Finish(); !status) return std::unexpected(status.error());
  return message;
}

Result<std::vector<ChatMessage>> ReadMessages(const Json* json) {
  if (json == nullptr || !json->is_array() || json->empty() || json->size() > kMostMessages) {
    return InvalidArgument(fmt::format("messages must be an array of 1 to {} messages", kMostMessages), "messages");
  }
  std::vector<ChatMessage> messages;
  for (std::size_t i = 0; i < json->size(); ++i) {
    Result<ChatMessage> message = ReadMessage((*json)[i], fmt::format("messages[{}]", i));
    if (!message) return std::unexpected(message.error());
    messages.push_back(std::move(*message));
  }
  return messages;
}

void ReadTemplateArguments(JsonObject& object, ChatPrompt& prompt) {
  const Json* arguments = object.Any("chat_template_kwargs");
  if (arguments == nullptr) return;
  if (!arguments->is_object()) return object.Reject("chat_template_kwargs", "chat_template_kwargs must be an object");
  for (const auto& item : arguments->items()) prompt.template_arguments[item.key()] = item.value().dump();
}

Result<ChatPrompt> ReadChatPrompt(JsonObject& object) {
  Result<std::vector<ChatMessage>> messages = ReadMessages(object.Any("messages"));
  if (!messages) return std::unexpected(messages.error());
  ChatPrompt prompt{.messages = std::move(*messages), .template_arguments = {}};
  ReadTemplateArguments(object, prompt);
  return prompt;
}

// logprobs is a switch here, top_logprobs the number of alternatives.
bool ReadLogprobs(JsonObject& object, SamplingParams& sampling) {
  const bool wanted = object.Bool("logprobs").value_or(false);
  const auto top = object.Int("top_logprobs", 0, kMostTopLogprobs);
  if (top && !wanted) object.Reject("top_logprobs", "top_logprobs needs logprobs to be true");
  if (wanted) sampling.top_logprobs = static_cast<std::int32_t>(top.value_or(0));
  return wanted;
}

}  // namespace

std::string OpenAiChatDialect::ErrorBody(const Error& error) const { return OpenAiErrorBody(error); }

Result<ParsedCall> OpenAiChatDialect::Parse(std::string_view body) const {
  const Result<Json> json = ParseJsonObject(body);
  if (!json) return std::unexpected(json.error());
  JsonObject object(*json);
  ParsedCall call;
  Result<ChatPrompt> prompt = ReadChatPrompt(object);
  if (!prompt) return std::unexpected(prompt.error());
  call.request.prompt = std::move(*prompt);
  ReadMaxTokens(object, {"max_completion_tokens", "max_tokens", "n_predict"}, call.request);
  if (defaults_.max_tokens > 0) call.request.default_max_tokens = defaults_.max_tokens;
  call.request.sampling = defaults_.sampling;
  ReadSamplingFields(object, call.request);
  const bool logprobs = ReadLogprobs(object, call.request.sampling);
  const StreamSettings stream = ReadStreamFields(object);
  call.stream = stream.stream;
  call.choices = ReadChoices(object, 1);
  ReadHintsAndUnsupported(object);
  if (const Status status = object.Finish(); !status) return std::unexpected(status.error());
  call.writer = std::make_unique<ChatWriter>(model_.id, logprobs, stream.include_usage);
  return call;
}

Result<std::string> ApplyTemplateBody(const TextModel& model, std::string_view body) {
  const auto read = [](JsonObject& object) {
    Result<ChatPrompt> prompt = ReadChatPrompt(object);
    if (prompt) return std::move(*prompt);
    object.Reject(prompt.error().field.c_str(), prompt.error().message);
    return ChatPrompt{};
  };
  return AnswerBody(body, read, [&model](const ChatPrompt& prompt) -> Result<Json> {
    const Result<std::string> text = model.RenderChat(prompt);
    if (!text) return std::unexpected(text.error());
    return Json{{"prompt", *text}};
  });
}

}  // namespace cllm
