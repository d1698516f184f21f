// What the grammars of schemas let through, held to the JSON Schema Test Suite: nothing that isn't valid, and most of what is.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/utf8.h"
#include "grammar/grammar_compiler.h"
#include "grammar/testing_vocabulary.h"
#include "schema/closed_objects.h"
#include "schema/schema_check.h"
#include "schema/schema_validator.h"

namespace cllm {
namespace {

TokenMask Patient(TokenConstraint& constraint) {
  const auto next = constraint.Next(std::chrono::seconds(60));
  return next && *next ? **next : TokenMask{.allowed = {}, .forced = {}, .is_end = true};
}

// Whether the text as a whole may come.
bool Lets(TokenConstraint& constraint, std::string_view text) {
  std::size_t at = 0;
  while (true) {
    const TokenMask mask = Patient(constraint);
    if (at == text.size()) return mask.is_end || (mask.forced.empty() && mask.Allows(kEndOfBytes));
    const std::int32_t token = static_cast<unsigned char>(text[at++]);
    const bool may_come = !mask.is_end && (mask.forced.empty() ? mask.Allows(token) : mask.forced.front() == token);
    if (!may_come) return false;
    constraint.Accept(token);
  }
}

// As answers are: what is no character becomes U+FFFD.
std::string ValidUtf8(const std::string& bytes) {
  Utf8Assembler assembler;
  std::string text = assembler.Push(bytes);
  return text + assembler.Finish();
}

// A text that comes by chance, at most so long; empty where it doesn't end.
std::string Drawn(TokenConstraint& constraint, std::uint64_t seed, std::size_t most) {
  std::string text;
  for (std::uint64_t place = 0; text.size() < most; ++place) {
    const TokenMask mask = Patient(constraint);
    if (mask.is_end) return ValidUtf8(text);
    std::int32_t token = mask.forced.empty() ? -1 : mask.forced.front();
    if (token < 0) {
      std::vector<std::int32_t> may_come;
      for (std::int32_t each = 0; each <= kEndOfBytes; ++each) {
        if (mask.Allows(each)) may_come.push_back(each);
      }
      // Ends are taken as soon as they come, so that most texts have one.
      const bool ends = mask.Allows(kEndOfBytes) || (mask.Allows('"') && place % 3 == 0);
      token = mask.Allows(kEndOfBytes)
                  ? kEndOfBytes
                  : may_come[static_cast<std::size_t>(UniformAt(seed, 0, place) * static_cast<double>(may_come.size()))];
      if (ends && token != kEndOfBytes) token = '"';
    }
    if (token == kEndOfBytes) return ValidUtf8(text);
    text += static_cast<char>(token);
    constraint.Accept(token);
  }
  return {};
}

struct SuiteGroup {
  std::string name;
  Json schema;
  Json tests;
};

std::vector<SuiteGroup> EnforcedGroups() {
  std::vector<SuiteGroup> groups;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(CLLM_SCHEMA_SUITE)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const auto& path : files) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    for (const Json& group : Json::parse(text.str())) {
      if (!CheckSchema(group["schema"], SchemaMode::kStrict)) continue;
      groups.push_back({path.stem().string() + "/" + group["description"].get<std::string>(), group["schema"], group["tests"]});
    }
  }
  return groups;
}

std::shared_ptr<const CompiledGrammar> CompiledSchema(GrammarCompiler& compiler, const Json& enforced, const std::string& name) {
  const auto grammar = compiler.Compile(GrammarSource::Of(GrammarPart::Kind::kJsonSchema, Dump(enforced)), 0, {});
  EXPECT_TRUE(grammar) << name << ": " << (grammar ? "" : grammar.error().message) << "\n" << Dump(enforced);
  return grammar ? *grammar : nullptr;
}

// Why a valid value may not come: for the table of docs/structured-output.md.
std::string WhyNot(const Json& enforced, const Json& value) {
  const auto fits = [&](const Json& schema) {
    const auto validator = SchemaValidator::Compile(schema);
    return validator && validator->Validate(value);
  };
  if (!fits(enforced)) return "another type than the keywords tell";
  if (!fits(WithClosedObjects(enforced))) return "names beside the properties";
  if (value.is_object()) return "another order of the properties";
  return "another way of writing it";
}

TEST(SchemaGrammarTest, LetsNothingThroughThatIsNotValid) {
  GrammarCompiler compiler(ByteVocabulary, {.compile_command = {CLLM_GRAMMAR_CHILD}});
  int valid = 0;
  int let_through = 0;
  int invalid = 0;
  std::map<std::string, int> held_back;  // by why
  for (const SuiteGroup& group : EnforcedGroups()) {
    const Json enforced = CheckSchema(group.schema, SchemaMode::kStrict)->enforced;
    const auto grammar = CompiledSchema(compiler, WithClosedObjects(enforced), group.name);
    if (!grammar) continue;
    for (const Json& test : group.tests) {
      const bool lets = Lets(*compiler.Constrain(grammar), Dump(test["data"]));
      if (test["valid"].get<bool>()) {
        ++valid;
        let_through += lets ? 1 : 0;
        if (!lets) ++held_back[WhyNot(enforced, test["data"])];
      } else {
        ++invalid;
        EXPECT_FALSE(lets) << group.name << ": " << Dump(test["data"]);
      }
    }
  }
  RecordProperty("valid", valid);
  RecordProperty("valid_let_through", let_through);
  RecordProperty("invalid", invalid);
  std::printf("%d of %d valid values may come; %d invalid ones were tried\n", let_through, valid, invalid);
  for (const auto& [why, count] : held_back) std::printf("  %d: %s\n", count, why.c_str());
  EXPECT_LE(held_back["another way of writing it"], 12) << "1.0 for 1, formats that are annotations, patterns that may match a part";
  EXPECT_GT(invalid, 200);
  // A schema without type has the one that its keywords tell, and objects are closed, so some valid values may not come.
  EXPECT_GT(let_through * 10, valid * 5);
}

TEST(SchemaGrammarTest, WhatComesByChanceIsValid) {
  GrammarCompiler compiler(ByteVocabulary, {.compile_command = {CLLM_GRAMMAR_CHILD}});
  int ended = 0;
  for (const SuiteGroup& group : EnforcedGroups()) {
    const auto grammar = CompiledSchema(compiler, WithClosedObjects(CheckSchema(group.schema, SchemaMode::kStrict)->enforced), group.name);
    const auto validator = SchemaValidator::Compile(group.schema);
    if (!grammar || !validator) continue;
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      const std::string text = Drawn(*compiler.Constrain(grammar), seed, 400);
      if (text.empty()) continue;
      ++ended;
      const auto value = ParseJson(text, DuplicateNames::kLastCounts);
      const Status status = value ? validator->Validate(*value) : std::unexpected(value.error());
      EXPECT_TRUE(status) << group.name << ": " << text << ": " << status.error().message << "\n" << Dump(group.schema);
    }
  }
  std::printf("%d texts ended\n", ended);
  EXPECT_GT(ended, 200);
}

// Each with a value that has to come.
TEST(SchemaGrammarTest, PatternsMeanWhatTheySay) {
  GrammarCompiler compiler(ByteVocabulary, {.compile_command = {CLLM_GRAMMAR_CHILD}});
  for (const auto& [pattern, value] :
       std::vector<std::pair<std::string, std::string>>{{R"(^\d+\.\d+$)", "12.5"},
                                                        {R"(^\w+@\w+\.com$)", "a@b.com"},
                                                        {R"(^[a-z]+(?:-\d{2})?$)", "ab-12"},
                                                        {R"(^\+?[0-9]{3,5}$)", "+1234"},
                                                        {R"(^(\.[a-z]+){2}$)", ".a.bc"},
                                                        {R"(^a(\.b)?c$)", "a.bc"},
                                                        {R"(^\[\(\{\*\|\^\$\?\}\)\]$)", "[({*|^$?})]"},
                                                        {R"(^[^a-c]{2}$)", "xy"},
                                                        {R"(^[\d.-]+$)", "1.2-3"},
                                                        {R"(^\S+ \S+$)", "a b"},
                                                        {R"(^(foo|ba[rz]|)x*$)", "bazxx"},
                                                        {R"(^#[0-9a-fA-F]{6}$)", "#00ffAA"},
                                                        {R"(^\/v1\/[a-z]+$)", "/v1/ab"},
                                                        {R"(^.{2,4}$)", "abc"},
                                                        {R"(^[+-]?\d{1,3}(,\d{3})*(\.\d+)?$)", "-1,234.5"}}) {
    const Json schema = {{"type", "string"}, {"pattern", pattern}};
    const auto checked = CheckSchema(schema, SchemaMode::kStrict);
    if (!checked) {
      std::printf("%s is refused: %s\n", pattern.c_str(), checked.error().message.c_str());
      continue;
    }
    const auto grammar = CompiledSchema(compiler, checked->enforced, pattern);
    const auto validator = SchemaValidator::Compile(schema);
    ASSERT_TRUE(grammar && validator) << pattern;
    EXPECT_TRUE(Lets(*compiler.Constrain(grammar), Dump(value))) << pattern << ": " << value;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const std::string text = Drawn(*compiler.Constrain(grammar), seed, 200);
      if (text.empty()) continue;
      if (text.contains("\xEF\xBF\xBD")) continue;  // bytes that are no character count otherwise
      const auto drawn = ParseJson(text, DuplicateNames::kAreErrors);
      const Status status = drawn ? validator->Validate(*drawn) : std::unexpected(drawn.error());
      EXPECT_TRUE(status) << pattern << ": " << text << ": " << (status ? "" : status.error().message);
    }
  }
}

// Expressions of parts that repeat, may be left out and stand in each other's place, by chance.
class RandomPattern {
 public:
  explicit RandomPattern(std::uint64_t seed) : seed_(seed) {}

  std::string Expression(int depth) {  // NOLINT(misc-no-recursion): at most `depth` deep
    std::string text;
    for (std::size_t parts = 1 + Below(3); parts > 0; --parts) text += Atom(depth) + Repetition();
    return text;
  }
  // Letters of the expressions.
  std::string Text() {
    std::string text;
    for (std::size_t length = Below(7); length > 0; --length) text += kLetters[Below(kLetters.size())];
    return text;
  }

 private:
  static constexpr std::string_view kLetters = "abc1.";

  std::size_t Below(std::size_t bound) { return static_cast<std::size_t>(UniformAt(seed_, 0, place_++) * static_cast<double>(bound)); }

  std::string Atom(int depth) {  // NOLINT(misc-no-recursion)
    switch (depth > 0 ? Below(7) : Below(4)) {
      case 0:
        return "[ab]";
      case 1:
        return "[^a1]";
      case 2:
        return "\\.";
      case 3:
        return std::string(1, kLetters[Below(4)]);
      case 4:
        return "(" + Expression(depth - 1) + "|" + Expression(depth - 1) + ")";
      default:
        return "(" + Expression(depth - 1) + ")";
    }
  }

  std::string Repetition() {
    constexpr std::array kRepetitions = {"", "", "", "?", "*", "+", "{2}", "{1,2}", "{0,2}"};
    return kRepetitions[Below(kRepetitions.size())];
  }

  std::uint64_t seed_;
  std::uint64_t place_ = 0;
};

TEST(SchemaGrammarTest, PatternsAreThoseOfTheValidator) {
  GrammarCompiler compiler(ByteVocabulary, {.compile_command = {CLLM_GRAMMAR_CHILD}});
  int compared = 0;
  int matched = 0;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    RandomPattern random(seed);
    const std::string pattern = "^" + random.Expression(2) + "$";
    const Json schema = {{"type", "string"}, {"pattern", pattern}};
    const auto checked = CheckSchema(schema, SchemaMode::kStrict);
    const auto validator = SchemaValidator::Compile(schema);
    ASSERT_TRUE(checked && validator) << pattern << (checked ? "" : checked.error().message);
    const auto grammar = CompiledSchema(compiler, checked->enforced, pattern);
    if (!grammar) continue;
    for (int i = 0; i < 12; ++i) {
      const std::string text = i < 8 ? random.Text() : Drawn(*compiler.Constrain(grammar), seed + static_cast<std::uint64_t>(i), 40);
      const Json value = i < 8 ? Json(text) : text.empty() ? Json("") : Json::parse(text, nullptr, false);
      const bool fits = validator->Validate(value).has_value();
      EXPECT_EQ(Lets(*compiler.Constrain(grammar), Dump(value)), fits) << pattern << ": " << Dump(value);
      ++compared;
      matched += fits ? 1 : 0;
    }
  }
  EXPECT_GT(compared, 1500);
  EXPECT_GT(matched, 400);
}

}  // namespace
}  // namespace cllm
