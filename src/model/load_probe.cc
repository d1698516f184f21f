#include "model/load_probe.h"

#include <ggml.h>
#include <llama.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>

#include <fmt/format.h>

#include "base/log.h"
#include "model/chat_template.h"
#include "model/model.h"

namespace cllm {
namespace {

constexpr rlim_t kMostCpuSeconds = 60;
// The largest vocabularies take some hundred MiB.
constexpr rlim_t kMostMemoryBytes = rlim_t{2} << 30;

// Sanitizers reserve terabytes of addresses, GPU drivers hundreds of gigabytes.
bool CanLimitAddresses() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return false;
#else
  return !Model::HasGpuSupport();
#endif
}

void Limit(int resource, rlim_t value) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) return;
  limit.rlim_cur = std::min(value, limit.rlim_max);
  setrlimit(static_cast<__rlimit_resource>(resource), &limit);
}

void LimitThisProcess() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody waits for the verdict any more
  Limit(RLIMIT_CORE, 0);             // a crash is expected here
  Limit(RLIMIT_CPU, kMostCpuSeconds);
  if (CanLimitAddresses()) Limit(RLIMIT_AS, kMostMemoryBytes);
}

// The process dies next, in whatever state its heap is: write only.
void ReportAbort(const char* message) {
  for (const char* part : {kProbeAborted, message, "\n"}) {
    if (write(STDOUT_FILENO, part, std::strlen(part)) < 0) return;
  }
}

// Sized as small as a context can be that still has two streams.
Status MakeContext(const Model& model) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = 512;
  params.n_batch = 64;
  params.n_ubatch = 64;
  params.n_seq_max = 2;
  params.n_threads = 1;
  params.n_threads_batch = 1;
  params.kv_unified = false;
  params.no_perf = true;
  llama_context* context = llama_init_from_model(model.handle(), params);
  if (context == nullptr) return InvalidArgument("it cannot make a context");
  llama_free(context);
  return {};
}

Status UseTokenizer(const Tokenizer& tokenizer) {
  // Letters, spaces, a line, two scripts, a character outside the basic plane, and what looks like a control token.
  constexpr char kText[] = "Hello  world\n\tä 中 \xF0\x9F\x98\x80 <|im_end|> </s>";
  for (const bool special : {false, true}) {
    const auto tokens = tokenizer.Tokenize(kText, special, special);
    if (!tokens) return std::unexpected(tokens.error());
    tokenizer.Detokenize(*tokens);
  }
  return {};
}

// A template that cannot be used keeps nobody from what needs none; only that it crashes nothing is looked at.
void UseTemplate(const Model& model) { static_cast<void>(ChatTemplate::FromModel(model)); }

Status TryToLoad(const std::string& path) {
  const auto model = Model::LoadWithoutWeights(path);
  if (!model) return std::unexpected(model.error());
  Status status = MakeContext(**model);
  if (status) status = UseTokenizer((*model)->tokenizer());
  if (status) UseTemplate(**model);
  if (!status) return InvalidArgument(fmt::format("llama.cpp cannot use {}: {}", path, status.error().message));
  return {};
}

}  // namespace

int RunLoadProbe(const std::string& path) {
  LimitThisProcess();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("probe", std::make_shared<spdlog::sinks::stdout_sink_st>()));
  spdlog::set_pattern("%v");
  spdlog::set_level(spdlog::level::debug);
  ggml_set_abort_callback(ReportAbort);
  Status status;
  try {
    status = TryToLoad(path);
  } catch (const std::exception& error) {
    status = InvalidArgument(error.what());
  }
  if (status) {
    std::puts(kProbeGood);
  } else {
    std::string reason = status.error().message;
    std::ranges::replace(reason, '\n', ' ');
    std::printf("%s%s\n", kProbeRefused, reason.c_str());
  }
  std::fflush(stdout);
  return status ? 0 : 1;
}

}  // namespace cllm
