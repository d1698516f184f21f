// The fields that the APIs of peers have and that no reader of ours asks for. One list, so that nothing known is ignored in
// silence: such a field either changes no answer, or asks for nothing, or is refused by its name.
//
// The peers: OpenAI, Anthropic, Azure, vLLM, SGLang, llama-server, Ollama, TGI, Mistral, DeepSeek, Groq, Together, Fireworks, OpenRouter,
// DashScope, text-generation-webui, LiteLLM.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace cllm {

struct KnownField {
  const char* name;
  // A JSON array of the values that ask for nothing. nullptr: a hint, which changes no answer whatever it holds.
  const char* nothing;
  // How what it asks for can be had here; may be absent.
  const char* instead = nullptr;
};

// What one kind of object may hold beside the fields that its reader asks for.
class KnownFields {
 public:
  constexpr KnownFields() = default;
  constexpr explicit KnownFields(std::span<const KnownField> own, std::span<const KnownField> shared = {}) : own_(own), shared_(shared) {}

  // nullptr where there is none.
  const KnownField* Find(std::string_view name) const;
  // A name that is one edit or one transposition away; empty where there is none.
  std::string_view Near(std::string_view word) const;
  // Each of them, the own ones first.
  void ForEach(const std::function<void(const KnownField&)>& see) const;
  // The same for the same fields.
  const KnownField* identity() const { return own_.data(); }

 private:
  std::span<const KnownField> own_;
  std::span<const KnownField> shared_;
};

KnownFields ChatFields();
KnownFields CompletionFields();
KnownFields ResponseFields();
KnownFields AnthropicFields();
KnownFields AnthropicBlockFields();
KnownFields OllamaFields();
KnownFields OllamaOptionFields();
KnownFields EmbeddingFields();
KnownFields RerankFields();
KnownFields MessageFields();
KnownFields ContentPartFields();
KnownFields StreamOptionFields();

// Whether a letter inserted, left out or replaced, or two neighbours swapped, makes one word of the other; see EditDistance. Names
// of fewer than three letters are near to nothing.
bool IsMisspelt(std::string_view word, std::string_view name);

}  // namespace cllm
