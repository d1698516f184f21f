// The one declaration of JSON Schema's keywords: what a grammar keeps of each while an answer is generated, and what validating does
// with it. The check, the validator and docs/structured-output.md all come from it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace cllm {

// A set of the types of JSON values. An integer is a number as well.
using TypeSet = std::uint8_t;

inline constexpr TypeSet kNullType = 1;
inline constexpr TypeSet kBooleanType = 2;
inline constexpr TypeSet kIntegerType = 4;
inline constexpr TypeSet kFractionType = 8;
inline constexpr TypeSet kNumberType = kIntegerType | kFractionType;
inline constexpr TypeSet kStringType = 16;
inline constexpr TypeSet kArrayType = 32;
inline constexpr TypeSet kObjectType = 64;
inline constexpr TypeSet kAnyType = 127;

enum class Generated : std::uint8_t {
  kYes,         // wherever it has an effect
  kPartly,      // where its condition holds
  kNo,          // never
  kAnnotation,  // says nothing about values, and is dropped
  kContainer,   // holds schemas for $ref
};

enum class Validated : std::uint8_t { kYes, kHasNoEffect, kRefused };

struct SchemaKeyword {
  std::string_view name;
  TypeSet types;  // of the values about which it says something
  Generated generated;
  Validated validated;
  std::string_view condition;  // for kPartly: when; for others: what is to be known
};

std::span<const SchemaKeyword> SchemaKeywords();

// nullptr where there is no such keyword.
const SchemaKeyword* FindSchemaKeyword(std::string_view name);

// The set that a name such as "integer" stands for; 0 where it is no type.
TypeSet TypeSetOf(std::string_view name);

// The table as docs/structured-output.md shows it.
std::string SchemaKeywordsAsMarkdown();

}  // namespace cllm
