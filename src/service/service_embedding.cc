// What the service does for embeddings.
#include <algorithm>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "service/service.h"

namespace cllm {
namespace {

// Of one request, so many times as many texts as run at a time are with the engine: the next step never waits for them, and what others
// send comes after a few of them.
constexpr std::size_t kTextsPerPlace = 2;

// Of all pairs together, each with its own query and document: a long text that stands in many of them is read as often.
constexpr std::size_t kMostPairBytes = std::size_t{64} << 20;

Status CheckPairs(const EmbeddingRequest& request) {
  std::size_t bytes = 0;
  for (const EmbeddingText& text : request.texts) {
    if (const auto* pair = std::get_if<TextPair>(&text)) bytes += pair->query->size() + pair->document->size();
  }
  if (bytes <= kMostPairBytes) return {};
  return InvalidArgument(fmt::format("the pairs of {} are {} bytes together, more than {}", request.field, bytes, kMostPairBytes),
                         request.field);
}

TimePoint SecondsAfter(TimePoint time, double seconds) {
  return time + std::chrono::duration_cast<TimePoint::duration>(std::chrono::duration<double>(seconds));
}

// Of a text's tokens, `whole`, and the same without what the model wants around a text, `bare`: at most `most`, what stands around
// included.
std::vector<TokenId> CutTokens(const std::vector<TokenId>& whole, const std::vector<TokenId>& bare, std::size_t most, bool cuts_front) {
  const auto found = std::ranges::search(whole, bare);
  const bool is_framed = found.size() == bare.size();
  const auto before = static_cast<std::size_t>(is_framed ? found.begin() - whole.begin() : 0);
  const std::size_t after = is_framed ? whole.size() - bare.size() - before : 0;
  const std::vector<TokenId>& text = is_framed ? bare : whole;
  if (before + after >= most) return {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(most)};
  const auto kept = static_cast<std::ptrdiff_t>(most - before - after);
  std::vector<TokenId> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(before));
  cut.insert(cut.end(), cuts_front ? text.end() - kept : text.begin(), cuts_front ? text.end() : text.begin() + kept);
  cut.insert(cut.end(), whole.end() - static_cast<std::ptrdiff_t>(after), whole.end());
  return cut;
}

}  // namespace

struct Service::AcceptedTexts {
  EmbeddingRequest request;
  std::shared_ptr<EmbeddingSink> sink;
  std::shared_ptr<RequestControl> control;
  TimePoint time;
  TimePoint deadline;
};

Status Service::CheckGenerates() const {
  if (engine_.generates) return {};
  return InvalidArgument(fmt::format("the model {} and generates no text: ask {}",
                                     engine_.scores ? "says how well texts answer a question" : "gives embeddings",
                                     engine_.scores ? "/v1/rerank" : "/v1/embeddings"),
                         "model");
}

Status Service::CheckEmbeds(bool wants_scores) const {
  if (engine_.embedding_size == 0) {
    return InvalidArgument(fmt::format("the model generates text and gives no {}; with the option --pooling {} it does",
                                       wants_scores ? "scores" : "embeddings", wants_scores ? "rank" : "mean or --pooling last"),
                           "model");
  }
  if (wants_scores && !engine_.scores) {
    return InvalidArgument(
        "the model gives embeddings, but doesn't say how well texts answer a question: it takes one with the pooling rank", "model");
  }
  if (!wants_scores && engine_.scores) {
    return InvalidArgument("the model says how well texts answer a question, and gives no embeddings: ask /v1/rerank", "model");
  }
  return {};
}

Status Service::Embed(EmbeddingRequest request, std::shared_ptr<EmbeddingSink> sink, std::shared_ptr<const RequestControl> client) {
  if (Status status = CheckEmbeds(request.wants_scores()); !status) return status;
  if (Status status = CheckPairs(request); !status) return status;
  const double timeout_s = std::min(options_.request_timeout, request.timeout_s.value_or(options_.request_timeout));
  if (Status status = OpenRequest(timeout_s); !status) return status;
  ++accepted_;
  ++embedding_requests_;
  const TimePoint arrived = request.arrived != TimePoint() ? request.arrived : std::chrono::steady_clock::now();
  auto accepted = std::make_shared<AcceptedTexts>(AcceptedTexts{.request = std::move(request),
                                                                .sink = std::move(sink),
                                                                .control = std::make_shared<RequestControl>(std::move(client)),
                                                                .time = arrived,
                                                                .deadline = SecondsAfter(arrived, timeout_s)});
  embedding_workers_.Post([this, accepted = std::move(accepted)] { PrepareTexts(accepted); });
  return {};
}

void Service::PrepareTexts(const std::shared_ptr<AcceptedTexts>& accepted) {
  Status status;
  try {
    status = SubmitTexts(accepted);
  } catch (const std::bad_alloc&) {
    status = Fail(ErrorCode::kUnavailable, "the server has no memory for the request");
  }
  if (!status) EndTexts(*accepted, std::unexpected(status.error()));
}

// All texts are tokenised before the first is computed: a request that is wrong costs nothing more.
Status Service::SubmitTexts(const std::shared_ptr<AcceptedTexts>& accepted) {
  EmbeddingBatch::Settings settings;
  for (std::size_t text = 0; text < accepted->request.texts.size(); ++text) {
    Result<std::vector<TokenId>> tokens = TokensOf(*accepted, text);
    if (!tokens) return std::unexpected(tokens.error());
    settings.texts.push_back(std::move(*tokens));
    accepted->request.texts[text] = {};
  }
  settings.window = kTextsPerPlace * static_cast<std::size_t>(loop_.max_running());
  settings.control = accepted->control;
  settings.submit = [this, accepted](const std::shared_ptr<EmbeddingBatch>& batch, std::size_t text, std::vector<TokenId> tokens) {
    return SubmitText(*accepted, batch, text, std::move(tokens));
  };
  settings.on_end = [this, accepted](Result<EmbeddingAnswer> answer) { EndTexts(*accepted, std::move(answer)); };
  std::make_shared<EmbeddingBatch>(std::move(settings))->Start();
  return {};
}

Result<std::vector<TokenId>> Service::TokensOf(const AcceptedTexts& accepted, std::size_t number) const {
  const EmbeddingRequest& request = accepted.request;
  const StopCheck stop = StopOf(accepted.deadline, accepted.control);
  if (const Status wanted = stop(); !wanted) return std::unexpected(wanted.error());
  const std::size_t most = MostPromptTokens();
  const std::size_t bound =
      request.most_tokens.value_or(kUntilTextEnd) == kUntilTextEnd ? most : std::min(most, static_cast<std::size_t>(*request.most_tokens));
  const auto* text = std::get_if<std::string>(&request.texts[number]);
  const std::size_t fewest = text != nullptr ? model_.FewestTokens(text->size()) : 0;
  if (fewest > most && !request.most_tokens) return std::unexpected(TooLong(request, number, fewest, true));
  Result<std::vector<TokenId>> tokens;
  if (text != nullptr) {
    tokens = TokensOfWords(request, *text, bound, stop);
  } else if (const auto* pair = std::get_if<TextPair>(&request.texts[number])) {
    tokens = model_.EncodePair(*pair, request.most_tokens ? bound : 0, stop);
  } else {
    tokens = CheckedIds(request, number, bound);
  }
  if (!tokens) return tokens;
  if (tokens->empty()) return InvalidArgument(fmt::format("{} is empty", request.NameOf(number)), request.field);
  if (tokens->size() > most) return std::unexpected(TooLong(request, number, tokens->size(), false));
  return tokens;
}

// In OpenAI's words, as ContextLengthError.
Error Service::TooLong(const EmbeddingRequest& request, std::size_t number, std::size_t tokens, bool at_least) const {
  return {ErrorCode::kContextLength,
          fmt::format("This model's maximum context length is {} tokens. However, {} has {}{} tokens. Please shorten it, or let it be cut "
                      "with truncate_prompt_tokens: the text is too long.",
                      MostPromptTokens(), request.NameOf(number), at_least ? "at least " : "", tokens),
          request.field};
}

// A text that somebody sends is never a control token.
Result<std::vector<TokenId>> Service::TokensOfWords(const EmbeddingRequest& request, const std::string& text, std::size_t bound,
                                                    const StopCheck& stop) const {
  Result<std::vector<TokenId>> tokens = model_.Tokenize(text, true, false, stop);
  if (!tokens || !request.most_tokens || tokens->size() <= bound) return tokens;
  const auto bare = model_.Tokenize(text, false, false, stop);
  if (!bare) return bare;
  return CutTokens(*tokens, *bare, bound, request.cuts_front);
}

Result<std::vector<TokenId>> Service::CheckedIds(const EmbeddingRequest& request, std::size_t number, std::size_t bound) const {
  const auto& tokens = std::get<std::vector<TokenId>>(request.texts[number]);
  const auto wrong = std::ranges::find_if(tokens, [this](TokenId token) { return token < 0 || token >= vocab_size_; });
  if (wrong != tokens.end()) {
    return InvalidArgument(fmt::format("{} names token {}, the vocabulary has {} tokens", request.NameOf(number), *wrong, vocab_size_),
                           request.field);
  }
  return request.most_tokens && tokens.size() > bound ? CutTokens(tokens, tokens, bound, request.cuts_front) : tokens;
}

// Each text takes its turn by the time at which it is handed on, so that a long request doesn't stand before all that comes later.
Status Service::SubmitText(const AcceptedTexts& accepted, const std::shared_ptr<EmbeddingBatch>& batch, std::size_t text,
                           std::vector<TokenId> tokens) {
  SequenceRequest sequence;
  sequence.id = next_id_++;
  sequence.prompt = std::move(tokens);
  sequence.embeds = true;
  sequence.arrived = std::chrono::steady_clock::now();
  sequence.priority = accepted.request.priority.value_or(0);
  if (options_.queue_timeout > 0) sequence.start_by = SecondsAfter(sequence.arrived, options_.queue_timeout);
  sequence.deadline = accepted.deadline;
  sequence.control = accepted.control;
  const std::lock_guard lock(ending_mutex_);
  if (ending_) return Fail(ErrorCode::kUnavailable, "the server is shutting down");
  text_stage_.Register(sequence.id, batch, text);
  loop_.Submit(std::move(sequence));
  return {};
}

void Service::EndTexts(const AcceptedTexts& accepted, Result<EmbeddingAnswer> answer) {
  const Status status = answer ? Status() : std::unexpected(answer.error());
  const std::chrono::duration<double> response_time = std::chrono::steady_clock::now() - accepted.time;
  request_metrics_.RecordEnd(status, response_time.count());
  accepted.sink->OnEnd(std::move(answer));
  on_step_sent_();
  CloseRequest();
}

}  // namespace cllm
