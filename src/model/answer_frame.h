// What surrounds tool calls and constrained content in an answer, as a grammar.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cllm {

struct AnswerFrame {
  // GBNF whose rule "root" is the whole answer or, where there are triggers, one call or several. Where a schema belongs, PlaceInFrame
  // stands.
  std::string grammar = {};
  // What it begins with that the prompt has already.
  std::string begun = {};
  // The answer may be content instead, that fits this grammar: it begins with `begun`, too. Empty: it may not.
  std::string content_grammar = {};
  // Texts that open a call. Until one of them came any text may come; from there on it is the grammar's. Empty: all of the answer is.
  std::vector<std::string> triggers = {};
};

// The schema that stands for part `part` while llama.cpp makes the grammar, and the literal that it becomes there.
std::string FramePlaceholder(std::size_t part);
std::string PlaceInFrame(std::size_t part);

// llama.cpp's grammar for an answer that calls tools, without text before the calls: a small model would write nothing else. At most
// `most_calls`.
std::string CallsAlone(const std::string& grammar, int most_calls);

// llama.cpp's grammar for an answer that keeps a schema, without the fences of Markdown that it may put around it.
std::string WithoutFences(const std::string& grammar);

// llama.cpp writes an empty alternative as nothing, which not every reader of its grammars takes.
std::string WithWrittenEmptiness(std::string_view grammar);

}  // namespace cllm
