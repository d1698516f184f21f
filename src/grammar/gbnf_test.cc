#include "grammar/gbnf.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "grammar/grammar_compiler.h"
#include "grammar/testing_vocabulary.h"

namespace cllm {
namespace {

// Whether the grammar takes the text as a whole.
bool Takes(const std::string& gbnf, std::string_view text) {
  GrammarCompiler compiler(ByteVocabulary, {.compile_command = {CLLM_GRAMMAR_CHILD}});
  const auto grammar = compiler.Compile(GrammarSource::Of(GrammarPart::Kind::kGbnf, gbnf), 0, {});
  EXPECT_TRUE(grammar) << gbnf << ": " << (grammar ? "" : grammar.error().message);
  if (!grammar) return false;
  const auto constraint = compiler.Constrain(*grammar);
  for (std::size_t at = 0;; ++at) {
    const auto next = constraint->Next(std::chrono::seconds(60));
    if (!next || !*next) return false;
    const TokenMask mask = **next;
    if (at == text.size()) return mask.is_end || (mask.forced.empty() && mask.Allows(kEndOfBytes));
    const auto token = static_cast<unsigned char>(text[at]);
    if (mask.is_end || (mask.forced.empty() ? !mask.Allows(token) : mask.forced.front() != token)) return false;
    constraint->Accept(token);
  }
}

TEST(GbnfTest, MeansWhatItMeansToLlamaCpp) {
  struct Case {
    const char* gbnf;
    std::string good;
    std::string bad;
  };
  const Case cases[] = {
      {R"(root ::= "\x0ab")", "\nb", "\n"},  // two digits, not as many as there are
      {R"(root ::= "\u00e9\U0001F600\t\r\n\\\"\[\]\-")", "é😀\t\r\n\\\"[]-", "e"},
      {"root ::= \"a\nb\"", "a\nb", "ab"},  // a text goes over lines
      {"root ::= .", "\n", ""},             // any character
      {"root ::= .", "é", "ab"},
      {R"(root ::= [a\]\\\-x-z])", "-", "b"},
      {R"(root ::= [a-])", "-", "b"},
      {R"(root ::= [-a])", "-", "b"},
      {R"(root ::= [^"\\\x7F\x00-\x1F])", "é", "\""},
      {R"(root ::= [ぁ-ゟ]{2})", "あい", "あ"},
      {"root ::= \"a\"{2}", "aa", "aaa"},
      {"root ::= \"a\" { 1 , 2 }", "aa", "aaa"},
      {"root ::= \"a\"{1,}", "aaaa", ""},
      {"root ::= \"a\"*?\"b\"", "aab", "aa"},
      {"root ::= \"a\"{0}\"b\"", "b", "ab"},
      {"root ::= \"a\"{1,3000}", "aaaa", ""},
      {"root ::= (\"a\" |\n \"b\" # either\n)+", "abba", ""},
      {"root ::= true 7up\ntrue ::= \"x\"\n7up ::= \"y\"", "xy", "x"},  // names that the library has other uses for
      {"root ::= Token\nToken ::= \"t\"", "t", "T"},
      {"root ::= a\na ::= \"1\"\na ::= \"2\"", "2", "1"},  // the last rule of a name counts
      {"root ::= ws \"x\"\nws ::= | \" \" ws", "  x", "y"},
      {"# first\n\nroot ::=\n  \"a\"\r\nother ::= \"b\"\n", "a", "b"},
      {"root ::= \"a\" #\"b\"\n", "a", "ab"},
  };
  for (const Case& c : cases) {
    EXPECT_TRUE(Takes(c.gbnf, c.good)) << c.gbnf;
    EXPECT_FALSE(Takes(c.gbnf, c.bad)) << c.gbnf;
  }
}

TEST(GbnfTest, WhatCannotBeReadIsRefusedWithItsLine) {
  struct Case {
    std::string gbnf;
    const char* said;
  };
  const Case cases[] = {
      {"", "no rule \"root\""},
      {"main ::= \"a\"", "no rule \"root\""},
      {"root ::= a", "line 1 of the grammar: there is no rule \"a\""},
      {"root ::= \"a\"\n\nb = \"c\"", "line 3 of the grammar: ::= is missing"},
      {"root ::= <[12]>", "tokens"},
      {"root ::= \"a\" !<think>", "tokens"},
      {"root ::= \"a", "no end"},
      {"root ::= \"a\\", "escape has no end"},
      {"root ::= [a", "no end"},
      {"root ::= []", "empty"},
      {"root ::= [^]", "empty"},
      {"root ::= [z-a]", "before it begins"},
      {"root ::= \"\\d\"", "no escape"},
      {"root ::= [\\d]", "no escape"},
      {"root ::= \"\\x4\"", "hexadecimal"},
      {"root ::= \"\\ud800\"", "hexadecimal"},
      {"root ::= \"\\U00110000\"", "hexadecimal"},
      {"root ::= (\"a\"", "')' is missing"},
      {"root ::= \"a\")", "stands where it may not"},
      {"root ::= (=\"a\")", "')' is missing"},
      {"root ::= ~\"a\"", "stands where it may not"},
      {"root ::= *", "nothing to repeat"},
      {"root ::= \"a\"{3,2}", "below its lower"},
      {"root ::= \"a\"{,2}", "a repetition is"},
      {"root ::= \"a\"{2001}", "more than 2000"},
      {"root ::= \"a\"{99999999999999999999999}", "more than 2000"},
      {"root ::= \"a\" root2 ::= \"b\"", "stands where it may not"},
      {"root ::= " + std::string(200, '(') + "\"a\"" + std::string(200, ')'), "parentheses"},
      {"root ::= \"a\"" + std::string(200, '*'), "repetitions of one another"},
      {std::string("root ::= \"\0\"", 12), "NUL"},
      {"root ::= \"\xff\"", "UTF-8"},
  };
  for (const Case& c : cases) {
    const auto read = FromGbnf(c.gbnf);
    ASSERT_FALSE(read) << c.gbnf << " is " << *read;
    EXPECT_NE(read.error().message.find(c.said), std::string::npos) << c.gbnf << ": " << read.error().message;
  }
}

// Nothing that a grammar may begin with leads the reader out of its text.
TEST(GbnfTest, EveryBeginningIsReadOrRefused) {
  const std::string whole = "root ::= (\"\\x41\\u00e9é\" | [^a-z\\]é]{1,3} . a?)* # end\na ::= \"b\"\n";
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const auto read = FromGbnf(whole.substr(0, size));
    EXPECT_TRUE(read ? read->contains("root ::= ") : !read.error().message.empty()) << size;
  }
  EXPECT_TRUE(FromGbnf(whole));
}

TEST(GbnfTest, LlamaCppsExamplesAreTaken) {
  int files = 0;
  GrammarCompiler compiler(ByteVocabulary, {.compile_command = {CLLM_GRAMMAR_CHILD}});
  for (const auto& entry : std::filesystem::directory_iterator(CLLM_LLAMA_CPP_SOURCE "/grammars")) {
    if (entry.path().extension() != ".gbnf") continue;
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto compiled = compiler.Compile(GrammarSource::Of(GrammarPart::Kind::kGbnf, text), 0, {});
    EXPECT_TRUE(compiled) << entry.path() << ": " << (compiled ? "" : compiled.error().message);
    ++files;
  }
  EXPECT_GE(files, 8);
}

}  // namespace
}  // namespace cllm
