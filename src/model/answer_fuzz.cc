// libFuzzer target: what a hostile model answers, by the parsers of some formats. It means the same however it is cut, costs no more than
// its length is worth, and says nothing that the text does not. The first byte chooses the format.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/testing_fuzz.h"
#include "base/utf8.h"
#include "model/testing_answer_checks.h"

namespace cllm {
namespace {

std::vector<std::shared_ptr<const AnswerFormat>> FuzzedFormats() {
  std::vector<std::shared_ptr<const AnswerFormat>> formats;
  for (const char* name :
       {"Qwen-Qwen3-0.6B", "meta-llama-Llama-3.1-8B-Instruct", "mistralai-Mistral-Nemo-Instruct-2407", "openai-gpt-oss-120b",
        "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "CohereForAI-c4ai-command-r7b-12-2024-tool_use", "Qwen3-Coder", "google-gemma-4-31B-it",
        "LFM2-8B-A1B", "MiniMax-M3"}) {
    formats.push_back(FormatOf(name, TestChat()));
    Require(!formats.back()->is_plain());
  }
  return formats;
}

}  // namespace
}  // namespace cllm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  static const std::vector<std::shared_ptr<const AnswerFormat>> formats = FuzzedFormats();
  if (size == 0) return 0;
  Utf8Assembler assembler;
  std::string text = assembler.Push(std::string_view(reinterpret_cast<const char*>(data), size).substr(1));
  text += assembler.Finish();
  RequireCheap(text.size(), [&] { Require(WhatIsWrong(formats[data[0] % formats.size()], text, false).empty()); });
  return 0;
}
