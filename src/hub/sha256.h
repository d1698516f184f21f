// SHA-256, piece by piece.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

struct evp_md_ctx_st;

namespace cllm {

class Sha256 {
 public:
  Sha256();
  void Add(std::string_view bytes);
  // 64 hexadecimal digits in lower case over everything added; more can be added afterwards.
  std::string Hex() const;

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

// Of a whole file. kNotFound where it can't be read.
Result<std::string> Sha256OfFile(const std::filesystem::path& path);

// Lower case where the text is 64 hexadecimal digits, else empty.
std::string NormalisedSha256(std::string_view text);

}  // namespace cllm
