#include "hub/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <vector>

#include <fmt/format.h>

namespace cllm {

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }

void Sha256::Add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }

std::string Sha256::Hex() const {
  // A copy is finished, so that this one can go on.
  const std::unique_ptr<evp_md_ctx_st, Free> copy(EVP_MD_CTX_new());
  EVP_MD_CTX_copy_ex(copy.get(), context_.get());
  std::array<unsigned char, 32> digest{};
  EVP_DigestFinal_ex(copy.get(), digest.data(), nullptr);
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

Result<std::string> Sha256OfFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(ErrorCode::kNotFound, fmt::format("cannot read {}", path.string()));
  Sha256 sum;
  std::vector<char> block(1 << 20);
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0) {
    sum.Add({block.data(), static_cast<std::size_t>(file.gcount())});
  }
  if (file.bad()) return Fail(ErrorCode::kNotFound, fmt::format("cannot read {}", path.string()));
  return sum.Hex();
}

std::string NormalisedSha256(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool fine = lower.size() == 64 && lower.find_first_not_of("0123456789abcdef") == std::string::npos;
  return fine ? lower : std::string();
}

}  // namespace cllm
