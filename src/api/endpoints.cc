#include "api/endpoints.h"

#include <span>
#include <variant>

#include <fmt/format.h>

#include "api/body_frame.h"
#include "api/json_object.h"
#include "base/machine.h"
#include "base/utf8.h"

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
Json ModelEntry(const ServerFacts& facts, int max_context) {
  return {{"id", facts.card.id},
          {"object", "model"},
          {"created", facts.card.created_unix_s},
          {"owned_by", "cllm"},
          {"capabilities", facts.capabilities},
          {"meta",
           {{"n_vocab", facts.vocab_size},
            {"n_ctx", max_context},
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

// A piece of a token as llama-server shows it: text, or the bytes where they are not valid UTF-8.
Json PieceValue(const std::string& piece) {
  if (IsValidUtf8(piece)) return piece;
  Json bytes = Json::array();
  for (const unsigned char byte : piece) bytes.push_back(byte);
  return bytes;
}

// {"tokens": […]}, written token by token: a document of them all would be many times as large.
class TokenList {
 public:
  TokenList(const TextModel& model, bool with_pieces) : model_(model), with_pieces_(with_pieces) {}

  Result<ChunkedText> Write(std::span<const TokenId> tokens, const WorkLimits& limits) {
    constexpr std::size_t kBetweenLooks = 4096;
    const std::size_t held = limits.memory.bytes() + tokens.size_bytes();
    text_.Append(R"({"tokens":[)");
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) text_.Append(",");
      Add(tokens[i]);
      if (i % kBetweenLooks != 0) continue;
      if (Status status = limits.stop(); !status) return std::unexpected(status.error());
      if (Status status = limits.Hold(held + text_.size()); !status) return std::unexpected(status.error());
    }
    text_.Append("]}");
    return std::move(text_);
  }

 private:
  void Add(TokenId token) {
    if (!with_pieces_) return text_.Append(std::to_string(token));
    const auto piece = model_.Detokenize(std::span(&token, 1));
    text_.Append(Dump(Json{{"id", token}, {"piece", PieceValue(piece.value_or(""))}}));
  }

  const TextModel& model_;
  bool with_pieces_;
  ChunkedText text_;
};

}  // namespace

std::string HealthBody(Readiness readiness) { return Dump(Envelope(readiness, HealthObject(readiness))); }

std::string DetailedHealthBody(Readiness readiness, const ServerFacts& facts, const ServiceStats& stats) {
  Json data = HealthObject(readiness);
  data["version"] = facts.version;
  data["model"] = ModelObject(facts);
  data["engine"] = {{"name", facts.engine_name}, {"idle_with_work_share", IdleShare(stats.loop)}};
  data["queue"] = Json::object();
  data["kv"] = {{"capacity_tokens", facts.kv_tokens_capacity},
                {"bytes", stats.loop.kv_tokens * facts.kv_bytes_per_token},
                {"capacity_bytes", facts.kv_tokens_capacity * facts.kv_bytes_per_token}};
  ShowStats(kServiceStats, stats, data);
  ShowStats(kEngineLoopStats, stats.loop, data);
  data["memory"] = {{"resident_bytes", ResidentMemoryBytes()}, {"available_bytes", AvailableMemoryBytes()}};
  return Dump(Envelope(readiness, std::move(data)));
}

std::string LiveBody() { return Dump(Json{{"data", {{"status", "alive"}}}, {"success", true}}); }

std::string ModelsBody(const ServerFacts& facts, int max_context) {
  return Dump(Json{{"object", "list"}, {"data", Json::array({ModelEntry(facts, max_context)})}});
}

Result<std::string> ModelBody(const ServerFacts& facts, int max_context, const std::string& id) {
  if (id == facts.card.id) return Dump(ModelEntry(facts, max_context));
  return Fail(ErrorCode::kModelNotFound, fmt::format("the model {} is not served here; there is {}", Shortened(id), facts.card.id),
              "model");
}

std::string IndexBody(const std::string& version, const std::vector<std::string>& endpoints) {
  return Dump(Json{{"name", "cLLM"}, {"version", version}, {"endpoints", endpoints}});
}

Result<ChunkedText> TokenizeBody(const TextModel& model, std::string_view body, const WorkLimits& limits) {
  struct Fields {
    std::string content;
    bool add_special = false;
    bool parse_special = true;
    bool with_pieces = false;
  };
  const auto read = [](JsonObject& object) {
    const auto content = object.String("content");
    if (!content && !object.Has("content")) object.Reject("content", "content is missing");
    return Fields{.content = content.value_or(""),
                  .add_special = object.Bool("add_special").value_or(false),
                  .parse_special = object.Bool("parse_special").value_or(true),
                  .with_pieces = object.Bool("with_pieces").value_or(false)};
  };
  return AnswerBody(body, limits, read, [&](const Fields& fields) -> Result<ChunkedText> {
    const auto tokens = model.Tokenize(fields.content, fields.add_special, fields.parse_special, limits.stop);
    if (!tokens) return std::unexpected(tokens.error());
    return TokenList(model, fields.with_pieces).Write(*tokens, limits);
  });
}

Result<ChunkedText> DetokenizeBody(const TextModel& model, std::string_view body, const WorkLimits& limits) {
  const auto read = [](JsonObject& object) {
    std::vector<TokenId> tokens;
    const Json* list = object.Any("tokens");
    if (list == nullptr) object.Reject("tokens", "tokens is missing");
    if (list == nullptr || !list->is_array()) {
      object.Reject("tokens", "tokens must be an array of token ids");
      return tokens;
    }
    for (const Json& item : *list) {
      const auto id = AsTokenId(item);
      if (!id) {
        object.Reject("tokens", "tokens must be an array of token ids");
        break;
      }
      tokens.push_back(*id);
    }
    return tokens;
  };
  return AnswerBody(body, limits, read, [&](const std::vector<TokenId>& tokens) -> Result<ChunkedText> {
    const auto text = model.Detokenize(tokens);
    if (!text) return std::unexpected(text.error());
    if (Status status = limits.Hold(limits.memory.bytes() + text->size()); !status) return std::unexpected(status.error());
    return ChunkedText(Dump(Json{{"content", *text}}));
  });
}

}  // namespace cllm
