// llama.cpp's parser of the answers to one prompt: what a text means, as far as it goes. Inner part of AnswerFormat.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <chat-peg-parser.h>

#include "base/status.h"
#include "model/answer_part.h"

namespace cllm {

struct ParsedCall {
  std::string id;
  std::string name;
  std::string arguments;    // JSON, as far as they go
  bool is_certain = false;  // no text behind it can give it another name or id
  bool is_complete = false;
  std::size_t end = 0;             // of its last text
  std::size_t content_before = 0;  // bytes of the answer's content
};

struct ParsedAnswer {
  enum class State : std::uint8_t {
    kFails,    // no answer begins like this
    kTooDeep,  // it nests more than is worth a parser's stack
    kOpen,     // it may go on
    kClosed,   // all up to `end` is whole, and what follows there, if anything, does not belong to it
  };
  State state = State::kFails;
  std::size_t end = 0;
  std::string content = {};
  std::string reasoning = {};
  std::vector<ParsedCall> calls = {};
  // Where the last text ends that somebody is to see: content, reasoning, a name, arguments.
  std::size_t seen_end = 0;
  // The text ends within it.
  std::optional<AnswerPart::Kind> open_text = {};
  bool ends_in_reasoning = false;  // even where there is none of it yet
};

class AnswerGrammar {
 public:
  // Throws what the library throws.
  explicit AnswerGrammar(const common_chat_params& params);

  // `is_whole`: nothing follows the text.
  ParsedAnswer Parse(const std::string& text, bool is_whole = false) const;

  // One of these ends a stretch of content or of reasoning; nothing else does.
  const std::vector<std::string>& Delimiters(AnswerPart::Kind kind) const {
    return kind == AnswerPart::Kind::kReasoning ? reasoning_delimiters_ : content_delimiters_;
  }
  bool reads_calls() const { return reads_calls_; }
  // Parameters by their names and types, rather than arguments that are one JSON object.
  bool reads_parameters() const { return reads_parameters_; }
  // The longest end of `text` that begins a delimiter and is none: what it is going to be is open.
  std::size_t UndecidedBytes(std::string_view text) const;

 private:
  bool NestsTooDeep(std::string_view text) const;
  void Collect();

  common_chat_format format_;
  common_peg_arena arena_;
  std::vector<std::string> content_delimiters_;
  std::vector<std::string> reasoning_delimiters_;
  std::vector<std::string> all_delimiters_;
  bool has_single_quotes_ = false;
  bool has_ids_ = false;
  bool reads_calls_ = false;
  bool reads_parameters_ = false;
};

// The longest end of `text` that begins one of the delimiters and is shorter than it.
std::size_t BeginningOfDelimiter(std::string_view text, const std::vector<std::string>& delimiters);

// Whether `text` nests more than `most` JSON values, wherever in it a value begins, and whatever the quotes around that are.
bool NestsDeeper(std::string_view text, int most, bool single_quotes);

}  // namespace cllm
