#include "model/model_check.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "base/child_process.h"
#include "base/utf8.h"
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
  return Printable(line);
}

// The last line that says something.
std::string LastLine(std::string_view output) {
  while (!output.empty() && (output.back() == '\n' || output.back() == ' ')) output.remove_suffix(1);
  const std::size_t start = output.rfind('\n');
  std::string_view line = start == std::string_view::npos ? output : output.substr(start + 1);
  for (const std::string_view prefix : {std::string_view(kProbeAborted), std::string_view("llama.cpp: ")}) {
    if (line.starts_with(prefix)) line.remove_prefix(prefix.size());
  }
  if (line.starts_with('/')) line.remove_prefix(line.rfind('/', line.find(':')) + 1);  // where llama.cpp was built tells users nothing
  return line.empty() ? std::string("it said nothing") : OneLine(line);
}

bool HasLine(std::string_view output, std::string_view wanted) {
  for (std::size_t at = 0; at < output.size();) {
    const std::size_t end = std::min(output.find('\n', at), output.size());
    if (output.substr(at, end - at) == wanted) return true;
    at = end + 1;
  }
  return false;
}

// What follows the child's own mark at the beginning of a line, to the end: a reason can have several lines.
std::optional<std::string_view> RefusalIn(std::string_view output) {
  const std::string_view mark = kProbeRefused;
  for (std::size_t at = output.rfind(mark); at != std::string_view::npos; at = output.rfind(mark, at - 1)) {
    if (at == 0 || output[at - 1] == '\n') return output.substr(at + mark.size());  // so at > 0 below
  }
  return std::nullopt;
}

std::unexpected<Error> Refused(std::string message) { return InvalidArgument(std::move(message), "model.path"); }

Status Verdict(const std::string& path, const ChildResult& child, std::chrono::milliseconds timeout) {
  // Some of llama.cpp's messages come late, from a thread of theirs: the line need not be the last.
  if (child.exit_code == 0 && HasLine(child.output, kProbeGood)) return {};
  if (child.timed_out) {
    return Refused(fmt::format("llama.cpp is not done with {} after {} s; its last message: {}", path,
                               std::chrono::duration<double>(timeout).count(), LastLine(child.output)));
  }
  if (const auto reason = RefusalIn(child.output); child.exit_code == 1 && reason) return Refused(OneLine(*reason));
  if (child.signal != 0) {
    return Refused(fmt::format("llama.cpp crashes on {} ({}): {}", path, strsignal(child.signal), LastLine(child.output)));
  }
  return Refused(fmt::format("the trial load of {} ended with exit code {}: {}", path, child.exit_code, LastLine(child.output)));
}

Status TryInChild(const std::string& path, const ModelCheckOptions& options) {
  ChildOptions child{.command = options.probe_command,
                     .environment = {"GGML_NO_BACKTRACE=1"},  // a debugger would be started to print it
                     .timeout = options.probe_timeout};
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
  // Not for a file that was written to meanwhile: the trial may have seen another state of it.
  const auto afterwards = IdentifyFile(path);
  if (model && afterwards && *model == *afterwards) verdicts.RememberGood(*model);
  return {};
}

}  // namespace cllm
