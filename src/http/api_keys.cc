#include "http/api_keys.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "http/secret_file.h"

namespace cllm {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view WithoutBlanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// The key of "Bearer KEY"; empty where it is none.
std::string_view BearerKey(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view scheme = authorization.substr(0, kScheme.size());
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  if (!std::ranges::equal(scheme, kScheme, same)) return {};
  return WithoutBlanks(authorization.substr(kScheme.size()));
}

}  // namespace

Result<ApiKeys> ApiKeys::Create(const std::vector<std::string>& keys, const std::string& file) {
  ApiKeys result;
  for (const std::string& key : keys) {
    if (const Status status = result.Add(key, "server.api_keys"); !status) return std::unexpected(status.error());
  }
  if (file.empty()) return result;
  const auto fail = [&](const std::string& what) {
    return InvalidArgument(fmt::format("server.api_key_file {}: {}", file, what), "server.api_key_file");
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) return fail("is a directory");
  std::ifstream stream(file);
  if (!stream) return fail(fmt::format("cannot open it: {}", std::strerror(errno)));
  if (Status status = CheckSecretFile(file, "server.api_key_file"); !status) return std::unexpected(status.error());
  const std::size_t before = result.digests_.size();
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    const std::string_view key = WithoutBlanks(line);
    if (key.empty() || key.starts_with('#')) continue;
    if (const Status status = result.Add(key, fmt::format("{}:{}", file, number)); !status) return std::unexpected(status.error());
  }
  if (stream.bad()) return fail("cannot read it");
  // An empty file must not open the door.
  if (result.digests_.size() == before) return fail("holds no key");
  return result;
}

Status ApiKeys::Add(std::string_view key, const std::string& where) {
  const auto is_bad = [](unsigned char c) { return c <= 0x20 || c >= 0x7F; };
  if (key.empty() || std::ranges::any_of(key, is_bad)) {
    return InvalidArgument(fmt::format("{}: a key must be of visible ASCII characters without blanks", where), "server.api_keys");
  }
  digests_.push_back(DigestOf(key));
  return {};
}

ApiKeys::Digest ApiKeys::DigestOf(std::string_view key) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return digest;
}

bool ApiKeys::Matches(std::string_view candidate) const {
  const Digest digest = DigestOf(candidate);
  bool match = false;
  for (const Digest& known : digests_) match |= CRYPTO_memcmp(known.data(), digest.data(), digest.size()) == 0;
  return match;
}

bool ApiKeys::Allow(std::string_view authorization, std::string_view x_api_key) const {
  if (!required()) return true;
  const bool bearer = Matches(BearerKey(authorization));
  return Matches(x_api_key) || bearer;
}

std::string ApiKeys::OwnerOf(std::string_view authorization, std::string_view x_api_key) const {
  if (!required()) return {};
  const std::string_view bearer = BearerKey(authorization);
  const bool is_bearers = Matches(bearer);
  if (!Matches(x_api_key) && !is_bearers) return {};
  const Digest digest = DigestOf(is_bearers ? bearer : x_api_key);
  return {digest.begin(), digest.end()};
}

}  // namespace cllm
