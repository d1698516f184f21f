#include "cli/models.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>

#include <fmt/format.h>

#include "config/text.h"
#include "hub/catalogue.h"
#include "hub/interrupt.h"
#include "hub/progress.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

constexpr int kUsualWidth = 80;

std::string Environment(const char* name, const char* otherwise = "") {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

int TerminalWidth() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsualWidth;
}

std::unique_ptr<PullObserver> MakeObserver(bool quiet) {
  if (quiet) return std::make_unique<SilentObserver>();
  const bool terminal = isatty(STDERR_FILENO) == 1;
  return std::make_unique<ProgressPrinter>(
      ProgressOutput{.terminal = terminal,
                     .color = terminal && Environment("NO_COLOR").empty(),
                     .width = &TerminalWidth,
                     .write = [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); },
                     .now = &std::chrono::steady_clock::now});
}

bool IsFile(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error) && !fs::is_directory(path, error);
}

bool LooksLikePath(std::string_view text) { return text.contains('/') || text.ends_with(".gguf"); }

}  // namespace

fs::path CacheFolder() {
  const std::string cache = Environment("XDG_CACHE_HOME");
  const fs::path base = cache.empty() ? fs::path(Environment("HOME", ".")) / ".cache" : fs::path(cache);
  return base / "cllm";
}

ModelFolder DefaultModelFolder() { return ModelFolder(CacheFolder() / "models"); }

Result<PulledModel> PullModel(const std::string& text, const PullSettings& settings) {
  const auto reference = ParseReference(text);
  if (!reference) return std::unexpected(reference.error());
  const ModelFolder folder = DefaultModelFolder();
  if (reference->kind == ModelReference::Kind::kName && FindKnownModel(text) == nullptr) {
    return std::unexpected(UnknownModel(text, folder, true));
  }
  auto hub = HuggingFace::Create(Environment("HF_ENDPOINT", "https://huggingface.co"), Environment("HF_TOKEN"));
  if (!hub) return std::unexpected(hub.error());
  const std::unique_ptr<PullObserver> observer = MakeObserver(settings.quiet);
  InterruptSignal interrupt;
  CurlTransport transport(settings.curl, interrupt);
  Downloader downloader(transport, interrupt, *observer, settings.policy);
  return Puller(folder, std::move(*hub), downloader, interrupt, *observer).Pull(*reference, settings.sha256);
}

bool IsToBePulled(const std::string& text) {
  return !IsFile(text) && (text.empty() || IsRemoteReference(text) || FindKnownModel(text) != nullptr);
}

Result<std::string> FindLocalModel(const std::string& text) {
  if (IsFile(text)) return text;
  const ModelFolder folder = DefaultModelFolder();
  if (const auto there = folder.Find(text); there && !there->unfinished) return there->file.string();
  std::error_code unused;
  if (LooksLikePath(text) || fs::exists(text, unused)) return text;
  return std::unexpected(UnknownModel(text, folder, true));
}

Result<std::string> FindOrPullModel(const std::string& text) {
  if (!IsToBePulled(text)) return FindLocalModel(text);
  const auto pulled = PullModel(text.empty() ? std::string(kDefaultModel) : text, {});
  if (!pulled) return std::unexpected(pulled.error());
  return pulled->file.string();
}

Error UnknownModel(std::string_view text, const ModelFolder& folder, bool built_in_names) {
  std::string nearest;
  std::size_t best = std::numeric_limits<std::size_t>::max();
  const auto consider = [&](const std::string& name) {
    const std::size_t distance = config::EditDistance(text, name);
    if (distance >= best) return;
    best = distance;
    nearest = name;
  };
  if (built_in_names) {
    for (const KnownModel& model : KnownModels()) consider(model.name);
  }
  for (const ModelEntry& entry : folder.List()) consider(entry.name);
  std::string message = fmt::format("no model is called {}", config::QuotedForMessage(text));
  message += nearest.empty() ? fmt::format(" in {}", folder.root().string()) : fmt::format("; the nearest name is {}", nearest);
  return {ErrorCode::kNotFound, std::move(message), {}};
}

}  // namespace cllm
