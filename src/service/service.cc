#include "service/service.h"

#include <algorithm>
#include <new>
#include <ranges>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/log.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "grammar/pending_grammar.h"
#include "grammar/thoughts.h"
#include "grammar/triggered_constraint.h"
#include "scheduler/admission.h"
#include "service/context_length.h"

namespace cllm {
namespace {

constexpr int kPrepareThreads = 2;
// Each waits for a child most of the time. Grammars that take long leave room for others.
constexpr int kGrammarThreads = 4;
constexpr int kJobThreads = 1;
// Seconds until another server may have taken the place of one that ends.
constexpr int kRetryAfterTheEnd = 5;

// What a client's own bound was cut to.
std::optional<int> CutMaxTokens(const GenerateRequest& request, int max_tokens) {
  return request.max_tokens.value_or(kUntilContextEnd) > max_tokens ? std::optional(max_tokens) : std::nullopt;
}

TimePoint After(TimePoint time, double seconds) {
  return time + std::chrono::duration_cast<TimePoint::duration>(std::chrono::duration<double>(seconds));
}

// In order.
std::vector<TokenId> TokensOfMarks(const std::vector<GrammarToken>& marks) {
  std::vector<TokenId> tokens;
  for (const GrammarToken& mark : marks) tokens.push_back(mark.token);
  std::ranges::sort(tokens);
  return tokens;
}

}  // namespace

struct Service::Accepted {
  std::shared_ptr<const SharedRequest> shared;
  std::uint32_t choice = 0;
  std::shared_ptr<GenerationSink> sink;
  std::shared_ptr<RequestControl> control;
  std::shared_ptr<const RequestControl> all;  // what ends all answers to the request
  TimePoint time;
};

Service::Service(const TextModel& model, Engine& engine, const SchedulerOptions& options, std::function<void()> on_step_sent,
                 int max_input_tokens, const ResultCacheOptions& result_cache, GrammarCompiler* grammars, StepTurns* turns)
    : model_(model),
      engine_(engine.capabilities()),
      options_(options),
      max_context_(engine.capabilities().max_context),
      max_input_tokens_(max_input_tokens),
      vocab_size_(engine.capabilities().vocab_size),
      max_open_(0),
      on_step_sent_(std::move(on_step_sent)),
      result_cache_(result_cache),
      grammars_(grammars),
      text_stage_([this](TokenId token, bool special) { return model_.Piece(token, special); }, on_step_sent_, [this] { CloseRequest(); }),
      loop_(
          engine, options, [this](StepEvents&& events) { text_stage_.Post(std::move(events)); }, turns),
      workers_(kPrepareThreads),
      chat_workers_(kPrepareThreads),
      grammar_workers_(kGrammarThreads),
      embedding_workers_(kPrepareThreads),
      job_workers_(kJobThreads, /*steps_back=*/true) {
  max_open_ = loop_.max_running() + options.max_queue_size;
}

Service::~Service() {
  StopAccepting();
  const std::lock_guard lock(ending_mutex_);
  ending_ = true;
}

StopCheck Service::StopOf(TimePoint deadline, std::shared_ptr<const RequestControl> control) const {
  return [this, deadline, control = std::move(control)]() -> Status {
    if (ending_) return Fail(ErrorCode::kCancelled, "the server is shutting down");
    if (control && control->signal() != RequestControl::Signal::kNone) return Fail(ErrorCode::kCancelled, "the request was cancelled");
    if (std::chrono::steady_clock::now() < deadline) return {};
    return Fail(ErrorCode::kTimedOut, "the request ran into its time limit while it was prepared");
  };
}

Status Service::LookForRoom() { return CheckOpen(open_, options_.request_timeout); }

// For one more beside `open_before`; a refusal is counted.
Status Service::CheckOpen(int open_before, double timeout_s) {
  Status status;
  if (accepting_) {
    const AdmissionLimits limits{.max_running = loop_.max_running(), .max_queue = options_.max_queue_size};
    status = CheckRoom(limits, open_before, loop_.stats().seconds_per_start, timeout_s,
                       loop_.SecondsToFreePlace(std::chrono::steady_clock::now()));
  } else {
    status = std::unexpected(Error{ErrorCode::kUnavailable, "the server is shutting down", {}, kRetryAfterTheEnd});
  }
  if (!status) ++refused_;
  return status;
}

Result<std::shared_ptr<RequestControl>> Service::Submit(std::shared_ptr<const SharedRequest> request, const Choice& choice,
                                                        std::shared_ptr<GenerationSink> sink) {
  if (Status status = CheckGenerates(); !status) return std::unexpected(status.error());
  if (Status status = OpenRequest(TimeoutOf(request->fields())); !status) return std::unexpected(status.error());
  ++accepted_;
  const TimePoint arrived = request->fields().arrived;
  auto accepted = std::make_shared<Accepted>(Accepted{.shared = std::move(request),
                                                      .choice = choice.number,
                                                      .sink = std::move(sink),
                                                      .control = std::make_shared<RequestControl>(choice.group),
                                                      .all = choice.group,
                                                      .time = arrived != TimePoint() ? arrived : std::chrono::steady_clock::now()});
  WorkersFor(accepted->shared->fields()).Post([this, accepted] { Prepare(accepted); });
  return accepted->control;
}

WorkerPool& Service::WorkersFor(const GenerateRequest& request) {
  if (WaitsForGrammar(request)) return grammar_workers_;
  return std::holds_alternative<ChatPrompt>(request.prompt) ? chat_workers_ : workers_;
}

Status Service::SubmitJob(std::shared_ptr<const RequestControl> control, Job job) {
  if (Status status = OpenRequest(options_.request_timeout); !status) return status;
  const StopCheck stop = StopOf(After(std::chrono::steady_clock::now(), options_.request_timeout), std::move(control));
  job_workers_.Post([this, job = std::move(job), stop] {
    job(stop);
    CloseRequest();
  });
  return {};
}

double Service::TimeoutOf(const GenerateRequest& request) const {
  return std::min(options_.request_timeout, request.timeout_s.value_or(options_.request_timeout));
}

// One more is open, unless it is refused.
Status Service::OpenRequest(double timeout_s) {
  // Counted before the look at accepting_: whoever stops the one and then waits for the other to be 0 misses nobody.
  const int open_before = open_.fetch_add(1);
  Status status = CheckOpen(open_before, timeout_s);
  if (!status) CloseRequest();
  return status;
}

void Service::CloseRequest() {
  if (open_.fetch_sub(1) > 1) return;
  {
    const std::lock_guard lock(idle_mutex_);
  }  // a waiter has either seen the new count or is waiting
  idle_.notify_all();
}

bool Service::WaitUntilIdle(TimePoint until) {
  std::unique_lock lock(idle_mutex_);
  return idle_.wait_until(lock, until, [this] { return open_ == 0; });
}

void Service::Prepare(const std::shared_ptr<Accepted>& accepted) {
  Status status;
  try {
    status = PrepareAnswer(*accepted);
  } catch (const std::bad_alloc&) {
    status = Fail(ErrorCode::kUnavailable, "the server has no memory for the request");
  }
  if (!status) Refuse(*accepted, status);
}

// Hands a sequence to the engine loop, or the answer's tokens to the text stage. Nothing is handed on after an error.
Status Service::PrepareAnswer(Accepted& accepted) {
  if (accepted.control->signal() != RequestControl::Signal::kNone) return Fail(ErrorCode::kCancelled, "the request was cancelled");
  SequenceRequest sequence;
  if (Status status = PrepareTokens(accepted, sequence); !status) return status;
  const GenerateRequest& request = accepted.shared->fields();
  Result<std::string> echo = request.echo || request.wants_prompt ? TextOf(request.prompt) : Result<std::string>();
  if (!echo) return std::unexpected(echo.error());
  const EncodedPrompt& encoded = accepted.shared->encoded();
  const Result<std::optional<AnswerGrammarSource>> asked = GrammarOf(request, encoded);
  if (!asked) return std::unexpected(asked.error());
  const std::optional<AnswerGrammarSource>& grammar = *asked;
  if (grammar) sequence.grammar = grammar->Key();
  const std::optional<int> budget = ThoughtBudgetOf(request, encoded);
  if (budget) sequence.grammar += fmt::format(" thoughts {}", *budget);
  std::vector<std::string> stop = request.stop;
  std::shared_ptr<const StopStrings> stops = accepted.shared->stops();
  if (encoded.format && !encoded.format->additional_stops().empty()) {
    stop.insert(stop.end(), encoded.format->additional_stops().begin(), encoded.format->additional_stops().end());
    stops = std::make_shared<const StopStrings>(stop);
  }
  Answer::Settings settings{.stops = std::move(stops),
                            .include_stop = request.include_stop,
                            .show_special_tokens = request.show_special_tokens,
                            .shown_tokens = TokensOfMarks(encoded.marks),
                            .format = encoded.format,
                            .echo = request.echo ? *echo : std::string(),
                            .prompt_logprobs = request.prompt_logprobs,
                            .echoes_controls = std::holds_alternative<std::vector<TokenId>>(request.prompt),
                            .shows_stop_token = request.shows_stop_token,
                            .prompt = request.wants_prompt ? *std::move(echo) : std::string(),
                            .min_tokens = request.min_tokens,
                            .wants_tokens = request.wants_tokens || sequence.sampling.top_logprobs != kNoLogprobs,
                            .wants_raw = request.wants_raw,
                            .wants_prompt_progress = request.wants_prompt_progress,
                            .most_generation_s = request.most_generation_s,
                            .prompt_tokens = static_cast<int>(sequence.prompt.size()),
                            .seed = sequence.sampling.seed,
                            .cut_max_tokens = CutMaxTokens(request, sequence.max_tokens),
                            .accepted = accepted.time,
                            .deadline = sequence.deadline};
  if (grammar) settings.relaxed_schema = grammar->relaxed;
  if (request.constraint) settings.check = request.constraint->check;
  settings.check_call = request.check_call;
  std::shared_ptr<const CachedResult> known;
  if (result_cache_.enabled() && IsRepeatable(sequence, request.seed && !request.seed_is_drawn)) {
    std::string key = ResultKey(sequence, stop);
    known = result_cache_.Find(key, std::chrono::steady_clock::now());
    settings.from_cache = known != nullptr;
    if (!known) {
      settings.keep = [this, key = std::move(key)](CachedResult result) mutable {
        result_cache_.Insert(std::move(key), std::move(result), std::chrono::steady_clock::now());
      };
    }
  }
  if (!known && grammar) {
    if (Status status = PrepareConstraint(accepted, *grammar, sequence); !status) return status;
  }
  if (!known && budget) {
    if (Status status = BoundThoughts(encoded, *budget, grammar && grammar->triggers.empty() ? &grammar->source : nullptr, sequence);
        !status)
      return status;
  }
  auto answer = std::make_unique<Answer>(std::move(settings), accepted.control, accepted.sink, request_metrics_);
  text_stage_.Register(sequence.id, std::move(answer));
  if (known) {
    Replay(sequence.id, static_cast<int>(sequence.prompt.size()), *known);
  } else {
    loop_.Submit(std::move(sequence));
  }
  return {};
}

Status Service::PrepareConstraint(Accepted& accepted, const AnswerGrammarSource& grammar, SequenceRequest& sequence) {
  if (grammars_ == nullptr) {
    return grammar.is_needed ? InvalidArgument("answers can't be constrained by a grammar here", grammar.field) : Status();
  }
  const StopCheck stop = StopOf(sequence.deadline, accepted.all ? accepted.all : accepted.control);
  const std::shared_ptr<const PendingGrammar> pending =
      accepted.shared->Compiled([&] { return BeginToCompile(grammar, sequence.cache_root, stop); });
  if (grammar.is_needed) {
    std::optional<PendingGrammar::Outcome> outcome;
    while (!outcome) outcome = pending->Wait(std::chrono::hours(1));
    if (!*outcome) {
      Error error = outcome->error();
      if (error.code == ErrorCode::kInvalidArgument)
        error = {error.code, fmt::format("{}: {}", grammar.field, error.message), grammar.field};
      return std::unexpected(std::move(error));
    }
    if (grammar.triggers.empty()) {
      sequence.constraint = grammars_->Constrain(**outcome);
      return {};
    }
  }
  sequence.constraint = std::make_shared<TriggeredConstraint>(TriggeredConstraint::Settings{
      .triggers = grammar.triggers,
      .marks = ThoughtsOf(accepted.shared->encoded()),
      .once = grammar.once,
      .ends = model_.end_of_generation_tokens(),
      .bytes = [this](TokenId token) { return model_.Piece(token, true); },
      .begin =
          [this, pending](std::string begun) {
            return std::make_shared<PendingConstraint>(
                pending, [this, begun = std::move(begun)](auto compiled) { return grammars_->Constrain(std::move(compiled), begun); });
          }});
  return {};
}

// Once for all answers to a request. What an answer may do without is compiled elsewhere, since most answers call nothing.
std::shared_ptr<const PendingGrammar> Service::BeginToCompile(const AnswerGrammarSource& grammar, CacheRoot root, const StopCheck& stop) {
  auto pending = std::make_shared<PendingGrammar>();
  if (grammar.is_needed) {
    pending->Set(grammars_->Compile(grammar.source, root, stop));
    return pending;
  }
  grammar_workers_.Post([this, pending, source = grammar.source, root, stop] {
    PendingGrammar::Outcome compiled = Fail(ErrorCode::kUnavailable, "the server has no memory for the grammar");
    try {
      compiled = grammars_->Compile(source, root, stop);
    } catch (const std::bad_alloc&) {  // the answers go on without
    }
    if (!compiled && compiled.error().code == ErrorCode::kInvalidArgument) {
      spdlog::warn("calls of tools that nobody demands are not held to their schemas while they are generated: {}",
                   EscapedForLog(compiled.error().message));
    }
    pending->Set(std::move(compiled));
  });
  return pending;
}

// `grammar`: of the whole answer. It lets only those control tokens come that it names, so the end of the thoughts may have to come as
// text.
Status Service::BoundThoughts(const EncodedPrompt& encoded, int most_tokens, const GrammarSource* grammar,
                              SequenceRequest& sequence) const {
  ThoughtMarks marks = ThoughtsOf(encoded);
  Result<std::vector<TokenId>> closing = model_.Tokenize(marks.ends.front(), false, true, {});
  const auto is_forbidden = [&](TokenId token) {
    return model_.Piece(token, false).empty() && std::ranges::find(grammar->tokens, token, &GrammarToken::token) == grammar->tokens.end();
  };
  if (closing && grammar && std::ranges::any_of(*closing, is_forbidden)) closing = model_.Tokenize(marks.ends.front(), false, false, {});
  if (!closing) return std::unexpected(closing.error());
  sequence.constraint =
      std::make_shared<ThoughtBudget>(ThoughtBudget::Settings{.marks = std::move(marks),
                                                              .most_tokens = most_tokens,
                                                              .closing = std::move(*closing),
                                                              .bytes = [this](TokenId token) { return model_.Piece(token, true); }},
                                      std::move(sequence.constraint));
  return {};
}

void Service::Refuse(Accepted& accepted, const Status& status) {
  GenerationEnd end;
  end.status = status;
  end.response_time_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - accepted.time).count();
  request_metrics_.RecordEnd(end);
  accepted.sink->OnEnd(end);
  on_step_sent_();
  CloseRequest();
}

// The events of a request whose steps were all computed before.
void Service::Replay(RequestId id, int prompt_tokens, const CachedResult& result) {
  StepEvents events;
  events.planned_at = std::chrono::steady_clock::now();
  events.starts.push_back({.id = id, .cached_tokens = prompt_tokens});
  if (!result.scores.empty()) events.scores.push_back({id, result.scores});
  for (const SampledToken& token : result.tokens) events.tokens.push_back({id, token});
  events.ends.push_back(
      {.id = id, .state = RequestState::kFinished, .reason = result.reason, .error = {}, .stop_token = result.stop_token});
  text_stage_.Post(std::move(events));
}

Status Service::PrepareTokens(Accepted& accepted, SequenceRequest& sequence) {
  const GenerateRequest& request = accepted.shared->fields();
  sequence.deadline = After(accepted.time, TimeoutOf(request));
  const Result<EncodedPrompt>& encoded = accepted.shared->Encoded(
      [&] { return model_.Encode(request.prompt, MostPromptTokens(), StopOf(sequence.deadline, accepted.control)); });
  if (!encoded) return std::unexpected(encoded.error());
  const char* field = PromptField(request.prompt);
  const int prompt_tokens = encoded->token_count();
  if (prompt_tokens == 0) return InvalidArgument("the prompt is empty", field);
  if (max_input_tokens_ > 0 && prompt_tokens > max_input_tokens_) {
    return Fail(ErrorCode::kContextLength,
                fmt::format("the prompt has {}{} tokens, more than the {} of http.max_input_tokens",
                            encoded->is_tokenised() ? "" : "at least ", prompt_tokens, max_input_tokens_),
                field);
  }
  const bool is_answered = request.max_tokens != 0;
  if (prompt_tokens > max_context_ || (prompt_tokens == max_context_ && is_answered))
    return std::unexpected(ContextLengthError(request.prompt, prompt_tokens, max_context_, !encoded->is_tokenised()));
  if (Status status = CheckTokenIds(request); !status) return status;
  sequence.id = next_id_++;
  sequence.prompt = encoded->tokens;
  if (Status status = SetLength(request, sequence); !status) return status;
  if (request.prompt_logprobs && engine_.max_logit_rows == 0) {
    return Fail(ErrorCode::kNotSupported, "prompts can't be scored here: the engine gives no logits of their tokens");
  }
  sequence.prompt_logprobs = request.prompt_logprobs.value_or(kNoLogprobs);
  sequence.sampling = request.sampling;
  sequence.choice = accepted.choice;
  sequence.sampling.seed = request.seed ? *request.seed : RandomSeed();
  SetEnds(request, sequence);
  sequence.cache_root = cache_roots_.Of(request.cache_owner, request.cache_salt);
  sequence.arrived = accepted.time;
  sequence.priority = request.priority.value_or(0);
  if (options_.queue_timeout > 0) sequence.start_by = After(accepted.time, options_.queue_timeout);
  sequence.control = accepted.control;
  sequence.reports_prompt = request.wants_prompt_progress;
  return {};
}

// How long the answer may be. A bound above what the context has room for is a bound that is never reached.
Status Service::SetLength(const GenerateRequest& request, SequenceRequest& sequence) const {
  const int room = max_context_ - static_cast<int>(sequence.prompt.size());
  const int bound = request.max_tokens.value_or(request.default_max_tokens.value_or(kUntilContextEnd));
  sequence.max_tokens = bound == kUntilContextEnd ? room : std::min(bound, room);
  if (bound != kUntilContextEnd && request.min_tokens > bound) {
    return InvalidArgument(fmt::format("min_tokens is {}, more than the {} tokens that the answer may have", request.min_tokens, bound),
                           "min_tokens");
  }
  return {};
}

// The text of a prompt as an answer repeats it or names it. A text is itself, without what its tokens have around it.
Result<std::string> Service::TextOf(const Prompt& prompt) const {
  std::string text;
  const auto add = [&](const auto& part) -> Status {
    if constexpr (std::is_same_v<std::decay_t<decltype(part)>, std::string>) {
      text += part;
      return {};
    } else {
      const Result<std::string> piece = model_.Detokenize(part);
      if (!piece) return std::unexpected(piece.error());
      text += *piece;
      return {};
    }
  };
  Status status;
  if (const auto* whole = std::get_if<std::string>(&prompt)) status = add(*whole);
  if (const auto* tokens = std::get_if<std::vector<TokenId>>(&prompt)) status = add(*tokens);
  if (const auto* gap = std::get_if<GapPrompt>(&prompt)) status = add(gap->prefix);
  if (const auto* mixed = std::get_if<PromptParts>(&prompt)) {
    for (const auto& part : mixed->parts) {
      if (status) status = std::visit(add, part);
    }
  }
  if (!status) return std::unexpected(status.error());
  Utf8Assembler assembler;
  std::string valid = assembler.Push(text);
  return valid + assembler.Finish();
}

// Of a prompt, whatever else the request asks for.
std::size_t Service::MostPromptTokens() const {
  const int most = max_input_tokens_ > 0 ? std::min(max_input_tokens_, max_context_) : max_context_;
  return static_cast<std::size_t>(most);
}

Status Service::CheckTokenIds(const GenerateRequest& request) const {
  Status status;
  const auto check = [&](auto&& tokens, const char* field) {
    const auto beyond = std::ranges::find_if(tokens, [this](TokenId token) { return token >= vocab_size_; });
    if (!status || beyond == std::ranges::end(tokens)) return;
    status = InvalidArgument(fmt::format("{} names token {}, the vocabulary has {} tokens", field, *beyond, vocab_size_), field);
  };
  check(std::views::keys(request.sampling.logit_bias), "logit_bias");
  check(request.sampling.banned, "banned_token_ids");
  check(request.sampling.allowed, "allowed_token_ids");
  check(request.stop_tokens, "stop_token_ids");
  return status;
}

// Which tokens end the answer, and from where on.
void Service::SetEnds(const GenerateRequest& request, SequenceRequest& sequence) const {
  const std::vector<TokenId>& ends_of_text = model_.end_of_generation_tokens();
  const auto append = [](std::vector<TokenId>& to, const std::vector<TokenId>& tokens) {
    to.insert(to.end(), tokens.begin(), tokens.end());
  };
  append(request.ignore_eos ? sequence.sampling.banned : sequence.stop_tokens, ends_of_text);
  append(sequence.stop_tokens, request.stop_tokens);
  std::ranges::sort(sequence.stop_tokens);
  if (request.min_tokens == 0) return;
  sequence.sampling.banned_at_first = sequence.stop_tokens;
  sequence.sampling.banned_until = sequence.prompt.size() + static_cast<std::size_t>(std::min(request.min_tokens, sequence.max_tokens));
}

ServiceStats Service::stats() const {
  const EngineLoopStats loop = loop_.stats();
  const std::int64_t open = open_;
  return {.accepted = accepted_,
          .embedding_requests = embedding_requests_,
          .refused = refused_,
          .open_requests = open,
          .waiting = std::max(std::int64_t{0}, open - loop.running),
          .invalid_answers = request_metrics_.invalid_answers(),
          .max_running = loop_.max_running(),
          .max_open = max_open_,
          .loop = loop};
}

}  // namespace cllm
