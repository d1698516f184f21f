// The keys that clients must know.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace cllm {

class ApiKeys {
 public:
  ApiKeys() = default;  // no key: everybody may ask
  // The given keys and those of `file`, where it is not empty: one a line, without blanks around it; empty lines and
  // lines that begin with # don't count. An unreadable file, one without a key, and a key that no header can carry are
  // errors.
  static Result<ApiKeys> Create(const std::vector<std::string>& keys, const std::string& file);

  bool required() const { return !digests_.empty(); }
  std::size_t count() const { return digests_.size(); }
  // Whether "Bearer KEY" in Authorization, or x-api-key, holds a key. Takes a time that depends on the length of what
  // the client sent alone, neither on the keys nor on how much of one is right.
  bool Allow(std::string_view authorization, std::string_view x_api_key) const;
  // Tells one key's requests from another's, without the key; empty where there is no right one, or none is asked for. Takes its time as
  // Allow does.
  std::string OwnerOf(std::string_view authorization, std::string_view x_api_key) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  Status Add(std::string_view key, const std::string& where);
  bool Matches(std::string_view candidate) const;
  static Digest DigestOf(std::string_view key);

  std::vector<Digest> digests_;  // SHA-256: all have one length, and comparing them tells nothing of a key
};

}  // namespace cllm
