// Writes the answer to one request of Anthropic's Messages.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/dialect.h"
#include "base/json.h"

namespace cllm {

class AnthropicWriter : public AnswerWriter {
 public:
  explicit AnthropicWriter(ModelCard model) : model_(std::move(model)), id_("msg_" + RandomHexId()) {}

  const std::string& id() const override { return id_; }
  std::string StreamDelta(const TextDelta& delta) override;
  std::string StreamEnd(const GenerationEnd& end) override;
  std::string Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) override;

 private:
  enum class Kind { kThinking, kText, kCall };
  struct Block {
    Kind kind;
    int call = 0;
    bool operator==(const Block&) const = default;
  };

  Json Message(Json content, const TokenCounts& counts) const;
  void Begin(const TokenCounts& counts);
  // A piece of the block, which is opened where another one is open.
  void Grow(Block block, const Json& opened, const char* delta_type, const char* field, const std::string& text);
  void Close();
  void Tell(std::string_view type, const Json& fields);
  Json DeltaOf(const char* type, const char* field, const std::string& text) const;

  ModelCard model_;
  std::string id_;
  bool has_begun_ = false;
  bool calls_ = false;
  int next_block_ = 0;
  std::optional<Block> open_;
  std::string frames_;
};

// What it writes, whole and as the data of a stream's events.
Json AnthropicAnswerSchema();
Json AnthropicEventSchema();

// The arguments of a call, where they have to be an object: one of an answer that was cut has its beginning as the text `_incomplete`.
Json ArgumentsAsObject(const std::string& arguments);

}  // namespace cllm
