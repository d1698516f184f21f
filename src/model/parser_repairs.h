// What is put right in llama.cpp's parsers of answers. Inner part of AnswerGrammar.
#pragma once

#include <string>

namespace cllm {

// The serialised parser, whose final messages may name their format, as gpt-oss writes it: "<|channel|>final <|constrain|>json<|message|>".
// The library takes that for no answer but where a schema was asked for.
std::string WithFormatsOfFinals(const std::string& parser);

}  // namespace cllm
