// What a grammar lets come next in one sequence.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/status.h"

namespace cllm {

// Which tokens may come at one place of a sequence.
struct TokenMask {
  // Bit t % 32 of word t / 32 is set where token t may come. Tokens beyond the last word may not. Empty: every token may.
  std::span<const std::uint32_t> allowed = {};
  // The tokens that have to come here, one after the other, because nothing else may; `allowed` then says nothing.
  std::span<const std::int32_t> forced = {};
  // What the grammar asked for is there, and nothing but an end may come.
  bool is_end = false;

  bool Allows(std::int32_t token) const {
    const auto word = static_cast<std::size_t>(token) / 32;
    return allowed.empty() || (token >= 0 && word < allowed.size() && (allowed[word] >> (token % 32) & 1) != 0);
  }
};

// The state of one sequence in its grammar. One thread asks Next, tells with Accept what came, asks again, and so on. What comes next is
// worked out elsewhere meanwhile.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;

  // What may come next, as soon as it is known; nothing where that takes longer than `patience`. The mask is valid until Accept. An
  // error ends the request: nothing may come, or working it out took more than is allowed.
  virtual Result<std::optional<TokenMask>> Next(std::chrono::microseconds patience) = 0;

  // `token` came, which the mask allows; of forced tokens the first one.
  virtual void Accept(std::int32_t token) = 0;
};

}  // namespace cllm
