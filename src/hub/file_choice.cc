#include "hub/file_choice.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <regex>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "hub/reference.h"

namespace cllm {
namespace {

// Tried in this order where the user names none: small and good first, then larger, then smaller and worse.
constexpr std::array<std::string_view, 17> kDefaultOrder = {"Q4_K_M", "Q4_K_S", "Q4_0", "Q4_1", "IQ4_NL", "IQ4_XS",
                                                            "Q5_K_M", "Q5_K_S", "Q5_0", "Q6_K", "Q8_0",   "MXFP4",
                                                            "Q3_K_L", "Q3_K_M", "BF16", "F16",  "F32"};
constexpr std::size_t kMostNamed = 12;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool IsSplit(const RepoFile& file) {
  static const std::regex split("-[0-9]{5}-of-[0-9]{5}\\.gguf$", std::regex::icase);
  return std::regex_search(file.path, split);
}

// Whether the path holds the word, with neither a letter, a digit nor an underscore beside it: "Q4_K" is not in
// "Q4_K_M", and "Q4_0" not in "IQ4_0".
bool HoldsWord(std::string_view path, std::string_view word) {
  const std::string text = Lower(path);
  const std::string wanted = Lower(word);
  const auto is_part = [&](std::size_t at) {
    return at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_');
  };
  for (std::size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1)) {
    if ((at == 0 || !is_part(at - 1)) && !is_part(at + wanted.size())) return true;
  }
  return false;
}

std::string Names(const std::vector<RepoFile>& files) {
  std::vector<std::string> names;
  for (const RepoFile& file : files) {
    if (names.size() == kMostNamed) {
      names.emplace_back(fmt::format("and {} more", files.size() - kMostNamed));
      break;
    }
    names.push_back(file.path);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

// Those with the word; of "x-Q4_K_M" and "x-UD-Q4_K_M" the plain one.
std::vector<RepoFile> WithQuantization(const std::vector<RepoFile>& files, std::string_view word) {
  std::vector<RepoFile> fitting;
  std::ranges::copy_if(files, std::back_inserter(fitting), [&](const RepoFile& file) { return HoldsWord(file.path, word); });
  if (fitting.size() > 1) {
    std::vector<RepoFile> plain;
    std::ranges::copy_if(fitting, std::back_inserter(plain), [](const RepoFile& file) { return !HoldsWord(file.path, "UD"); });
    if (!plain.empty()) return plain;
  }
  return fitting;
}

std::vector<RepoFile> WithName(const std::vector<RepoFile>& files, std::string_view wanted) {
  std::vector<RepoFile> exact;
  std::ranges::copy_if(files, std::back_inserter(exact), [&](const RepoFile& file) { return file.path == wanted; });
  if (!exact.empty()) return exact;
  std::ranges::copy_if(files, std::back_inserter(exact), [&](const RepoFile& file) { return BaseName(file.path) == wanted; });
  return exact;
}

std::vector<RepoFile> Fitting(const std::vector<RepoFile>& files, std::string_view wanted) {
  if (Lower(wanted).ends_with(".gguf")) return WithName(files, wanted);
  if (!wanted.empty()) return WithQuantization(files, wanted);
  for (const std::string_view word : kDefaultOrder) {
    if (auto fitting = WithQuantization(files, word); !fitting.empty()) return fitting;
  }
  return files;
}

}  // namespace

Result<RepoFile> ChooseFile(const std::vector<RepoFile>& files, std::string_view wanted) {
  std::vector<RepoFile> models;
  std::vector<RepoFile> split;
  for (const RepoFile& file : files) {
    if (!IsSafeModelPath(file.path) || Lower(BaseName(file.path)).starts_with("mmproj")) continue;
    (IsSplit(file) ? split : models).push_back(file);
  }
  const std::vector<RepoFile> fitting = Fitting(models, wanted);
  if (fitting.size() == 1) return fitting[0];
  if (fitting.size() > 1) {
    return InvalidArgument(fmt::format("several files fit, name one of them after a colon: {}", Names(fitting)));
  }
  if (!split.empty() && !Fitting(split, wanted).empty()) {
    return InvalidArgument(
        models.empty() ? std::string("its model is split into several files, which cllm does not fetch")
                       : fmt::format("that one is split into several files, which cllm does not fetch; whole ones: {}", Names(models)));
  }
  if (models.empty()) return Fail(ErrorCode::kNotFound, "it holds no GGUF file");
  return Fail(ErrorCode::kNotFound, fmt::format("it has no {}; it has {}", wanted, Names(models)));
}

}  // namespace cllm
