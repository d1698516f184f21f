#include "service/answer.h"

#include <algorithm>
#include <iterator>
#include <ranges>
#include <utility>

#include <fmt/format.h>

namespace cllm {
namespace {

// Which tokens of a piece are its content. Calls stand behind it, thoughts and what ends them before it.
void MarkContent(TextDelta& delta) {
  for (TokenText& token : delta.tokens) token.is_content = false;
  std::size_t bytes = 0;
  const auto mark = [&](TokenText& token) {
    token.is_content = token.in_text && bytes < delta.text.size();
    if (token.in_text) bytes += token.bytes.size();
  };
  if (delta.calls.empty()) {
    std::ranges::for_each(delta.tokens | std::views::reverse, mark);
  } else {
    std::ranges::for_each(delta.tokens, mark);
  }
}

}  // namespace

Answer::Answer(Settings settings, std::shared_ptr<RequestControl> control, std::shared_ptr<GenerationSink> sink, RequestMetrics& metrics)
    : settings_(std::move(settings)),
      control_(std::move(control)),
      sink_(std::move(sink)),
      metrics_(metrics),
      stops_(settings_.stops, settings_.include_stop) {
  if (settings_.format && !settings_.format->is_plain()) parser_.emplace(settings_.format);
}

void Answer::Start(TimePoint now, int cached_tokens) {
  started_ = now;
  cached_tokens_ = cached_tokens;
  sink_->OnStart(
      {.is_cached = settings_.from_cache, .prefix_tokens = cached_tokens, .relaxed_schema = std::exchange(settings_.relaxed_schema, {})});
  if (settings_.wants_prompt_progress) AddPrompt(cached_tokens, now);
  const bool comes_with_scores = settings_.prompt_logprobs.has_value();
  if (!settings_.echo.empty() && !comes_with_scores) sink_->OnText({.text = std::move(settings_.echo), .tokens = {}, .counts = counts()});
}

// What gave way computes its prompt once more, of which nobody hears.
void Answer::AddPrompt(int computed, TimePoint now) {
  if (ended_ || computed <= told_of_prompt_) return;
  told_of_prompt_ = computed;
  TextDelta delta;
  delta.counts = counts();
  delta.times.prompt_s = std::chrono::duration<double>(now - *started_).count();
  delta.prompt_computed = computed;
  sink_->OnText(std::move(delta));
}

AnswerTimes Answer::times() const {
  if (generated_ == 0 || !started_) return {};
  const auto between = [](TimePoint from, TimePoint to) { return std::max(0.0, std::chrono::duration<double>(to - from).count()); };
  return {.prompt_s = between(*started_, first_token_), .generation_s = between(first_token_, last_token_)};
}

// A token as its client may want to see it; `bytes` are those that the answer's text gets.
TokenText Answer::Shown(const SampledToken& token, std::string bytes, const PieceFunction& piece) const {
  const bool in_text = !bytes.empty();
  TokenText shown{.bytes = in_text ? std::move(bytes) : piece(token.token, true), .token = token, .top_bytes = {}, .in_text = in_text};
  for (const TokenLogprob& other : token.top) shown.top_bytes.push_back(piece(other.token, true));
  return shown;
}

PromptToken Answer::ShownOfPrompt(TokenScore score, const PieceFunction& piece) const {
  SampledToken token{.token = score.token, .logprob = score.logprob, .top = std::move(score.top)};
  PromptToken shown{.text = Shown(token, piece(score.token, settings_.echoes_controls), piece), .rank = score.rank};
  return shown;
}

void Answer::AddScores(std::vector<TokenScore> scores, const PieceFunction& piece, TimePoint now) {
  if (ended_ || AbortIfLate(now)) return;
  const std::size_t most = std::max<std::size_t>(1, kMostScoresAtOnce / (static_cast<std::size_t>(*settings_.prompt_logprobs) + 1));
  for (TokenScore& score : scores) {
    if (settings_.keep) kept_.scores.push_back(score);
    scored_.push_back(ShownOfPrompt(std::move(score), piece));
    if (++scores_ < settings_.prompt_tokens && scored_.size() < most) continue;
    const std::size_t echoed = settings_.echo.size();
    sink_->OnText({.text = std::exchange(settings_.echo, {}), .counts = counts(), .prompt = std::exchange(scored_, {}), .echoed = echoed});
  }
}

bool Answer::AbortIfLate(TimePoint now) {
  if (now <= settings_.deadline) return false;
  Abort({ErrorCode::kTimedOut, fmt::format("the request's deadline passed after {} tokens", generated_), {}}, now);
  return true;
}

bool Answer::Shows(TokenId token) const {
  return settings_.show_special_tokens || std::ranges::binary_search(settings_.shown_tokens, token);
}

void Answer::Add(const SampledToken& token, const PieceFunction& piece, TimePoint now) {
  if (ended_ || AbortIfLate(now)) return;
  if (generated_++ == 0) {
    first_token_ = now;
  } else {
    metrics_.RecordGap(std::chrono::duration<double>(now - last_token_).count());
  }
  last_token_ = now;
  if (settings_.keep) kept_.tokens.push_back(token);
  const bool thinks = parser_ && parser_->in_reasoning();
  std::string bytes = piece(token.token, Shows(token.token));
  const std::size_t text_start = assembled_;
  std::string text = assembler_.Push(bytes);
  assembled_ += text.size();
  has_new_line_ = has_new_line_ || text.contains('\n');
  if (settings_.wants_tokens) pending_tokens_.push_back({text_start, Shown(token, std::move(bytes), piece)});
  Send(generated_ <= settings_.min_tokens ? std::move(text) : stops_.Push(text));
  if (thinks || (parser_ && parser_->in_reasoning())) ++reasoning_;
  if (stops_.matched()) {
    control_->Send(RequestControl::Signal::kStop);
    return Finish(SendEnd(FinishReason::kStop, /*to_the_end=*/false), FinishReason::kStop, now);
  }
  if (!IsTooLate(now)) return;
  control_->Send(RequestControl::Signal::kStop);
  settings_.keep = {};  // another time it would be longer
  SendRest();
  Finish(SendEnd(FinishReason::kLength, /*to_the_end=*/true), FinishReason::kLength, now);
}

bool Answer::IsTooLate(TimePoint now) const {
  return settings_.most_generation_s && has_new_line_ &&
         std::chrono::duration<double>(now - first_token_).count() > *settings_.most_generation_s;
}

void Answer::SendRest() { Send(stops_.Push(assembler_.Finish()) + stops_.Finish()); }

void Answer::Abort(Error error, TimePoint now) {
  if (ended_) return;
  control_->Send(RequestControl::Signal::kCancel);
  Finish(std::unexpected(std::move(error)), FinishReason::kStop, now);
}

void Answer::End(const EndEvent& end, const PieceFunction& piece, TimePoint now) {
  if (ended_) return;
  if (end.state != RequestState::kFinished) {
    Error error = end.error;
    if (end.state == RequestState::kCancelled) error = {ErrorCode::kCancelled, "the request was cancelled", {}};
    Finish(std::unexpected(std::move(error)), end.reason, now);
    return;
  }
  SendRest();
  if (settings_.keep) kept_.stop_token = end.stop_token;
  if (settings_.shows_stop_token && end.stop_token) pending_tokens_.push_back({assembled_, Shown(*end.stop_token, {}, piece)});
  Finish(SendEnd(end.reason, /*to_the_end=*/true), end.reason, now);
}

// What no text follows any more.
Status Answer::SendEnd(FinishReason reason, bool to_the_end) {
  Status status;
  if (parser_) {
    Result<std::vector<AnswerPart>> parts = parser_->End(reason == FinishReason::kStop);
    if (parts) SendParts(std::move(*parts));
    if (!parts) status = std::unexpected(parts.error());
  }
  TextDelta last;
  last.tokens = std::exchange(held_tokens_, {});
  // Also the tokens that have no text of their own; but not those of a stop string.
  if (to_the_end) std::ranges::move(TakeTokens(std::string::npos), std::back_inserter(last.tokens));
  if (parser_) MarkContent(last);
  if (status && (!last.tokens.empty() || !held_raw_.empty())) Deliver(std::move(last));
  return status ? Check(reason) : status;
}

// An answer that was cut isn't what was asked for, and says so by its reason. One that calls tools has no content to check.
Status Answer::Check(FinishReason reason) {
  if (reason == FinishReason::kLength) return {};
  Status status;
  if (settings_.check && checked_.calls.empty()) status = settings_.check(checked_.text);
  for (const AnswerPart& call : checked_.calls) {
    if (status && settings_.check_call) status = settings_.check_call({.id = {}, .name = call.call_name, .arguments = call.text});
  }
  if (!status) metrics_.RecordInvalid();
  return status;
}

void Answer::Send(std::string text) {
  if (text.empty()) return;
  sent_ += text.size();
  if (settings_.wants_raw) held_raw_ += text;
  if (parser_) return SendParts(parser_->Add(text));
  Deliver({.text = std::move(text), .tokens = TakeTokens(sent_)});
}

void Answer::SendParts(std::vector<AnswerPart> parts) {
  TextDelta delta;
  for (AnswerPart& part : parts) {
    if (part.kind == AnswerPart::Kind::kContent) delta.text += part.text;
    if (part.kind == AnswerPart::Kind::kReasoning) delta.reasoning += part.text;
    if (part.kind == AnswerPart::Kind::kToolCall) delta.calls.push_back(std::move(part));
  }
  for (TokenText& token : TakeTokens(sent_)) held_tokens_.push_back(std::move(token));
  if (delta.empty()) return;
  delta.tokens = std::exchange(held_tokens_, {});
  MarkContent(delta);
  Deliver(std::move(delta));
}

void Answer::Deliver(TextDelta delta) {
  delta.counts = counts();
  delta.times = times();
  delta.raw = std::exchange(held_raw_, {});
  if (settings_.check || settings_.check_call) checked_.Append({.text = delta.text, .calls = delta.calls});
  sink_->OnText(std::move(delta));
}

// The tokens whose text begins before `text_end` of the answer.
std::vector<TokenText> Answer::TakeTokens(std::size_t text_end) {
  std::vector<TokenText> taken;
  std::size_t count = 0;
  while (count < pending_tokens_.size() && pending_tokens_[count].text_start < text_end) {
    taken.push_back(std::move(pending_tokens_[count++].text));
  }
  pending_tokens_.erase(pending_tokens_.begin(), pending_tokens_.begin() + static_cast<std::ptrdiff_t>(count));
  return taken;
}

void Answer::Finish(Status status, FinishReason reason, TimePoint now) {
  ended_ = true;
  GenerationEnd end;
  end.status = std::move(status);
  end.reason = reason;
  end.prompt_tokens = settings_.prompt_tokens;
  end.cached_tokens = cached_tokens_;
  end.generated_tokens = generated_;
  end.reasoning_tokens = reasoning_;
  end.seed = settings_.seed;
  end.stop_string = stops_.found();
  end.cut_max_tokens = settings_.cut_max_tokens;
  end.prompt = std::move(settings_.prompt);
  const auto since_accepted = [this](TimePoint time) { return std::chrono::duration<double>(time - settings_.accepted).count(); };
  end.queue_time_s = started_ ? since_accepted(*started_) : 0;
  end.first_token_time_s = generated_ > 0 ? since_accepted(first_token_) : 0;
  end.response_time_s = since_accepted(now);
  end.generation_time_s = generated_ > 0 ? std::chrono::duration<double>(last_token_ - first_token_).count() : 0;
  metrics_.RecordEnd(end);
  if (end.status && settings_.keep) {
    kept_.reason = reason;
    settings_.keep(std::move(kept_));
  }
  sink_->OnEnd(end);
}

}  // namespace cllm
