// POST /tokenize and POST /detokenize: a client's own look at the vocabulary, in llama-server's words and in vLLM's.
#pragma once

#include <string_view>

#include "api/operation.h"
#include "api/work.h"
#include "base/chunked_text.h"
#include "service/service.h"

namespace cllm {

// llama-server's {content, add_special, parse_special, with_pieces} gives {"tokens"}; vLLM's {prompt, add_special_tokens,
// return_token_strs} or {messages, …} gives {"count", "max_model_len", "tokens", "token_strs"}.
Result<ChunkedText> TokenizeBody(const TextModel& model, std::string_view body, const WorkLimits& limits);
Operation DescribeTokenize();

// {tokens} is the same in both: the text comes under both names, `content` and `prompt`.
Result<ChunkedText> DetokenizeBody(const TextModel& model, std::string_view body, const WorkLimits& limits);
Operation DescribeDetokenize();

}  // namespace cllm
