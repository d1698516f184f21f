// What llama-server's clients ask of the server, and what vLLM's do.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "api/endpoints.h"
#include "api/ollama_models.h"
#include "api/operation.h"
#include "base/status.h"

namespace cllm {

struct Backend;

// GET /props
std::string LlamaPropsBody(const Backend& backend);
Operation DescribeLlamaProps();

// GET /slots: an entry for each place; with the query's fail_on_no_slot an error where none is free.
Result<std::string> LlamaSlotsBody(const Backend& backend, const std::function<std::string(const char*)>& query);
Operation DescribeLlamaSlots();

// GET and POST /lora-adapters: there are none.
std::string LlamaAdaptersBody(const Backend& backend);
Operation DescribeLlamaAdapters();
Result<std::string> SetLlamaAdaptersBody(const FindModel& find, std::string_view body);
Operation DescribeSetLlamaAdapters();

// POST /props and POST /slots/{id}: what llama-server changes or keeps on request.
Result<std::string> LlamaPropsFixedBody(const FindModel& find, std::string_view body);
Result<std::string> LlamaSlotsUnkeptBody(const FindModel& find, std::string_view body);
Operation DescribeLlamaUnsupported();

// GET /version, as vLLM has it.
std::string VllmVersionBody(const Backend& backend);
Operation DescribeVllmVersion();

// GET /tokenizer_info, as vLLM has it: with /tokenize and /detokenize it lets a client do without a tokenizer of its own.
std::string VllmTokenizerBody(const Backend& backend);
Operation DescribeVllmTokenizer();

}  // namespace cllm
