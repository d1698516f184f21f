// 16-bit floats (IEEE 754 binary16), as files hold them.
#pragma once

#include <cstdint>

namespace cllm {

float FromHalf(std::uint16_t bits);

}  // namespace cllm
