#include "model/model_check.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "base/child_process.h"
#include "base/escape.h"
#include "formats/gguf_file.h"
#include "model/load_probe.h"
#include "model/model_facts.h"
#include "model/verdict_cache.h"

namespace cllm {
namespace {

constexpr std::size_t kMostShown = 600;

// A child's text for a message of ours: one line, not endless.
std::string OneLine(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::string line(text.substr(0, kMostShown));
  std::ranges::replace(line, '\n', ' ');
  return Escaped(line);
}

// The last line that says something.
std::string LastLine(std::string_view output) {
  while (!output.empty() && (output.back() == '\n' || output.back() == ' ')) output.remove_suffix(1);
  const std::size_t start = output.rfind('\n');
  std::string_view line = start == std::string_view::npos ? output : output.substr(start + 1);
  if (constexpr std::string_view kLog = "llama.cpp: "; line.starts_with(kLog)) line.remove_prefix(kLog.size());
  return line.empty() ? std::string("it said nothing") : OneLine(line);
}

// "/where/it/was/built/model.cpp:7: x" → "model.cpp:7: x".
std::string WithoutFolder(const std::string& message) {
  return message.starts_with('/') ? message.substr(message.rfind('/', message.find(':')) + 1) : message;
}

// The rest of the last line that begins with `mark`, wherever it stands: some of llama.cpp's messages come late, from a
// thread of its own.
std::optional<std::string> LineAfter(std::string_view output, std::string_view mark) {
  std::optional<std::string> rest;
  for (std::size_t at = 0; at < output.size();) {
    const std::size_t end = std::min(output.find('\n', at), output.size());
    const std::string_view line = output.substr(at, end - at);
    if (line.starts_with(mark)) rest = line.substr(mark.size());
    at = end + 1;
  }
  return rest;
}

std::unexpected<Error> Refused(std::string message) { return InvalidArgument(std::move(message), "model.path"); }

Status Verdict(const std::string& path, const ChildResult& child, std::chrono::milliseconds timeout) {
  if (child.exit_code == 0 && LineAfter(child.output, kProbeGood) == "") return {};
  if (child.timed_out) {
    return Refused(fmt::format("llama.cpp is not done with {} after {} s; its last message: {}", path,
                               std::chrono::duration<double>(timeout).count(), LastLine(child.output)));
  }
  if (const auto reason = LineAfter(child.output, kProbeRefused); child.exit_code == 1 && reason) return Refused(OneLine(*reason));
  if (child.signal != 0) {
    const std::string last = LineAfter(child.output, kProbeAborted).value_or(LastLine(child.output));
    return Refused(fmt::format("llama.cpp crashes on {} ({}): {}", path, strsignal(child.signal), WithoutFolder(OneLine(last))));
  }
  return Refused(fmt::format("the trial load of {} ended with exit code {}: {}", path, child.exit_code, LastLine(child.output)));
}

Status TryInChild(const std::string& path, const ModelCheckOptions& options) {
  ChildOptions child{.command = options.probe_command,
                     .environment = {"GGML_NO_BACKTRACE=1"},  // a debugger would be started to print it
                     .timeout = options.probe_timeout,
                     .on_tick = options.stop};
  child.command.push_back(path);
  const auto result = RunChild(child);
  if (!result) return std::unexpected(result.error());
  return Verdict(path, *result, options.probe_timeout);
}

}  // namespace

Status CheckModelFile(const std::string& path, const ModelCheckOptions& options) {
  const auto model = IdentifyFile(path);
  const VerdictCache verdicts(options.verdicts_path, IdentifyFile(options.probe_command.front()).value_or(FileIdentity{}));
  if (model && verdicts.IsGood(*model)) return {};
  {
    const auto file = GgufFile::Open(path);
    if (!file) return std::unexpected(file.error());
    if (Status status = CheckModelMetadata(*file); !status) return status;
  }
  if (Status status = TryInChild(path, options); !status) return status;
  // A file that was written to meanwhile has another identity by now.
  if (model) verdicts.RememberGood(*model);
  return {};
}

}  // namespace cllm
