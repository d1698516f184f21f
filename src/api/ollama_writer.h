// Writes the answer to one request of Ollama's /api/chat or /api/generate: lines of JSON, or one object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "api/dialect.h"
#include "base/json.h"

namespace cllm {

enum class OllamaForm : std::uint8_t {
  kChat,      // text is in `message`
  kGenerate,  // text is in `response`
};

class OllamaWriter : public AnswerWriter {
 public:
  struct Settings {
    OllamaForm form;
    std::string model = {};  // as the request names it
    bool logprobs = false;
  };
  explicit OllamaWriter(Settings settings) : settings_(std::move(settings)) {}

  const std::string& id() const override { return id_; }
  std::string StreamDelta(const TextDelta& delta) override;
  std::string StreamEnd(const GenerationEnd& end) override;
  std::string Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) override;
  std::size_t held_bytes() const override { return call_.text.size(); }

 private:
  // A piece of the answer, with all that it may hold.
  Json Piece(const std::string& text, const std::string& thoughts, Json calls) const;
  // Adds a piece of a call; gives the one before it, once that is whole.
  Json TakeWhole(const AnswerPart& piece);
  std::string Line(Json piece) const;

  Settings settings_;
  std::string id_ = RandomHexId();
  bool has_call_ = false;
  AnswerPart call_;  // the last one so far: calls are sent whole
};

// RFC 3339, as Ollama writes it.
std::string OllamaTimeNow();

// The body of an answer that had nothing to generate; `reason`: "load" or "unload".
std::string OllamaLoadedBody(OllamaForm form, const std::string& model, const char* reason);

// What it writes, whole and as a line of a stream.
Json OllamaAnswerSchema(OllamaForm form);
Json OllamaLineSchema(OllamaForm form);

}  // namespace cllm
