// What a server tells the processes of its models of a request, and they tell it; from clients these headers mean nothing.
#pragma once

namespace cllm {

inline constexpr const char* kOwnerHeader = "x-cllm-owner";         // whose it is, in hexadecimal digits
inline constexpr const char* kRemoteHeader = "x-cllm-remote";       // the client's address
inline constexpr const char* kElapsedHeader = "x-cllm-elapsed-ms";  // since it arrived
inline constexpr const char* kUnloadHeader = "x-cllm-unload";       // of an answer: the request wants the model unloaded

}  // namespace cllm
