// What tests may want to know of the build that they are a part of.
#pragma once

namespace cllm {

// Everything takes many times as long: tests that ask the same of very much ask it of less.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif

}  // namespace cllm
