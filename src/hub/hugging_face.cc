#include "hub/hugging_face.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "hub/json_text.h"
#include "hub/sha256.h"

namespace cllm {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostTreeBytes = 16 << 20;  // of a page
constexpr int kMostPages = 100;
constexpr std::size_t kMostFiles = 100'000;

RepoFile FileOf(const Json& entry) {
  RepoFile file{.path = TextOf(entry, "path")};
  if (const auto size = entry.find("size"); size != entry.end() && size->is_number_unsigned()) file.size = *size;
  if (const auto lfs = entry.find("lfs"); lfs != entry.end() && lfs->is_object()) {
    file.sha256 = NormalisedSha256(TextOf(*lfs, "oid"));
  }
  return file;
}

}  // namespace

Result<std::vector<RepoFile>> ParseRepoTree(std::string_view json) {
  const Json tree = Json::parse(json, nullptr, false);
  if (!tree.is_array()) return Fail(ErrorCode::kInternal, "the list of its files is not what was expected");
  std::vector<RepoFile> files;
  for (const Json& entry : tree) {
    if (entry.is_object() && TextOf(entry, "type") == "file") files.push_back(FileOf(entry));
  }
  return files;
}

Result<HuggingFace> HuggingFace::Create(std::string_view endpoint, std::string token) {
  const auto url = ParseUrl(endpoint);
  if (!url || url->text.contains('?')) {
    return InvalidArgument("HF_ENDPOINT is no http or https address", "HF_ENDPOINT");
  }
  const bool clean = std::ranges::all_of(token, [](unsigned char c) { return std::isgraph(c) != 0; });
  if (!clean) return InvalidArgument("HF_TOKEN holds a blank or a control character", "HF_TOKEN");
  std::string base = url->text;
  while (base.ends_with('/')) base.pop_back();
  return HuggingFace(*url, std::move(base), std::move(token));
}

std::string HuggingFace::TokenFor(const Url& url) const { return SameOrigin(url, origin_) ? token_ : std::string(); }

Result<std::vector<RepoFile>> HuggingFace::List(Downloader& downloader, const std::string& repo, bool retry_unreachable) const {
  std::vector<RepoFile> all;
  auto url = ParseUrl(fmt::format("{}/api/models/{}/tree/main?recursive=true", endpoint_, EncodePath(repo)));
  for (int pages = 0; pages < kMostPages; ++pages) {
    if (!url) return std::unexpected(url.error());
    const auto fetched = downloader.FetchText(*url, TokenFor(*url), kMostTreeBytes, retry_unreachable);
    if (!fetched) return std::unexpected(Explain(fetched.error(), repo));
    const auto files = ParseRepoTree(fetched->text);
    if (!files) return Fail(files.error().code, fmt::format("hf:{}: {}", repo, files.error().message));
    all.insert(all.end(), files->begin(), files->end());
    if (all.size() > kMostFiles) return Fail(ErrorCode::kInternal, fmt::format("hf:{} has more than {} files", repo, kMostFiles));
    const std::string next = NextPage(fetched->link);
    if (next.empty()) return all;
    const Url page = *url;
    url = ResolveRedirect(page, next);
    if (url && LosesHttps(page, *url)) {
      return Fail(ErrorCode::kInternal, fmt::format("hf:{}: the list of its files goes on without https, which is refused", repo));
    }
  }
  return Fail(ErrorCode::kInternal, fmt::format("hf:{}: the list of its files does not end", repo));
}

std::string NextPage(std::string_view link) {
  while (true) {
    const std::size_t open = link.find('<');
    const std::size_t close = link.find('>', open);
    if (open == std::string_view::npos || close == std::string_view::npos) return {};
    const std::string_view target = link.substr(open + 1, close - open - 1);
    link.remove_prefix(close + 1);
    const std::string_view parameters = link.substr(0, link.find('<'));
    if (parameters.contains("rel=\"next\"") || parameters.contains("rel=next")) return std::string(target);
  }
}

Result<Url> HuggingFace::FileUrl(const std::string& repo, const std::string& file) const {
  return ParseUrl(fmt::format("{}/{}/resolve/main/{}", endpoint_, EncodePath(repo), EncodePath(file)));
}

Error HuggingFace::Explain(const TransferError& error, const std::string& repo) const {
  Error explained = error.error;
  const int status = error.http_status;
  if (status == 401 || status == 403) {
    const std::string page = fmt::format("{}/{}", endpoint_, repo);
    explained.message += token_.empty() ? fmt::format(
                                              ". The repository is gated, private or does not exist: accept its terms at {}, make a "
                                              "token there and set HF_TOKEN to it",
                                              page)
                                        : fmt::format(
                                              ". HF_TOKEN is set, but gives no access: accept the terms at {} with the account of "
                                              "the token, or check the token",
                                              page);
  } else if (status == 404) {
    explained.message += fmt::format(". Is hf:{} spelt right?", repo);
  } else if (status == 429 && token_.empty()) {
    explained.message += ". With HF_TOKEN set the limits are higher";
  }
  return explained;
}

}  // namespace cllm
