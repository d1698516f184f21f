// Grammars as they are compiled for one vocabulary, each once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/histogram.h"
#include "base/status.h"
#include "base/stop_check.h"
#include "grammar/grammar_source.h"
#include "grammar/vocabulary.h"
#include "sampling/token_constraint.h"

namespace cllm {

class MaskWorkers;

// Immutable, shared by all sequences that it constrains.
class CompiledGrammar;

struct GrammarLimits {
  double compile_timeout_s = 10;       // of the processor
  std::int64_t max_compile_mb = 1024;  // of the child
  std::int64_t max_cache_mb = 256;     // of compiled grammars that are kept
};

struct GrammarOptions {
  std::vector<std::string> compile_command = {};  // a program that calls RunCompileChild
  GrammarLimits limits = {};
  std::size_t most_source_bytes = std::size_t{256} << 10;
  std::size_t most_compiled_bytes = std::size_t{64} << 20;
  int mask_threads = 2;
};

struct GrammarStats {
  std::int64_t compiled = 0;
  std::int64_t refused = 0;  // that could not be compiled, within the bounds
  std::int64_t found = 0;    // that were compiled before
  std::int64_t cache_bytes = 0;
};

// Thread safe.
class GrammarCompiler {
 public:
  // `vocabulary` is asked once, for the first grammar.
  GrammarCompiler(std::function<Vocabulary()> vocabulary, GrammarOptions options);
  ~GrammarCompiler();

  // Blocks while a child compiles. What was compiled for one `root` is not found for another: how long it takes would tell what others
  // ask for. A grammar that can't be compiled, or takes more time or memory than it may, is an error; `stop` is
  // asked now and then, and its error is passed on.
  Result<std::shared_ptr<const CompiledGrammar>> Compile(const GrammarSource& source, std::uint64_t root, const StopCheck& stop);

  // For one sequence, of which `begun` has come already, behind what its prompt has begun. What may come next is being worked out from
  // now on.
  std::shared_ptr<TokenConstraint> Constrain(std::shared_ptr<const CompiledGrammar> grammar, const std::string& begun = {});

  GrammarStats stats() const;
  // Of each mask, in seconds.
  const Histogram& mask_seconds() const;

 private:
  using Outcome = Result<std::shared_ptr<const CompiledGrammar>>;
  struct Entry {
    std::string key;
    Outcome outcome;  // what is refused once is refused again, without a child
    std::size_t bytes = 0;
  };
  struct KnownVocabulary;

  std::optional<Outcome> Find(const std::string& key);
  Outcome CompileAnew(const GrammarSource& source, const StopCheck& stop);
  void Keep(std::string key, const Outcome& outcome, std::size_t bytes);
  Result<std::string> RunChildFor(const GrammarSource& source, const StopCheck& stop);
  const KnownVocabulary& Known();

  const std::function<Vocabulary()> make_vocabulary_;
  const GrammarOptions options_;
  std::once_flag known_made_;
  std::unique_ptr<const KnownVocabulary> known_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // the last used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
  GrammarStats stats_;
  std::unique_ptr<MaskWorkers> workers_;
};

}  // namespace cllm
