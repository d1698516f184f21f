// Writes the answer to one request of llama-server's /completion or /infill.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/dialect.h"
#include "api/llama_progress.h"
#include "base/json.h"

namespace cllm {

class LlamaWriter : public AnswerWriter {
 public:
  struct Settings {
    std::string model = {};
    Json generation = {};  // generation_settings, without the seed
    std::int64_t slot = -1;
    bool streams = false;
    bool shows_tokens = false;
    bool shows_probabilities = false;
    bool evaluates_only = false;  // the answer has no tokens
    LlamaProgress progress = {};
    bool until_context_end = false;
    std::vector<std::string> fields = {};  // of the last object; none: all
  };
  explicit LlamaWriter(Settings settings) : settings_(std::move(settings)) {}

  const std::string& id() const override { return id_; }
  std::string StreamDelta(const TextDelta& delta) override;
  std::string StreamEnd(const GenerationEnd& end) override;
  std::string Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) override;

 private:
  // The last object of one answer; in a stream it has no text.
  Json Last(const TextDelta& answer, const GenerationEnd& end) const;
  Json Projected(Json body) const;
  bool HasNewLine(const TextDelta& answer) const;

  Settings settings_;
  std::string id_ = RandomHexId();
  std::vector<bool> has_new_line_;  // by answer, of a stream so far
};

// What decides an answer, as llama-server says it: with each sampler of its own that is off here. `ends`: the tokens that end a text.
Json LlamaGenerationSettings(const GenerateRequest& request, bool stream, const std::vector<TokenId>& ends);

// What it writes: whole, and in a frame of a stream.
Json LlamaAnswerSchema();
Json LlamaFrameSchema();

}  // namespace cllm
