// Counter-based random numbers: a draw depends on its key and counter alone, never on draws before it.
#pragma once

#include <array>
#include <cstdint>

namespace cllm {

// Philox4x32-10: J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011), section 4.
// Four 32-bit words for a 128-bit counter under a 64-bit key.
std::array<std::uint32_t, 4> Philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

// A uniform number in [0, 1) with 53 random bits, for (seed, choice index, position) of a sampled token.
double UniformAt(std::uint64_t seed, std::uint32_t choice, std::uint64_t position);

// A seed from the system. 32 bits, so that a client whose numbers are doubles can send it back unchanged.
std::uint64_t RandomSeed();

}  // namespace cllm
