// A request from text to text, whatever dialect it came in: what is asked for, and how the answer comes back.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "grammar/grammar_source.h"
#include "model/answer_part.h"
#include "model/chat_template.h"
#include "model/infill.h"
#include "scheduler/request.h"

namespace cllm {

// Text and token ids in turn that are one prompt together.
struct PromptParts {
  std::vector<std::variant<std::string, std::vector<TokenId>>> parts;
  // What the model wants around a text (BOS …), where the first part is one.
  bool add_special_tokens = true;
};

using Prompt = std::variant<std::string, std::vector<TokenId>, ChatPrompt, PromptParts, GapPrompt>;

// As max_tokens: whatever the context has room for.
inline constexpr int kUntilContextEnd = -1;

// What the answer has to be.
struct AnswerConstraint {
  GrammarPart grammar = {};
  std::string field = {};  // of the request that asked for it
  // Whether a finished answer is what was asked for, by other means than the grammar. Thread safe; nothing: it isn't looked at.
  std::function<Status(std::string_view text)> check = {};
};

struct GenerateRequest {
  Prompt prompt;
  std::optional<AnswerConstraint> constraint = {};
  // Whether the arguments of a call are what its tool takes, as `check` of a constraint; nothing: they aren't looked at.
  std::function<Status(const ChatToolCall& call)> check_call = {};
  // At most so many, or what the context has room for if that is less. Absent: `default_max_tokens` of the dialect.
  std::optional<int> max_tokens;
  std::optional<int> default_max_tokens;
  SamplingParams sampling;
  std::optional<std::uint64_t> seed;  // absent: a random one, which the answer names
  std::vector<std::string> stop;
  bool include_stop = false;         // the answer ends behind the stop string instead of before it
  bool show_special_tokens = false;  // control tokens have their text in the answer
  bool echo = false;                 // the answer begins with the text of its prompt, which is no chat
  bool ignore_eos = false;
  bool wants_tokens = false;  // deltas carry tokens, with log-probabilities or without
  // The prompt's tokens are scored, with so many alternatives each, and deltas carry them. Absent: they aren't.
  std::optional<int> prompt_logprobs = {};
  bool shows_stop_token = false;       // where one of them is what ended the answer, it is among the answer's tokens
  bool wants_prompt = false;           // the end carries the prompt's text
  bool wants_raw = false;              // deltas carry the text as it came, before it was told apart
  bool wants_prompt_progress = false;  // a delta says after each step how much of the prompt is computed
  int min_tokens = 0;                  // before them nothing ends the answer
  std::vector<TokenId> stop_tokens;    // beside the model's own ends of text; also under ignore_eos
  std::optional<double> timeout_s;     // less than the server's request_timeout
  // The answer ends with `length` at the first token that comes so long after the first one and behind a new line.
  std::optional<double> most_generation_s = {};
  // What requests of another owner, or with another salt, compute is not used for this one.
  std::string cache_owner = {};
  std::string cache_salt = {};
  std::optional<int> priority;  // seconds, as in SequenceRequest
  bool seed_is_drawn = false;   // `seed` is a random one: nobody will ask for it again
  TimePoint arrived{};          // when it was there as a whole; not set: when it is submitted
};

// One generated token as the client may want to see it.
struct TokenText {
  std::string bytes;  // may be a part of a character; control tokens have theirs too
  SampledToken token;
  std::vector<std::string> top_bytes;  // as token.top
  bool in_text = true;                 // false: a control token, which the answer's text leaves out
  bool is_content = true;              // false: of thoughts, calls and their marks
};

// A token of the prompt with its score.
struct PromptToken {
  TokenText text;         // in_text: of the text that an answer echoes
  std::int32_t rank = 0;  // as in TokenScore
};

struct TokenCounts {
  int prompt = 0;
  int cached = 0;  // of the prompt, that were not computed for this answer
  int generated = 0;
  int reasoning = 0;  // of the generated ones
};

// How long what there is of an answer has taken, in seconds.
struct AnswerTimes {
  double prompt_s = 0;      // from the start of computing until the first token, or until now
  double generation_s = 0;  // from the first token to the last one
};

// Tokens of a prompt and alternatives to them in one delta. More of them would hold up the text of other answers.
inline constexpr std::size_t kMostScoresAtOnce = 4096;

// A piece of the answer. All text is valid UTF-8; the pieces together are the answer.
struct TextDelta {
  std::string text;  // content
  // The tokens that the text comes from, where they or log-probabilities were asked for; else empty.
  std::vector<TokenText> tokens = {};
  int choice = 0;                      // which of the answers, where there are several
  TokenCounts counts = {};             // of this answer so far
  std::string reasoning = {};          // what the model thinks, where that is told apart
  std::vector<AnswerPart> calls = {};  // pieces of calls of tools, in their order
  std::string raw = {};                // the text as it came, where that is wanted
  AnswerTimes times = {};              // of this answer so far
  // Of the prompt, where that is wanted: so many tokens. Such a delta comes before all text and has none.
  std::optional<int> prompt_computed = {};
  // Of the prompt, where they are scored: all of them come before the answer.
  std::vector<PromptToken> prompt = {};
  std::size_t echoed = 0;  // first bytes of the text that are the prompt's, where it is scored

  bool empty() const { return text.empty() && reasoning.empty() && calls.empty(); }
  std::size_t bytes() const;
  // What comes next of the same answer.
  void Append(TextDelta next);
};

// What is known of an answer before its first text.
struct AnswerStart {
  bool is_cached = false;  // the whole answer was there
  int prefix_tokens = 0;   // of the prompt whose keys and values were there
  // Beside what was named when the request was read: what of its tools' schemas the model's way to write calls can't be held to.
  std::vector<std::string> relaxed_schema = {};
};

struct GenerationEnd {
  Status status;  // an error: what was sent before is incomplete
  FinishReason reason = FinishReason::kStop;
  int prompt_tokens = 0;
  int cached_tokens = 0;  // of the prompt, that were not computed for this answer
  int generated_tokens = 0;
  int reasoning_tokens = 0;  // of the generated ones
  std::uint64_t seed = 0;
  std::string stop_string = {};  // of the request's, the one that ended the answer; several answers have none
  // What the request's max_tokens was cut to, because the context has no more room.
  std::optional<int> cut_max_tokens = {};
  std::string prompt = {};  // its text, where that is wanted
  // Of several answers: each of them; then the counts are sums, and the times those of all together. Else empty.
  std::vector<GenerationEnd> each = {};
  double queue_time_s = 0;        // from acceptance to the start of computing; 0 if it never started
  double first_token_time_s = 0;  // from acceptance to the first token; 0 if there was none
  double response_time_s = 0;     // from acceptance to the end
  double generation_time_s = 0;   // from the first token to the last one

  AnswerTimes times() const { return {std::max(0.0, first_token_time_s - queue_time_s), generation_time_s}; }
  int choices() const { return each.empty() ? 1 : static_cast<int>(each.size()); }
  const GenerationEnd& of(int choice) const { return each.empty() ? *this : each.at(static_cast<std::size_t>(choice)); }
  FinishReason reason_of(int choice) const { return of(choice).reason; }
};

// Receives an answer: OnStart at most once, OnText any number of times, then OnEnd exactly once. Called on threads of the
// service, never on two at a time; must not block.
class GenerationSink {
 public:
  virtual ~GenerationSink() = default;
  // Before the first text of a request that was admitted.
  virtual void OnStart(const AnswerStart& /*start*/) {}
  virtual void OnText(TextDelta delta) = 0;
  virtual void OnEnd(const GenerationEnd& end) = 0;
};

}  // namespace cllm
