// What a request constrains its answer by, as text.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

struct GrammarSource {
  enum class Kind : std::uint8_t {
    kJsonSchema,  // of which every keyword is enforced; see schema/schema_check.h
    kRegex,       // the whole answer matches it
    kEbnf,        // GBNF: rules "name ::= …", of which "root" is the first
  };
  Kind kind = Kind::kJsonSchema;
  std::string text = {};
  bool operator==(const GrammarSource&) const = default;

  // Different for different grammars.
  std::string Key() const { return std::to_string(static_cast<int>(kind)) + text; }
};

}  // namespace cllm
