// From request to answer: owns the engine thread, the text stage and the workers that prepare prompts.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/worker_pool.h"
#include "grammar/grammar_compiler.h"
#include "model/chat_template.h"
#include "model/model.h"
#include "scheduler/scheduler.h"
#include "service/answer_constraint.h"
#include "service/cache_roots.h"
#include "service/embedding.h"
#include "service/embedding_batch.h"
#include "service/engine_loop.h"
#include "service/generation.h"
#include "service/metrics.h"
#include "service/result_cache.h"
#include "service/shared_request.h"
#include "service/stats.h"
#include "service/text_stage.h"

namespace cllm {

// Text ↔ tokens as the service needs it: a model's, or a toy of a test.
class TextModel {
 public:
  virtual ~TextModel() = default;
  // A text that is more than `most_tokens` tokens however it is cut is not tokenised. `stop` is asked now and then.
  virtual Result<EncodedPrompt> Encode(const Prompt& prompt, std::size_t most_tokens, const StopCheck& stop) const = 0;
  // Bytes of one token of an answer; those of a control token only with `special`, else it is empty.
  virtual std::string Piece(TokenId token, bool special) const = 0;
  // The text that a chat's template makes of its messages, without BOS.
  virtual Result<std::string> RenderChat(const ChatPrompt& chat, const StopCheck& stop) const = 0;
  // A client's own look at the vocabulary; see Tokenizer.
  virtual Result<std::vector<TokenId>> Tokenize(std::string_view text, bool add_special, bool parse_special,
                                                const StopCheck& stop) const = 0;
  virtual Result<std::string> Detokenize(std::span<const TokenId> tokens) const = 0;
  // So many bytes of a text are at least so many tokens; 0 where nothing is known.
  virtual std::size_t FewestTokens(std::size_t /*bytes*/) const { return 0; }
  // A text and what it may be an answer to, as the model was trained to see both. Where `most_tokens` are too few for it the document's
  // end is left out, if the model has tokens between the two.
  virtual Result<std::vector<TokenId>> EncodePair(const TextPair& pair, std::size_t most_tokens, const StopCheck& stop) const = 0;
  virtual const std::vector<TokenId>& end_of_generation_tokens() const = 0;
};

class Service {
 public:
  // `on_step_sent` is called after sinks were told something, once a step: the place to wake the senders. A prompt of
  // more than `max_input_tokens` is an error; 0 means that the context alone is the bound. Without `grammars` an answer can't be
  // constrained. `turns`: as EngineLoop has them. `model`, `engine`, `grammars` and `turns` outlive the service.
  Service(const TextModel& model, Engine& engine, const SchedulerOptions& options, std::function<void()> on_step_sent,
          int max_input_tokens = 0, const ResultCacheOptions& result_cache = {}, GrammarCompiler* grammars = nullptr,
          StepTurns* turns = nullptr);
  // Ends what is left with an error, then joins.
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Blocks until the engine is warm, or says why it can't compute.
  Status WaitUntilReady() const { return loop_.WaitUntilReady(); }

  // Whether a request with all the time that the server allows would be let in now; a refusal is Submit's and counted
  // likewise. For a look before the work of reading a request: Submit decides anew.
  Status LookForRoom();

  // Which of the answers to a request is meant.
  struct Choice {
    std::uint32_t number = 0;                               // as in SequenceRequest
    std::shared_ptr<const RequestControl> group = nullptr;  // ends it as well
  };

  // Never blocks. An error here is the only answer; after success `sink` gets text and exactly one end. The returned
  // control cancels the request.
  Result<std::shared_ptr<RequestControl>> Submit(std::shared_ptr<const SharedRequest> request, const Choice& choice,
                                                 std::shared_ptr<GenerationSink> sink);
  Result<std::shared_ptr<RequestControl>> Submit(GenerateRequest request, std::shared_ptr<GenerationSink> sink) {
    return Submit(std::make_shared<const SharedRequest>(std::move(request)), {}, std::move(sink));
  }

  // Never blocks. An error here is the only answer; after success `sink` hears of the end. The texts of a request are one open request,
  // however many they are, and a few at a time are with the engine. `client` ends it.
  Status Embed(EmbeddingRequest request, std::shared_ptr<EmbeddingSink> sink, std::shared_ptr<const RequestControl> client = nullptr);

  // What the model can do; an error says what it can do instead.
  Status CheckGenerates() const;
  Status CheckEmbeds(bool wants_scores) const;

  // From now on Submit refuses; what was accepted goes on.
  void StopAccepting() { accepting_ = false; }
  bool accepting() const { return accepting_; }

  // Blocks until no request is open or `until` has passed; says whether none is. For the end of the program, after
  // StopAccepting.
  bool WaitUntilIdle(TimePoint until);

  ServiceStats stats() const;
  // How long the engine has been inside one step; 0 between steps.
  std::chrono::nanoseconds StepAge(TimePoint now) const { return loop_.StepAge(now); }
  const StepMetrics& step_metrics() const { return loop_.step_metrics(); }
  const RequestMetrics& request_metrics() const { return request_metrics_; }
  ResultCacheStats result_cache_stats() const { return result_cache_.stats(); }
  // Times of masks, where answers can be constrained.
  const Histogram* mask_seconds() const { return grammars_ == nullptr ? nullptr : &grammars_->mask_seconds(); }
  GrammarStats grammar_stats() const { return grammars_ == nullptr ? GrammarStats() : grammars_->stats(); }
  const TextModel& model() const { return model_; }
  int max_context() const { return max_context_; }
  // Numbers of an embedding; 0 where the model gives none.
  int embedding_size() const { return engine_.embedding_size; }

  // A client's own look at the vocabulary and the like: what it asks ends with its client, the server's time for a request, or the
  // service.
  using Job = std::function<void(const StopCheck& stop)>;
  // Never blocks. A job counts as an open request. After an error here it won't run. Else it runs once, on a thread for its like alone;
  // `stop` is an error by then if `control` has ended it.
  Status SubmitJob(std::shared_ptr<const RequestControl> control, Job job);

 private:
  struct Accepted;
  void Prepare(const std::shared_ptr<Accepted>& accepted);
  Status PrepareAnswer(Accepted& accepted);
  Status PrepareConstraint(Accepted& accepted, const AnswerGrammarSource& grammar, SequenceRequest& sequence);
  std::shared_ptr<const PendingGrammar> BeginToCompile(const AnswerGrammarSource& grammar, CacheRoot root, const StopCheck& stop);
  Status BoundThoughts(const EncodedPrompt& encoded, int most_tokens, const GrammarSource* grammar, SequenceRequest& sequence) const;
  WorkerPool& WorkersFor(const GenerateRequest& request);
  Status OpenRequest(double timeout_s);
  void CloseRequest();
  Status CheckTokenIds(const GenerateRequest& request) const;
  void SetEnds(const GenerateRequest& request, SequenceRequest& sequence) const;
  Status SetLength(const GenerateRequest& request, SequenceRequest& sequence) const;
  Result<std::string> TextOf(const Prompt& prompt) const;
  double TimeoutOf(const GenerateRequest& request) const;
  Status CheckOpen(int open_before, double timeout_s);
  Status PrepareTokens(Accepted& accepted, SequenceRequest& sequence);
  std::size_t MostPromptTokens() const;
  StopCheck StopOf(TimePoint deadline, std::shared_ptr<const RequestControl> control) const;
  void Refuse(Accepted& accepted, const Status& status);
  void Replay(RequestId id, int prompt_tokens, const CachedResult& result);

  struct AcceptedTexts;
  void PrepareTexts(const std::shared_ptr<AcceptedTexts>& accepted);
  Status SubmitTexts(const std::shared_ptr<AcceptedTexts>& accepted);
  Result<std::vector<TokenId>> TokensOf(const AcceptedTexts& accepted, std::size_t text) const;
  // At most `bound` of them, where the request lets texts be cut.
  Result<std::vector<TokenId>> TokensOfWords(const EmbeddingRequest& request, const std::string& text, std::size_t bound,
                                             const StopCheck& stop) const;
  Result<std::vector<TokenId>> CheckedIds(const EmbeddingRequest& request, std::size_t text, std::size_t bound) const;
  Error TooLong(const EmbeddingRequest& request, std::size_t text, std::size_t tokens, bool at_least) const;
  Status SubmitText(const AcceptedTexts& accepted, const std::shared_ptr<EmbeddingBatch>& batch, std::size_t text,
                    std::vector<TokenId> tokens);
  void EndTexts(const AcceptedTexts& accepted, Result<EmbeddingAnswer> answer);

  const TextModel& model_;
  EngineCapabilities engine_;
  SchedulerOptions options_;
  int max_context_;
  int max_input_tokens_;
  int vocab_size_;
  int max_open_;
  std::atomic<bool> accepting_ = true;
  std::atomic<bool> ending_ = false;  // what is being prepared is of no use any more
  std::mutex ending_mutex_;           // held while the text stage hands on a text, so that the loop is there until then
  std::atomic<int> open_ = 0;
  std::mutex idle_mutex_;
  std::condition_variable idle_;
  std::atomic<std::int64_t> accepted_ = 0;
  std::atomic<std::int64_t> embedding_requests_ = 0;
  std::atomic<std::int64_t> refused_ = 0;
  std::atomic<RequestId> next_id_ = 1;
  std::function<void()> on_step_sent_;
  RequestMetrics request_metrics_;
  CacheRoots cache_roots_;
  ResultCache result_cache_;
  GrammarCompiler* grammars_;
  // Destroyed from the last to the first: no new jobs, then no new events, then the last texts.
  TextStage text_stage_;
  EngineLoop loop_;
  WorkerPool workers_;
  WorkerPool chat_workers_;       // a template that takes its time holds up nothing but other chats
  WorkerPool grammar_workers_;    // so does a grammar that takes long to compile
  WorkerPool embedding_workers_;  // and so do requests of thousands of texts
  WorkerPool job_workers_;        // and what nobody's answer waits for holds up nothing but its like
};

}  // namespace cllm
