// The text of one answer while its tokens arrive: characters are completed, stop strings found and held back.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "model/answer_format.h"
#include "model/tokenizer.h"
#include "service/generation.h"
#include "service/metrics.h"
#include "service/result_cache.h"
#include "service/stop_matcher.h"

namespace cllm {

// Bytes of a token id; those of a control token only with `special`. A function, so that a test needs no model.
using PieceFunction = std::function<std::string(TokenId, bool special)>;

class Answer {
 public:
  struct Settings {
    std::shared_ptr<const StopStrings> stops = nullptr;
    bool include_stop = false;
    bool show_special_tokens = false;
    std::vector<TokenId> shown_tokens = {};  // control tokens that have their text in any case; sorted
    // How the text is read; nothing: it is content.
    std::shared_ptr<const AnswerFormat> format = nullptr;
    std::string echo = {};                         // comes before the answer; valid UTF-8
    std::optional<int> prompt_logprobs = {};       // as in GenerateRequest
    bool echoes_controls = false;                  // control tokens of the prompt have their text in `echo`
    bool shows_stop_token = false;                 // as in GenerateRequest
    std::string prompt = {};                       // as the end names it; valid UTF-8
    int min_tokens = 0;                            // the text of so many first tokens isn't searched for stop strings
    bool wants_tokens = false;                     // deltas carry TokenText
    bool wants_raw = false;                        // as in GenerateRequest
    bool wants_prompt_progress = false;            // likewise
    std::optional<double> most_generation_s = {};  // likewise
    int prompt_tokens = 0;
    std::uint64_t seed = 0;
    std::optional<int> cut_max_tokens = {};
    TimePoint accepted;
    TimePoint deadline = TimePoint::max();
    // As AnswerConstraint::check and GenerateRequest::check_call.
    std::function<Status(std::string_view text)> check = {};
    std::function<Status(const ChatToolCall& call)> check_call = {};
    // Called with all tokens of an answer that finished; empty: nobody wants them.
    std::function<void(CachedResult)> keep = {};
    // The answer's tokens come from the result cache.
    bool from_cache = false;
    std::vector<std::string> relaxed_schema = {};  // as in AnswerStart
  };

  // `metrics` outlives the answer.
  Answer(Settings settings, std::shared_ptr<RequestControl> control, std::shared_ptr<GenerationSink> sink, RequestMetrics& metrics);

  // The scheduler has admitted the request; of its prompt `cached_tokens` need not be computed.
  void Start(TimePoint now, int cached_tokens);
  // So many tokens of the prompt are computed.
  void AddPrompt(int computed, TimePoint now);
  // The prompt's next tokens with their scores, from the first one on. They are handed on in pieces whose size depends on the request
  // alone, the echo with the first of them.
  void AddScores(std::vector<TokenScore> scores, const PieceFunction& piece, TimePoint now);
  // Sends what the token decides. At a stop string the request is told to stop and the answer ends; so it does, with an error, at its
  // deadline, since the time that text takes is a part of the answer's.
  void Add(const SampledToken& token, const PieceFunction& piece, TimePoint now);
  // The scheduler's word that nothing further comes. Does nothing if the answer has ended before.
  void End(const EndEvent& end, const PieceFunction& piece, TimePoint now);
  // Ends the answer and tells the scheduler, unless it has ended before.
  void Abort(Error error, TimePoint now);
  bool ended() const { return ended_; }

 private:
  bool AbortIfLate(TimePoint now);
  PromptToken ShownOfPrompt(TokenScore score, const PieceFunction& piece) const;
  TokenText Shown(const SampledToken& token, std::string bytes, const PieceFunction& piece) const;
  TokenCounts counts() const {
    return {.prompt = settings_.prompt_tokens, .cached = cached_tokens_, .generated = generated_, .reasoning = reasoning_};
  }
  AnswerTimes times() const;
  bool Shows(TokenId token) const;
  // Sends all text that was held back.
  void SendRest();
  bool IsTooLate(TimePoint now) const;
  void Send(std::string text);
  void SendParts(std::vector<AnswerPart> parts);
  void Deliver(TextDelta delta);
  // `to_the_end`: of the answer, not just to a stop string.
  Status SendEnd(FinishReason reason, bool to_the_end);
  std::vector<TokenText> TakeTokens(std::size_t text_end);
  Status Check(FinishReason reason);
  void Finish(Status status, FinishReason reason, TimePoint now);

  Settings settings_;
  std::shared_ptr<RequestControl> control_;
  std::shared_ptr<GenerationSink> sink_;
  RequestMetrics& metrics_;
  Utf8Assembler assembler_;
  StopMatcher stops_;
  struct PendingToken {
    std::size_t text_start;  // length of the answer's text before it
    TokenText text;
  };
  std::vector<PendingToken> pending_tokens_;
  std::vector<PromptToken> scored_;  // no delta has them so far
  int scores_ = 0;
  std::size_t assembled_ = 0;  // bytes of text so far
  std::size_t sent_ = 0;
  int generated_ = 0;
  int cached_tokens_ = 0;
  int told_of_prompt_ = -1;  // tokens
  std::optional<AnswerParser> parser_;
  // Content and calls so far, where they will be checked.
  TextDelta checked_;
  std::vector<TokenText> held_tokens_;  // whose text the parser has
  std::string held_raw_;                // no delta has it so far
  int reasoning_ = 0;                   // tokens
  CachedResult kept_;                   // so far, where they are wanted
  std::optional<TimePoint> started_;
  TimePoint first_token_;
  TimePoint last_token_;
  bool has_new_line_ = false;
  bool ended_ = false;
};

}  // namespace cllm
