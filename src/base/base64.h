// Bytes as text (RFC 4648, with padding).
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace cllm {

std::string Base64(std::span<const std::byte> bytes);

}  // namespace cllm
