#include "grammar/compile_job.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>
#include <xgrammar/xgrammar.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/replace_all.h"
#include "grammar/frame.h"
#include "grammar/gbnf.h"
#include "grammar/xgrammar_vocabulary.h"

namespace cllm {
namespace {

// A gap between two tokens of JSON has at most so many spaces and newlines: enough to indent eight levels. Small models write newlines
// for ever else.
constexpr int kMostWhitespace = 17;

void AppendNumber(std::string& bytes, std::uint32_t number) { bytes.append(reinterpret_cast<const char*>(&number), sizeof(number)); }

void AppendText(std::string& bytes, std::string_view text) {
  AppendNumber(bytes, static_cast<std::uint32_t>(text.size()));
  bytes += text;
}

class JobReader {
 public:
  explicit JobReader(std::string_view bytes) : left_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return left_.empty(); }
  std::uint32_t Number() {
    std::uint32_t number = 0;
    const std::string_view bytes = Take(sizeof(number));
    if (ok_) std::memcpy(&number, bytes.data(), sizeof(number));
    return number;
  }
  std::string Text() { return std::string(Take(Number())); }

 private:
  std::string_view Take(std::size_t count) {
    ok_ = ok_ && count <= left_.size();
    if (!ok_) return {};
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }

  std::string_view left_;
  bool ok_ = true;
};

// Answers come first, but who waits for an honest schema waits for its answer, too: only what takes long steps back all the way.
constexpr int kStepBack = 10, kStepFarBack = 19;
constexpr int kHonest_s = 1;

void StepFarBack(int /*signal*/) { static_cast<void>(setpriority(PRIO_PROCESS, 0, kStepFarBack)); }

void LimitCompiler(const CompileLimits& limits) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody waits for the grammar any more
  static_cast<void>(setpriority(PRIO_PROCESS, 0, kStepBack));
  signal(SIGPROF, StepFarBack);
  const itimerval honest{.it_interval = {}, .it_value = {.tv_sec = kHonest_s, .tv_usec = 0}};
  setitimer(ITIMER_PROF, &honest, nullptr);
  const auto seconds = static_cast<rlim_t>(std::ceil(limits.processor_s));
  const rlimit processor{seconds, seconds + 1};
  setrlimit(RLIMIT_CPU, &processor);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they reserve terabytes of addresses
  const rlimit memory{limits.memory_bytes, limits.memory_bytes};
  setrlimit(RLIMIT_AS, &memory);
#endif
}

std::string ReadAll(int file) {
  std::string all;
  std::vector<char> block(std::size_t{1} << 16);
  while (true) {
    const ssize_t count = read(file, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return all;
    all.append(block.data(), static_cast<std::size_t>(count));
  }
}

bool WriteAll(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(file, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

xgrammar::Grammar PartGrammar(const GrammarPart& part) {
  switch (part.kind) {
    case GrammarPart::Kind::kJsonSchema:
      return xgrammar::Grammar::FromJSONSchema(part.text, /*any_whitespace=*/true, /*indent=*/std::nullopt, /*separators=*/std::nullopt,
                                               /*strict_mode=*/false, kMostWhitespace);
    case GrammarPart::Kind::kRegex:
      return xgrammar::Grammar::FromRegex(part.text);
    case GrammarPart::Kind::kGbnf: {
      const Result<std::string> rules = FromGbnf(part.text);
      if (!rules) throw std::invalid_argument(rules.error().message);
      return xgrammar::Grammar::FromEBNF(*rules);
    }
    case GrammarPart::Kind::kEbnf:
      break;
  }
  return xgrammar::Grammar::FromEBNF(part.text);
}

xgrammar::Grammar ToGrammar(const GrammarSource& source) {
  if (source.frame.empty()) return PartGrammar(source.parts.at(0));
  std::string frame = WithTokens(source.frame, source.tokens);
  std::string rules;
  for (std::size_t i = 0; i < source.parts.size(); ++i) {
    const std::string prefix = "part" + std::to_string(i) + "_";
    if (!source.parts[i].place.empty()) frame = ReplaceAll(frame, source.parts[i].place, prefix + "root");
    rules += "\n" + WithPrefixedRules(PartGrammar(source.parts[i]).ToString(), prefix);
  }
  return xgrammar::Grammar::FromEBNF(frame + rules);
}

// The library writes "[12:34:56] FILE.cc:123: …" before what it says.
std::string WithoutPlace(std::string_view message) {
  if (const auto place = message.find(".cc:"); place != std::string_view::npos) {
    auto end = place + 4;
    while (end < message.size() && std::isdigit(static_cast<unsigned char>(message[end])) != 0) ++end;
    if (message.substr(end, 2) == ": ") message.remove_prefix(end + 2);
  }
  std::string text(message.substr(0, 500));
  std::ranges::replace(text, '\n', ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

std::string Compile(const CompileJob& job) {
  try {
    const xgrammar::TokenizerInfo vocabulary = ToXGrammar(job.vocabulary);
    xgrammar::GrammarCompiler compiler(vocabulary, /*max_threads=*/1, /*cache_enabled=*/false);
    return kCompiled + compiler.CompileGrammar(ToGrammar(job.source)).SerializeJSON();
  } catch (const std::bad_alloc&) {
    return kNotCompiled + std::string("compiling it takes more memory than a grammar may (grammar.max_compile_mb)");
  } catch (const std::exception& error) {
    return kNotCompiled + WithoutPlace(error.what());
  }
}

}  // namespace

std::string WriteCompileJob(const GrammarSource& source, const Vocabulary& vocabulary) {
  std::string bytes;
  AppendNumber(bytes, static_cast<std::uint32_t>(source.parts.size()));
  for (const GrammarPart& part : source.parts) {
    AppendNumber(bytes, static_cast<std::uint32_t>(part.kind));
    AppendText(bytes, part.text);
    AppendText(bytes, part.place);
  }
  AppendText(bytes, source.frame);
  AppendText(bytes, source.begun);
  AppendNumber(bytes, static_cast<std::uint32_t>(source.tokens.size()));
  for (const GrammarToken& token : source.tokens) {
    AppendNumber(bytes, static_cast<std::uint32_t>(token.token));
    AppendText(bytes, token.text);
  }
  AppendNumber(bytes, static_cast<std::uint32_t>(vocabulary.pieces.size()));
  for (const std::string& piece : vocabulary.pieces) AppendText(bytes, piece);
  AppendNumber(bytes, static_cast<std::uint32_t>(vocabulary.ends.size()));
  for (const std::int32_t end : vocabulary.ends) AppendNumber(bytes, static_cast<std::uint32_t>(end));
  return bytes;
}

Result<CompileJob> ReadCompileJob(std::string_view bytes) {
  JobReader reader(bytes);
  CompileJob job;
  bool is_good = true;
  for (std::uint32_t left = reader.Number(); left > 0 && reader.ok(); --left) {
    const std::uint32_t kind = reader.Number();
    is_good = is_good && kind <= static_cast<std::uint32_t>(GrammarPart::Kind::kGbnf);
    job.source.parts.push_back({.kind = static_cast<GrammarPart::Kind>(kind), .text = reader.Text(), .place = {}});
    job.source.parts.back().place = reader.Text();
  }
  job.source.frame = reader.Text();
  job.source.begun = reader.Text();
  for (std::uint32_t left = reader.Number(); left > 0 && reader.ok(); --left) {
    const auto token = static_cast<std::int32_t>(reader.Number());
    job.source.tokens.push_back({.text = reader.Text(), .token = token});
  }
  for (std::uint32_t left = reader.Number(); left > 0 && reader.ok(); --left) job.vocabulary.pieces.push_back(reader.Text());
  for (std::uint32_t left = reader.Number(); left > 0 && reader.ok(); --left) {
    job.vocabulary.ends.push_back(static_cast<std::int32_t>(reader.Number()));
  }
  if (!reader.ok() || !reader.at_end() || !is_good || (job.source.parts.empty() && job.source.frame.empty())) {
    return InvalidArgument("standard input holds no grammar to compile");
  }
  return job;
}

int RunCompileChild(const CompileLimits& limits) {
  LimitCompiler(limits);
  const Result<CompileJob> job = ReadCompileJob(ReadAll(STDIN_FILENO));
  return WriteAll(STDOUT_FILENO, job ? Compile(*job) : kNotCompiled + job.error().message) ? 0 : 1;
}

}  // namespace cllm
