#include "hub/reference.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "base/escape.h"
#include "base/utf8.h"
#include "hub/url.h"

namespace cllm {
namespace {

constexpr std::size_t kLongestPart = 200;
constexpr int kMostParts = 4;

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

bool IsSafePart(std::string_view part) {
  return !part.empty() && part.size() <= kLongestPart && IsWord(part[0]) &&
         std::ranges::all_of(part, [](char c) { return IsWord(c) || std::string_view(".+=-").contains(c); });
}

bool EndsInGguf(std::string_view text) {
  constexpr std::string_view kEnding = ".gguf";
  return text.size() > kEnding.size() && std::ranges::equal(text.substr(text.size() - kEnding.size()), kEnding, [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == b;
         });
}

// What of a reference a message may show.
std::string Shown(std::string_view text) {
  constexpr std::size_t kMostShown = 100;
  return Escaped(WholeCharacters(text, kMostShown));
}

Result<ModelReference> ParseHuggingFace(std::string_view text) {
  ModelReference reference{.kind = ModelReference::Kind::kHuggingFace, .text = std::string(text)};
  std::string_view rest = text.substr(3);
  if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
    reference.wanted = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (reference.wanted.empty()) return InvalidArgument(fmt::format("{} ends before the file or quantisation", Shown(text)));
  }
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !IsSafePart(rest.substr(0, slash)) || !IsSafePart(rest.substr(slash + 1))) {
    return InvalidArgument(
        fmt::format("{} is not of the form hf:owner/repo, hf:owner/repo:Q4_K_M or hf:owner/repo:file.gguf", Shown(text)));
  }
  reference.owner = rest.substr(0, slash);
  reference.repo = rest.substr(slash + 1);
  const bool fine = reference.wanted.empty() || (reference.wants_file() ? IsSafeModelPath(reference.wanted) : IsSafePart(reference.wanted));
  if (!fine) return InvalidArgument(fmt::format("{} names a file with characters that are not allowed here", Shown(text)));
  return reference;
}

Result<ModelReference> ParseAddress(std::string_view text) {
  const auto url = ParseUrl(text);
  if (!url) return std::unexpected(url.error());
  std::string file = url->path.substr(url->path.rfind('/') + 1);
  if (!IsSafeModelPath(file)) {
    return InvalidArgument(fmt::format("{} does not end in the name of a .gguf file", WithoutQuery(*url)), "url");
  }
  return ModelReference{.kind = ModelReference::Kind::kUrl, .text = url->text, .file = std::move(file)};
}

}  // namespace

bool ModelReference::wants_file() const { return EndsInGguf(wanted); }

bool IsRemoteReference(std::string_view text) {
  return text.starts_with("hf:") || text.starts_with("http://") || text.starts_with("https://");
}

Result<ModelReference> ParseReference(std::string_view text) {
  if (text.starts_with("hf:")) return ParseHuggingFace(text);
  if (IsRemoteReference(text)) return ParseAddress(text);
  if (!IsSafePart(text)) {
    return InvalidArgument(fmt::format("\"{}\" is no name of a model: give a built-in name, hf:owner/repo or an address", Shown(text)));
  }
  return ModelReference{.kind = ModelReference::Kind::kName, .text = std::string(text)};
}

bool IsSafeModelPath(std::string_view path) {
  if (!EndsInGguf(path)) return false;
  for (int parts = 1; parts <= kMostParts; ++parts) {
    const std::size_t slash = path.find('/');
    if (!IsSafePart(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
  return false;
}

}  // namespace cllm
