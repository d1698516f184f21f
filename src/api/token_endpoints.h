// POST /tokenize and POST /detokenize: a client's own look at the vocabulary, in llama-server's words and in vLLM's.
#pragma once

#include <cstdint>
#include <string_view>

#include "api/dialect.h"
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

// What a request to `dialect` would begin with, without generating, as vLLM has it: {"token_ids", "prompt_token_ids", "prompt"}, or a list
// of these where it may have several prompts. `prompt` is the text of the tokens.
enum class RenderForm : std::uint8_t { kOne, kList };
Result<ChunkedText> RenderBody(const Dialect& dialect, RenderForm form, const TextModel& model, std::string_view body,
                               const WorkLimits& limits);
Operation DescribeRender(const Dialect& dialect, RenderForm form);

}  // namespace cllm
