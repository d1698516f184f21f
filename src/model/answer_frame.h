// What surrounds tool calls and constrained content in an answer, as a grammar.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/text_trigger.h"

namespace cllm {

// An argument that a model writes between marks of its own, rather than as a part of one JSON object.
struct FramedArgument {
  enum class Form : std::uint8_t {
    kJson,
    kText,        // a string, as it stands
    kJsonOrText,  // the one where it can be read so
  };
  std::size_t tool = 0;  // of the prompt
  std::string name = {};
  Form form = Form::kJson;
  // What may not stand in a text: the mark behind it, for one.
  std::vector<std::string> excluded = {};
  std::string place = {};  // where its value belongs in the grammar
  bool operator==(const FramedArgument&) const = default;
};

struct AnswerFrame {
  // GBNF whose rule "root" is the whole answer or, where there are triggers, one call or several. Where a schema belongs, PlaceInFrame
  // stands.
  std::string grammar = {};
  // What it begins with that the prompt has already.
  std::string begun = {};
  // The answer may be content instead, that fits this grammar: it begins with `begun`, too. Empty: it may not.
  std::string content_grammar = {};
  // What opens a call. Until it came any text may come; from there on it is the grammar's. Empty: all of the answer is.
  std::vector<TextTrigger> triggers = {};
  // Where arguments stand by themselves instead of a schema for all of them.
  std::vector<FramedArgument> arguments = {};
};

// The schema that stands for part `part` while llama.cpp makes the grammar, and the literal that it becomes there.
std::string FramePlaceholder(std::size_t part);
std::string PlaceInFrame(std::size_t part);
std::string PlaceOfArgument(std::size_t tool, std::size_t argument);

// llama.cpp's grammar for an answer that calls tools, without text before the calls: a small model would write nothing else. At most
// `most_calls`.
std::string CallsAlone(const std::string& grammar, int most_calls);

// llama.cpp's grammar for an answer that keeps a schema, without the fences of Markdown that it may put around it.
std::string WithoutFences(const std::string& grammar);

// llama.cpp writes an empty alternative as nothing, which not every reader of its grammars takes.
std::string WithWrittenEmptiness(std::string_view grammar);

}  // namespace cllm
