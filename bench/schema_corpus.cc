// What becomes of JSON schemas: a question a line on standard input, an answer a line on standard output. For schema_corpus.py.
//   schema_corpus CLLM [MODEL]    the program whose hidden command compiles, and a GGUF file for its tokens instead of single bytes
// {"schema": "…"}                       →  {"strict": null or why not, "relaxed": the pointers that were left out or why not, "enforced":
// E}
// {"enforced": E, "texts": […], "draws": N}  →  {"refused": why, "seconds": s} or {"seconds": s, "accepted": [true, …], "drawn": ["…", …]}
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "grammar/grammar_compiler.h"
#include "model/model.h"
#include "schema/closed_objects.h"
#include "schema/schema_check.h"
#include "schema/schema_validator.h"

namespace cllm {
namespace {

constexpr std::chrono::seconds kPatience(60);
constexpr std::size_t kMostDrawnBytes = 600;

Vocabulary Bytes() {
  Vocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary.pieces.emplace_back(1, static_cast<char>(byte));
  vocabulary.pieces.emplace_back();
  vocabulary.ends = {256};
  return vocabulary;
}

Result<Vocabulary> OfModel(const std::string& path) {
  const auto model = Model::LoadWithoutWeights(path);
  if (!model) return std::unexpected(model.error());
  const Tokenizer& tokenizer = (*model)->tokenizer();
  Vocabulary vocabulary{.ends = tokenizer.end_of_generation_tokens()};
  for (int token = 0; token < tokenizer.vocab_size(); ++token) vocabulary.pieces.push_back(tokenizer.Piece(token, false));
  return vocabulary;
}

// What may come next; an end where that takes too long or is an error.
TokenMask Patient(TokenConstraint& constraint) {
  const auto next = constraint.Next(kPatience);
  return next && *next ? **next : TokenMask{.allowed = {}, .forced = {}, .is_end = true};
}

class Corpus {
 public:
  Corpus(Vocabulary vocabulary, std::string program)
      : vocabulary_(std::move(vocabulary)),
        compiler_([this] { return vocabulary_; },
                  {.compile_command = {std::move(program), "compile-grammar", std::to_string(GrammarLimits().max_compile_mb),
                                       std::to_string(GrammarLimits().compile_timeout_s)}}) {
    for (std::size_t token = 0; token < vocabulary_.pieces.size(); ++token) {
      const std::string& piece = vocabulary_.pieces[token];
      tokens_.emplace(piece, static_cast<std::int32_t>(token));
      longest_ = std::max(longest_, piece.size());
    }
  }

  Json Answer(const Json& question) { return question.contains("schema") ? Check(question["schema"].get<std::string>()) : Match(question); }

 private:
  // As a request's body is read.
  static Json Check(const std::string& text) {
    const auto parsed = ParseJson(text, DuplicateNames::kLastCounts);
    if (!parsed) return {{"strict", parsed.error().message}, {"relaxed", parsed.error().message}};
    const Json& schema = *parsed;
    Json answer = {{"strict", nullptr}};
    const auto strict = CheckSchema(schema, SchemaMode::kStrict);
    const auto validator = SchemaValidator::Compile(schema);
    if (!strict) {
      answer["strict"] = strict.error().message;
    } else if (!validator) {
      answer["strict"] = validator.error().message;
    }
    const auto relaxed = CheckSchema(schema, SchemaMode::kRelaxed);
    if (!relaxed) return answer["relaxed"] = relaxed.error().message, answer;
    answer["relaxed"] = relaxed->relaxed_pointers;
    answer["enforced"] = WithClosedObjects(relaxed->enforced);
    return answer;
  }

  Json Match(const Json& question) {
    const auto begin = std::chrono::steady_clock::now();
    const auto grammar = compiler_.Compile(GrammarSource::Of(GrammarPart::Kind::kJsonSchema, Dump(question["enforced"])), {});
    Json answer = {{"seconds", std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()}};
    if (!grammar) return answer["refused"] = grammar.error().message, answer;
    answer["accepted"] = Json::array();
    for (const Json& text : question["texts"])
      answer["accepted"].push_back(Lets(*compiler_.Constrain(*grammar), text.get_ref<const std::string&>()));
    answer["drawn"] = Json::array();
    for (std::uint64_t seed = 0; seed < question["draws"].get<std::uint64_t>(); ++seed) {
      std::string text = Drawn(*compiler_.Constrain(*grammar), seed);
      if (!text.empty()) answer["drawn"].push_back(std::move(text));
    }
    answer["match_seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return answer;
  }

  bool MayEnd(const TokenMask& mask) const {
    return mask.is_end || (mask.forced.empty() && std::ranges::any_of(vocabulary_.ends, [&](auto end) { return mask.Allows(end); }));
  }

  // The longest token that may come and that `rest` begins with, or -1. Which of them is taken changes nothing of what may come then.
  std::int32_t TokenFor(const TokenMask& mask, std::string_view rest) const {
    if (mask.is_end) return -1;
    if (!mask.forced.empty())
      return rest.starts_with(vocabulary_.pieces[static_cast<std::size_t>(mask.forced.front())]) ? mask.forced.front() : -1;
    for (std::size_t size = std::min(rest.size(), longest_); size > 0; --size) {
      const auto token = tokens_.find(std::string(rest.substr(0, size)));
      if (token != tokens_.end() && mask.Allows(token->second)) return token->second;
    }
    return -1;
  }

  // Whether the text as a whole may come.
  bool Lets(TokenConstraint& constraint, std::string_view rest) const {
    while (true) {
      const TokenMask mask = Patient(constraint);
      if (rest.empty()) return MayEnd(mask);
      const std::int32_t token = TokenFor(mask, rest);
      if (token < 0) return false;
      rest.remove_prefix(vocabulary_.pieces[static_cast<std::size_t>(token)].size());
      constraint.Accept(token);
    }
  }

  // One of the tokens that may come, every second time one of those that close something.
  std::int32_t Choose(const TokenMask& mask, std::uint64_t seed, std::uint64_t place) const {
    if (!mask.forced.empty()) return mask.forced.front();
    for (const char closing : std::string_view(place % 2 == 0 ? "\"]}," : "")) {
      const auto token = tokens_.find(std::string(1, closing));
      if (token != tokens_.end() && mask.Allows(token->second)) return token->second;
    }
    std::vector<std::int32_t> may_come;
    std::vector<std::int32_t> spaces;
    for (std::size_t token = 0; token < vocabulary_.pieces.size(); ++token) {
      const std::string& piece = vocabulary_.pieces[token];
      if (!mask.Allows(static_cast<std::int32_t>(token)) || piece.empty()) continue;
      (piece.find_first_not_of(" \t\r\n") == std::string::npos ? spaces : may_come).push_back(static_cast<std::int32_t>(token));
    }
    if (may_come.empty()) may_come.swap(spaces);
    if (may_come.empty()) return -1;
    return may_come[static_cast<std::size_t>(UniformAt(seed, 0, place) * static_cast<double>(may_come.size()))];
  }

  // A text that comes by chance, which ends as soon as it may; empty where it grows too long.
  std::string Drawn(TokenConstraint& constraint, std::uint64_t seed) const {
    std::string text;
    for (std::uint64_t place = seed; text.size() < kMostDrawnBytes; ++place) {
      const TokenMask mask = Patient(constraint);
      const std::int32_t token = MayEnd(mask) ? -1 : Choose(mask, seed, place);
      if (token < 0) {
        Utf8Assembler assembler;
        std::string valid = assembler.Push(text);
        return valid + assembler.Finish();
      }
      text += vocabulary_.pieces[static_cast<std::size_t>(token)];
      constraint.Accept(token);
    }
    return {};
  }

  const Vocabulary vocabulary_;
  std::unordered_map<std::string, std::int32_t> tokens_;
  std::size_t longest_ = 0;
  GrammarCompiler compiler_;
};

int Run(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "schema_corpus CLLM [MODEL]\n"), 2;
  Vocabulary vocabulary = Bytes();
  if (argc > 2) {
    auto read = OfModel(argv[2]);
    if (!read) return std::fprintf(stderr, "%s\n", read.error().message.c_str()), 1;
    vocabulary = std::move(*read);
  }
  Corpus corpus(std::move(vocabulary), argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    const Json question = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (question.is_discarded()) return std::fprintf(stderr, "no JSON: %s\n", line.substr(0, 200).c_str()), 1;
    std::cout << Dump(corpus.Answer(question)) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace cllm

int main(int argc, char** argv) { return cllm::Run(argc, argv); }
