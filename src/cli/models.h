// Models by name: what every command that takes a MODEL uses, and what pull, list and rm share.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/status.h"
#include "hub/curl_transport.h"
#include "hub/downloader.h"
#include "hub/model_folder.h"
#include "hub/puller.h"

namespace cllm {

// Served where no model is named.
inline constexpr std::string_view kDefaultModel = "smollm2-135m";

struct PullSettings {
  bool quiet = false;
  std::string sha256 = {};  // 64 hexadecimal digits in lower case, or empty
  DownloadPolicy policy = {};
  CurlOptions curl = {};
};

// $XDG_CACHE_HOME/cllm, else ~/.cache/cllm.
std::filesystem::path CacheFolder();

// The folder `models` in it.
ModelFolder DefaultModelFolder();

// Fetches what a name, "hf:…" or an address stands for, unless it is there. Progress goes to standard error.
// kCancelled after Ctrl-C; kNotFound, with the nearest name, for an unknown one.
Result<PulledModel> PullModel(const std::string& text, const PullSettings& settings);

// The file that a MODEL argument means: an existing file, else a built-in name, "hf:…" or an address (pulled where it is
// missing), else a model in the folder, else the path as it is. Empty text is kDefaultModel.
Result<std::string> FindOrPullModel(const std::string& text, const DownloadPolicy& policy);

// Whether FindOrPullModel would look for the text elsewhere than on this machine: it is no file, but empty, a built-in name,
// "hf:…" or an address.
bool IsToBePulled(const std::string& text);

// The file of a MODEL argument that is not to be pulled. kNotFound, with the nearest name, where there is none.
Result<std::string> FindLocalModel(const std::string& text);

// "no model is called smolm2; the nearest name is smollm2-135m"
Error UnknownModel(std::string_view text, const ModelFolder& folder, bool built_in_names);

}  // namespace cllm
