#include "api/token_endpoints.h"

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/body_frame.h"
#include "api/json_object.h"
#include "api/openai_chat.h"
#include "api/schema_words.h"
#include "base/utf8.h"

namespace cllm {
namespace {

// A piece of a token as llama-server shows it: text, or the bytes where they are not valid UTF-8.
Json PieceValue(const std::string& piece) {
  if (IsValidUtf8(piece)) return piece;
  Json bytes = Json::array();
  for (const unsigned char byte : piece) bytes.push_back(byte);
  return bytes;
}

// A list of tokens, written token by token: a document of them all would be many times as large.
class TokenList {
 public:
  TokenList(const TextModel& model, const WorkLimits& limits, std::size_t count)
      : model_(model), limits_(limits), held_(limits.memory.bytes() + count * sizeof(TokenId)) {}

  void Append(std::string_view text) { text_.Append(text); }
  // `show(token)` is one of the list as JSON.
  Status AppendList(std::span<const TokenId> tokens, auto&& show) {
    constexpr std::size_t kBetweenLooks = 4096;
    text_.Append("[");
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) text_.Append(",");
      text_.Append(show(tokens[i]));
      if (i % kBetweenLooks != 0) continue;
      if (Status status = limits_.stop(); !status) return status;
      if (Status status = limits_.Hold(held_ + text_.size()); !status) return status;
    }
    text_.Append("]");
    return {};
  }
  ChunkedText Take() { return std::move(text_); }
  std::string PieceOf(TokenId token) const { return model_.Detokenize(std::span(&token, 1)).value_or(""); }

 private:
  const TextModel& model_;
  const WorkLimits& limits_;
  std::size_t held_;
  ChunkedText text_;
};

struct TokenizeFields {
  std::string text;
  std::optional<ChatPrompt> chat = {};
  bool add_special = false;
  bool parse_special = true;
  bool with_pieces = false;
  bool is_vllms = false;
};

// Which of the two is spoken tells the field with the text.
TokenizeFields ReadTokenize(JsonObject& object) {
  object.RequireOneOf({"content", "prompt", "messages"}, "content is missing (or prompt or messages, as vLLM has it)");
  const auto content = object.String("content");
  const auto prompt = object.String("prompt");
  TokenizeFields fields{.text = content ? *content : prompt.value_or(""), .is_vllms = !content};
  if (object.Any("messages", [] { return words::ListOf(words::AnyObject()); }) != nullptr) fields.chat = ReadTemplateFields(object);
  if ((content ? 1 : 0) + (prompt ? 1 : 0) + (fields.chat ? 1 : 0) > 1) {
    object.Reject("content", "content, prompt and messages are three ways to say it: send one of them");
  }
  const auto add_special = object.Bool("add_special");
  const auto add_special_tokens = object.Bool("add_special_tokens");
  const auto with_pieces = object.Bool("with_pieces");
  const auto with_texts = object.Bool("return_token_strs");
  fields.add_special = fields.is_vllms ? add_special_tokens.value_or(true) : add_special.value_or(false);
  fields.with_pieces = (fields.is_vllms ? with_texts : with_pieces).value_or(false);
  fields.parse_special = object.Bool("parse_special").value_or(true);
  return fields;
}

// A chat's tokens are those that its answer would go on from.
Result<std::vector<TokenId>> TokensOf(const TextModel& model, const TokenizeFields& fields, const StopCheck& stop) {
  if (!fields.chat) return model.Tokenize(fields.text, fields.add_special, fields.parse_special, stop);
  Result<EncodedPrompt> encoded = model.Encode(*fields.chat, std::numeric_limits<std::size_t>::max(), stop);
  if (!encoded) return std::unexpected(encoded.error());
  return std::move(encoded->tokens);
}

std::string IdShown(TokenId token) { return std::to_string(token); }

Result<ChunkedText> LlamaTokens(const TextModel& model, const TokenizeFields& fields, std::span<const TokenId> tokens,
                                const WorkLimits& limits) {
  TokenList list(model, limits, tokens.size());
  const auto with_piece = [&](TokenId token) { return Dump(Json{{"id", token}, {"piece", PieceValue(list.PieceOf(token))}}); };
  list.Append(R"({"tokens":)");
  const Status status = fields.with_pieces ? list.AppendList(tokens, with_piece) : list.AppendList(tokens, IdShown);
  if (!status) return std::unexpected(status.error());
  list.Append("}");
  return list.Take();
}

Result<ChunkedText> VllmTokens(const TextModel& model, const TokenizeFields& fields, std::span<const TokenId> tokens,
                               const WorkLimits& limits) {
  TokenList list(model, limits, tokens.size());
  list.Append(fmt::format(R"({{"count":{},"max_model_len":{},"tokens":)", tokens.size(), limits.max_context));
  if (Status status = list.AppendList(tokens, IdShown); !status) return std::unexpected(status.error());
  list.Append(R"(,"token_strs":)");
  const auto text_of = [&](TokenId token) { return Dump(Json(list.PieceOf(token))); };
  if (!fields.with_pieces) {
    list.Append("null");
  } else if (Status status = list.AppendList(tokens, text_of); !status) {
    return std::unexpected(status.error());
  }
  list.Append("}");
  return list.Take();
}

// `token_ids` is what earlier vLLMs call `prompt_token_ids`.
Status AppendRendered(std::span<const TokenId> tokens, const TextModel& model, TokenList& list) {
  const Result<std::string> text = model.Detokenize(tokens);
  if (!text) return std::unexpected(text.error());
  list.Append(R"({"token_ids":)");
  if (Status status = list.AppendList(tokens, IdShown); !status) return status;
  list.Append(R"(,"prompt_token_ids":)");
  if (Status status = list.AppendList(tokens, IdShown); !status) return status;
  list.Append(fmt::format(R"(,"prompt":{}}})", Dump(Json(*text))));
  return {};
}

std::vector<TokenId> ReadDetokenize(JsonObject& object) {
  object.Require("tokens");
  std::vector<TokenId> tokens;
  const Json* list = object.Any("tokens", [] { return words::ListOf(words::TokenId()); });
  if (list == nullptr) return tokens;
  const auto reject = [&] { object.Reject("tokens", "tokens must be an array of token ids"); };
  if (!list->is_array()) {
    reject();
    return tokens;
  }
  for (const Json& item : *list) {
    const auto id = AsTokenId(item);
    if (!id) {
      reject();
      break;
    }
    tokens.push_back(*id);
  }
  return tokens;
}

}  // namespace

Result<ChunkedText> TokenizeBody(const TextModel& model, std::string_view body, const WorkLimits& limits) {
  return AnswerBody(body, limits, ReadTokenize, [&](const TokenizeFields& fields) -> Result<ChunkedText> {
    const auto tokens = TokensOf(model, fields, limits.stop);
    if (!tokens) return std::unexpected(tokens.error());
    return (fields.is_vllms ? VllmTokens : LlamaTokens)(model, fields, *tokens, limits);
  });
}

Result<ChunkedText> DetokenizeBody(const TextModel& model, std::string_view body, const WorkLimits& limits) {
  return AnswerBody(body, limits, ReadDetokenize, [&](const std::vector<TokenId>& tokens) -> Result<ChunkedText> {
    const auto text = model.Detokenize(tokens);
    if (!text) return std::unexpected(text.error());
    if (Status status = limits.Hold(limits.memory.bytes() + 2 * text->size()); !status) return std::unexpected(status.error());
    return ChunkedText(Dump(Json{{"content", *text}, {"prompt", *text}}));
  });
}

Result<ChunkedText> RenderBody(const Dialect& dialect, RenderForm form, const TextModel& model, std::string_view body,
                               const WorkLimits& limits) {
  Result<ParsedCall> call = dialect.Parse(body, limits.stop);
  if (!call) return std::unexpected(call.error());
  std::vector<Prompt> prompts = std::move(call->further_prompts);
  prompts.insert(prompts.begin(), std::move(call->request.prompt));
  std::vector<std::vector<TokenId>> tokens;
  std::size_t count = 0;
  for (const Prompt& prompt : prompts) {
    Result<EncodedPrompt> encoded = model.Encode(prompt, std::numeric_limits<std::size_t>::max(), limits.stop);
    if (!encoded) return std::unexpected(encoded.error());
    count += encoded->tokens.size();
    tokens.push_back(std::move(encoded->tokens));
  }
  TokenList list(model, limits, count);
  if (form == RenderForm::kList) list.Append("[");
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) list.Append(",");
    if (Status status = AppendRendered(tokens[i], model, list); !status) return std::unexpected(status.error());
  }
  if (form == RenderForm::kList) list.Append("]");
  return list.Take();
}

Operation DescribeTokenize() {
  const Json piece = words::AnyOf({words::String(), words::ListOf(words::Integer(0, 255))});
  const Json token = words::AnyOf({words::TokenId(), words::Record({{"id", words::TokenId()}, {"piece", piece}})});
  const Json vllms = words::Record({{"count", words::Integer()},
                                    {"max_model_len", words::Integer()},
                                    {"tokens", words::ListOf(words::TokenId())},
                                    {"token_strs", words::OrNull(words::ListOf(words::String()))}});
  return {.request = DescribeBodyOf(ReadTokenize), .answer = words::AnyOf({words::Record({{"tokens", words::ListOf(token)}}), vllms})};
}

Operation DescribeDetokenize() {
  return {.request = DescribeBodyOf(ReadDetokenize), .answer = words::Record({{"content", words::String()}, {"prompt", words::String()}})};
}

Operation DescribeRender(const Dialect& dialect, RenderForm form) {
  const Json ids = words::ListOf(words::TokenId());
  const Json one = words::Record({{"token_ids", ids}, {"prompt_token_ids", ids}, {"prompt", words::String()}});
  return {.request = dialect.Describe().request, .answer = form == RenderForm::kList ? words::ListOf(one) : one};
}

}  // namespace cllm
