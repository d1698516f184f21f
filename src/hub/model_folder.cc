#include "hub/model_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hub/catalogue.h"
#include "hub/file_system.h"
#include "hub/json_text.h"
#include "hub/partial_file.h"
#include "hub/sha256.h"
#include "hub/url.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::string_view kOriginEnding = ".origin";
constexpr std::string_view kModelEnding = ".gguf";
constexpr std::size_t kMostOriginBytes = 1 << 16;
constexpr int kDeepest = 8;  // folders below the root

Json ReadJson(const fs::path& path) { return Json::parse(ReadSmallFile(path, kMostOriginBytes), nullptr, false); }

}  // namespace

fs::path ModelFolder::PathInRepo(const std::string& owner, const std::string& repo, const std::string& file) const {
  return root_ / "hf" / owner / repo / file;
}

Result<fs::path> ModelFolder::PathOfUrl(const ModelReference& reference) const {
  const auto url = ParseUrl(reference.text);
  if (!url) return std::unexpected(url.error());
  // Two addresses may end in the same name, so the whole address is part of the path.
  Sha256 sum;
  sum.Add(url->text);
  std::string host = url->host;
  std::ranges::replace_if(host, [](unsigned char c) { return std::isalnum(c) == 0 && c != '.' && c != '-'; }, '_');
  return root_ / "url" / fmt::format("{}-{}", host, sum.Hex().substr(0, 8)) / reference.file;
}

Status ModelFolder::WriteOrigin(const fs::path& file, const ModelOrigin& origin) const {
  const Json json = {{"source", origin.source}, {"sha256", origin.sha256}, {"reference", origin.reference}};
  return ReplaceFile(WithEnding(file, kOriginEnding), json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

ModelOrigin ModelFolder::ReadOrigin(const fs::path& file) const {
  const Json json = ReadJson(WithEnding(file, kOriginEnding));
  return {.source = TextOf(json, "source"), .sha256 = TextOf(json, "sha256"), .reference = TextOf(json, "reference")};
}

std::string ModelFolder::NameOf(const fs::path& file) const {
  const std::string inside = file.lexically_relative(root_).generic_string();
  for (const KnownModel& model : KnownModels()) {
    if (model.file == inside) return model.name;
  }
  const fs::path path(inside);
  auto part = path.begin();
  if (std::distance(path.begin(), path.end()) >= 4 && *part == "hf") {
    const std::string owner = (++part)->string();
    const std::string repo = (++part)->string();
    return fmt::format("hf:{}/{}:{}", owner, repo, inside.substr(owner.size() + repo.size() + 5));
  }
  return inside;
}

// `path` is a model or the .part of one.
std::optional<ModelEntry> ModelFolder::EntryOf(const fs::path& path) const {
  const std::string text = path.string();
  const bool unfinished = text.ends_with(kPartEnding);
  const fs::path file = unfinished ? fs::path(text.substr(0, text.size() - kPartEnding.size())) : path;
  if (!file.string().ends_with(kModelEnding)) return std::nullopt;
  struct stat info{};
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  if (unfinished && fs::exists(file)) return std::nullopt;
  ModelEntry entry{.name = NameOf(file),
                   .file = file,
                   .size = info.st_size,
                   .modified_unix_s = info.st_mtime,
                   .source = ReadOrigin(file).source,
                   .unfinished = unfinished};
  if (unfinished) {
    const Json identity = ReadJson(WithEnding(file, kIdentityEnding));
    entry.source = TextOf(identity, "url");
    const auto size = identity.is_object() ? identity.find("size") : identity.end();
    if (size != identity.end() && size->is_number_integer()) entry.whole_size = *size;
  }
  return entry;
}

std::vector<ModelEntry> ModelFolder::List() const {
  std::vector<ModelEntry> entries;
  std::error_code error;
  for (fs::recursive_directory_iterator at(root_, fs::directory_options::skip_permission_denied, error), end; !error && at != end;
       at.increment(error)) {
    if (at.depth() >= kDeepest) at.disable_recursion_pending();
    if (auto entry = EntryOf(at->path())) entries.push_back(std::move(*entry));
  }
  std::ranges::sort(entries, {}, &ModelEntry::name);
  return entries;
}

std::optional<ModelEntry> ModelFolder::Find(std::string_view text) const {
  if (text.empty()) return std::nullopt;
  const std::vector<ModelEntry> entries = List();
  const KnownModel* known = FindKnownModel(text);
  std::vector<ModelEntry> loosely;
  for (const ModelEntry& entry : entries) {
    const std::string inside = entry.file.lexically_relative(root_).generic_string();
    if (entry.name == text || inside == text || entry.file == text) return entry;
    if (known != nullptr && entry.name == known->name) return entry;  // in another case
    const std::string file = entry.file.filename().string();
    const bool fits = file == text || file.substr(0, file.size() - kModelEnding.size()) == text || ReadOrigin(entry.file).reference == text;
    if (fits) loosely.push_back(entry);
  }
  if (loosely.size() == 1) return loosely[0];
  return std::nullopt;
}

Status ModelFolder::Remove(const ModelEntry& entry) const {
  const fs::path part = WithEnding(entry.file, kPartEnding);
  const Descriptor lock(open(part.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (lock.is_open() && flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Fail(ErrorCode::kUnavailable, fmt::format("{} is being pulled right now", entry.name));
  }
  if (!entry.unfinished && unlink(entry.file.c_str()) != 0) return FileError("delete", entry.file);
  if (lock.is_open() && unlink(part.c_str()) != 0) return FileError("delete", part);
  std::error_code unused;
  fs::remove(WithEnding(entry.file, kIdentityEnding), unused);
  fs::remove(WithEnding(entry.file, kOriginEnding), unused);
  fs::remove_all(WithEnding(entry.file, kScratchEnding), unused);
  for (fs::path folder = entry.file.parent_path(); folder != root_ && folder.string().size() > root_.string().size();
       folder = folder.parent_path()) {
    if (!fs::is_empty(folder, unused) || unused) break;
    fs::remove(folder, unused);
  }
  return {};
}

}  // namespace cllm
