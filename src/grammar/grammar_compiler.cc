#include "grammar/grammar_compiler.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/child_process.h"
#include "grammar/ahead_constraint.h"
#include "grammar/compile_job.h"
#include "grammar/xgrammar_vocabulary.h"

namespace cllm {
namespace {

// A file in memory that holds `bytes`, to be read from the start.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : file_(memfd_create("grammar", MFD_CLOEXEC)) {
    while (file_ >= 0 && !bytes.empty()) {
      const ssize_t count = write(file_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) {
        Close();
      } else {
        bytes.remove_prefix(static_cast<std::size_t>(count));
      }
    }
    if (file_ >= 0 && lseek(file_, 0, SEEK_SET) != 0) Close();
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { Close(); }
  int file() const { return file_; }

 private:
  void Close() {
    if (file_ >= 0) close(file_);
    file_ = -1;
  }
  int file_;
};

// A child bounds the processor's time that it takes. On a busy machine it waits for that, but not for ever.
constexpr double kMostWaiting = 20;

Error TooMuch(const char* what) {
  return {ErrorCode::kInvalidArgument, fmt::format("compiling the grammar takes more {} than a grammar may", what), {}};
}

}  // namespace

struct GrammarCompiler::KnownVocabulary {
  explicit KnownVocabulary(Vocabulary made)
      : vocabulary(std::move(made)), info(ToXGrammar(vocabulary)), controls((vocabulary.pieces.size() + 31) / 32) {
    for (std::size_t token = 0; token < vocabulary.pieces.size(); ++token) {
      if (IsControl(vocabulary, static_cast<std::int32_t>(token))) controls[token / 32] |= std::uint32_t{1} << (token % 32);
    }
  }
  Vocabulary vocabulary;
  xgrammar::TokenizerInfo info;
  std::vector<std::uint32_t> controls;  // as a mask
};

GrammarCompiler::GrammarCompiler(std::function<Vocabulary()> vocabulary, GrammarOptions options)
    : make_vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      workers_(std::make_unique<MaskWorkers>(options_.mask_threads)) {}

GrammarCompiler::~GrammarCompiler() = default;

const GrammarCompiler::KnownVocabulary& GrammarCompiler::Known() {
  std::call_once(known_made_, [this] { known_ = std::make_unique<const KnownVocabulary>(make_vocabulary_()); });
  return *known_;
}

Result<std::shared_ptr<const CompiledGrammar>> GrammarCompiler::Compile(const GrammarSource& source, std::uint64_t root,
                                                                        const StopCheck& stop) {
  std::string key = fmt::format("{} {}", root, source.Key());
  if (auto known = Find(key)) return *known;
  Outcome outcome = CompileAnew(source, stop);
  // What was stopped, or found no memory, may go well another time.
  if (outcome || outcome.error().code == ErrorCode::kInvalidArgument) {
    Keep(std::move(key), outcome, outcome ? (*outcome)->grammar().MemorySizeBytes() : outcome.error().message.size());
  }
  return outcome;
}

GrammarCompiler::Outcome GrammarCompiler::CompileAnew(const GrammarSource& source, const StopCheck& stop) {
  const Result<std::string> written = RunChildFor(source, stop);
  if (!written) return std::unexpected(written.error());
  if (written->front() != kCompiled) return InvalidArgument(written->substr(1));
  auto read = xgrammar::CompiledGrammar::DeserializeJSON(written->substr(1), Known().info);
  auto* const compiled = std::get_if<xgrammar::CompiledGrammar>(&read);
  if (compiled == nullptr) return Fail(ErrorCode::kInternal, "the compiled grammar cannot be read");
  return std::make_shared<const CompiledGrammar>(std::move(*compiled), source.begun, source.tokens);
}

// What the child wrote; at least one byte.
Result<std::string> GrammarCompiler::RunChildFor(const GrammarSource& source, const StopCheck& stop) {
  std::size_t size = source.frame.size();
  for (const GrammarPart& part : source.parts) size += part.text.size();
  if (size > options_.most_source_bytes) {
    return InvalidArgument(fmt::format("the grammar has {} bytes, more than the {} that it may", size, options_.most_source_bytes));
  }
  const MemoryFile job(WriteCompileJob(source, Known().vocabulary));
  if (job.file() < 0) return Fail(ErrorCode::kUnavailable, "the server has no memory for the grammar");
  std::string written;
  const auto take = [&](std::string_view bytes) -> Status {
    if (written.size() + bytes.size() > options_.most_compiled_bytes) return std::unexpected(TooMuch("memory"));
    written += bytes;
    return {};
  };
  const Result<ChildResult> child =
      RunChild({.command = options_.compile_command,
                .timeout = std::chrono::milliseconds(static_cast<std::int64_t>(options_.limits.compile_timeout_s * kMostWaiting * 1000)),
                .input = job.file(),
                .on_output = take,
                .on_tick = [&] { return stop ? stop() : Status(); }});
  if (!child) return std::unexpected(child.error());
  if (child->timed_out || child->signal == SIGXCPU) return std::unexpected(TooMuch("time"));
  if (child->signal != 0 || child->exit_code != 0 || written.empty()) {
    return InvalidArgument("the grammar cannot be compiled: the library that does it gave up");
  }
  return written;
}

std::optional<GrammarCompiler::Outcome> GrammarCompiler::Find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  const Entry& entry = *found->second;
  ++(entry.outcome ? stats_.found : stats_.refused);
  entries_.splice(entries_.begin(), entries_, found->second);
  return entry.outcome;
}

void GrammarCompiler::Keep(std::string key, const Outcome& outcome, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  ++(outcome ? stats_.compiled : stats_.refused);
  if (by_key_.contains(key)) return;  // another request was as fast
  bytes += 2 * key.size() + sizeof(Entry);
  entries_.push_front({.key = key, .outcome = outcome, .bytes = bytes});
  by_key_.emplace(std::move(key), entries_.begin());
  stats_.cache_bytes += static_cast<std::int64_t>(bytes);
  while (stats_.cache_bytes > options_.limits.max_cache_mb << 20) {
    stats_.cache_bytes -= static_cast<std::int64_t>(entries_.back().bytes);
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

std::shared_ptr<TokenConstraint> GrammarCompiler::Constrain(std::shared_ptr<const CompiledGrammar> grammar, const std::string& begun) {
  std::string text = grammar->begun() + begun;
  const KnownVocabulary& known = Known();
  auto constraint = std::make_shared<AheadConstraint>(std::move(grammar), std::move(text), known.vocabulary, known.controls, *workers_);
  constraint->Begin();
  return constraint;
}

const Histogram& GrammarCompiler::mask_seconds() const { return workers_->mask_seconds(); }

GrammarStats GrammarCompiler::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace cllm
