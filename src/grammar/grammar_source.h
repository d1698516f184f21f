// What a request constrains its answer by, as text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cllm {

struct GrammarPart {
  enum class Kind : std::uint8_t {
    kJsonSchema,  // of which every keyword is enforced; see schema/schema_check.h
    kRegex,       // the whole answer matches it
    kEbnf,        // rules "name ::= …" as xgrammar reads them, of which "root" is the first
    kGbnf,        // rules as llama.cpp reads them
  };
  Kind kind = Kind::kJsonSchema;
  std::string text = {};
  std::string place = {};  // what stands for it in a frame
  bool operator==(const GrammarPart&) const = default;
};

// A token of the vocabulary that marks something, by its text.
struct GrammarToken {
  std::string text = {};
  std::int32_t token = 0;
  bool operator==(const GrammarToken&) const = default;
};

struct GrammarSource {
  std::vector<GrammarPart> parts = {};  // the one that is the answer, or those that stand in a frame
  // GBNF around the parts; empty: there is none.
  std::string frame = {};
  // What the frame begins with that the prompt has already.
  std::string begun = {};
  // Where the frame writes one of these texts, its token comes, and not its letters. No other control token ever comes.
  std::vector<GrammarToken> tokens = {};
  bool operator==(const GrammarSource&) const = default;

  static GrammarSource Of(GrammarPart::Kind kind, std::string text) { return {.parts = {{.kind = kind, .text = std::move(text)}}}; }

  // Different for different grammars.
  std::string Key() const {
    std::string key;
    const auto add = [&key](std::string_view text) { key.append(std::to_string(text.size())).append(":").append(text); };
    for (const GrammarPart& part : parts) {
      add(std::to_string(static_cast<int>(part.kind)) + part.text);
      add(part.place);
    }
    key += ';';
    add(frame);
    add(begun);
    for (const GrammarToken& token : tokens) add(std::to_string(token.token) + token.text);
    return key;
  }
};

}  // namespace cllm
