// The fields that every dialect shares: sampling, stop strings, seed, length.
#pragma once

#include "api/json_object.h"
#include "api/request_defaults.h"
#include "service/generation.h"

namespace cllm {

inline constexpr std::size_t kMostStopStrings = 16;
inline constexpr std::size_t kMostStopBytes = 1024;  // of each of them
inline constexpr double kMostTemperature = 2.0;      // OpenAI's bound
inline constexpr std::size_t kMostTokenIds = 1024;
inline constexpr int kMostPriority = 100;
inline constexpr std::int64_t kMostTokensField = 4'294'967'295;  // clients send the largest integer that they know

// What holds before the fields are read.
void ApplyDefaults(const RequestDefaults& defaults, GenerateRequest& request);

// temperature, top_p, top_k, min_p, repetition_penalty (and llama.cpp's repeat_penalty, repeat_last_n), presence_penalty,
// frequency_penalty, logit_bias, allowed_token_ids, banned_token_ids, seed, stop, stop_token_ids, ignore_eos, min_tokens,
// include_stop_str_in_output, skip_special_tokens, random_seed, samplers, timeout, priority, cache_salt (and SGLang's extra_key). A field
// that is absent leaves `request` as it is.
void ReadSamplingFields(JsonObject& object, GenerateRequest& request);

// A seed as answers show it, so that it can be sent again.
std::int64_t SeedShown(std::uint64_t seed);

// Of these timeout and priority alone.
void ReadTurnFields(JsonObject& object, std::optional<double>& timeout_s, std::optional<int>& priority);

// The header X-cLLM-Priority, for a proxy that sets it; what the body says, `wanted`, comes first.
inline constexpr const char* kPriorityHeader = "X-cLLM-Priority";
Status ReadPriorityHeader(std::string_view value, std::optional<int>& wanted);

// max_tokens under any of `names`: at least `least`, 0 or 1, or -1 for as many as the context has room for.
void ReadMaxTokens(JsonObject& object, std::initializer_list<const char*> names, GenerateRequest& request, int least = 1);

}  // namespace cllm
