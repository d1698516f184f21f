// Hugging Face, or a mirror of it: what a repository holds, and where a file is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "hub/downloader.h"
#include "hub/file_choice.h"

namespace cllm {

class HuggingFace {
 public:
  // `endpoint` is an address such as HF_ENDPOINT gives it; `token` may be empty.
  static Result<HuggingFace> Create(std::string_view endpoint, std::string token);

  // The token where the address is at the endpoint, else nothing.
  std::string TokenFor(const Url& url) const;

  // The files of "owner/name", main revision.
  Result<std::vector<RepoFile>> List(Downloader& downloader, const std::string& repo, bool retry_unreachable) const;

  Result<Url> FileUrl(const std::string& repo, const std::string& file) const;

  // The message for a person: what a refused request for the repository means, and what to do.
  Error Explain(const TransferError& error, const std::string& repo) const;

 private:
  HuggingFace(Url origin, std::string endpoint, std::string token)
      : origin_(std::move(origin)), endpoint_(std::move(endpoint)), token_(std::move(token)) {}

  Url origin_;
  std::string endpoint_;  // without a slash at its end
  std::string token_;
};

// The target of rel="next" in a Link header (RFC 8288); empty where there is none.
std::string NextPage(std::string_view link);

// The answer of the tree API. kInternal where it is not what the API promises.
Result<std::vector<RepoFile>> ParseRepoTree(std::string_view json);

}  // namespace cllm
