#include "cli/models.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include "base/columns.h"
#include "base/nearest_word.h"
#include "config/text.h"
#include "formats/gguf_file.h"
#include "hub/catalogue.h"
#include "hub/progress.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kUsualWidth = 80;

std::string Environment(const char* name, const char* otherwise = "") {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

int TerminalWidth() { return static_cast<int>(TerminalColumns(STDERR_FILENO).value_or(kUsualWidth)); }

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

// The whole header: what begins as a GGUF file needn't be one.
Status CheckIsModel(const fs::path& file, const std::string& name) {
  const auto bytes = MappedFile::Open(file.string());
  if (!bytes) return std::unexpected(bytes.error());
  const auto model = GgufFile::Parse(bytes->bytes(), name);
  return model ? Status() : std::unexpected(model.error());
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
  const auto interrupts = Interrupts::Create();
  if (!interrupts) return std::unexpected(interrupts.error());
  InterruptPatience patience(**interrupts);
  CurlTransport transport(settings.curl, patience);
  Downloader downloader(transport, patience, *observer, settings.policy);
  return Puller(folder, std::move(*hub), &CheckIsModel, downloader, patience, *observer).Pull(*reference, settings.sha256);
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

Result<std::string> FindOrPullModel(const std::string& text, const DownloadPolicy& policy) {
  if (!IsToBePulled(text)) return FindLocalModel(text);
  const auto pulled = PullModel(text.empty() ? std::string(kDefaultModel) : text, {.policy = policy});
  if (!pulled) return std::unexpected(pulled.error());
  return pulled->file.string();
}

Error UnknownModel(std::string_view text, const ModelFolder& folder, bool built_in_names) {
  const std::vector<ModelEntry> entries = folder.List();
  std::vector<std::string_view> names;
  if (built_in_names) {
    for (const KnownModel& model : KnownModels()) names.emplace_back(model.name);
  }
  for (const ModelEntry& entry : entries) names.emplace_back(entry.name);
  const auto nearest = NearestWord(text, names);
  std::string message = fmt::format("no model is called {}", config::QuotedForMessage(text));
  message += nearest ? fmt::format("; the nearest name is {}", *nearest) : fmt::format(" in {}", folder.root().string());
  return {ErrorCode::kNotFound, std::move(message), {}};
}

}  // namespace cllm
