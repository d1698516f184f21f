#include "model/infill.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "model/testing_vocabulary.h"

namespace cllm {
namespace {

TEST(Infill, PutsTheTextsBetweenItsMarks) {
  const LoadedVocabulary vocabulary(CLLM_LLAMA_CPP_SOURCE "/models/ggml-vocab-starcoder.gguf");
  const Tokenizer tokenizer(vocabulary.get());
  const auto tokens = TokenizeGap(tokenizer, {.prefix = "int f(<|endoftext|>", .suffix = "}\n", .middle = "  return"});
  ASSERT_TRUE(tokens) << tokens.error().message;
  EXPECT_EQ(tokenizer.Detokenize(*tokens), "<fim_prefix>int f(<|endoftext|><fim_suffix>}\n<fim_middle>  return");
  EXPECT_EQ(std::ranges::count(*tokens, *tokenizer.ControlToken("<|endoftext|>")), 0) << "it is text";
}

TEST(Infill, OtherFilesComeBefore) {
  const GapPrompt gap{.prefix = "p", .suffix = "s", .files = {{"a.h", "int a;"}}, .names_files = true};
  const LoadedVocabulary qwen(CLLM_LLAMA_CPP_SOURCE "/models/ggml-vocab-qwen2.gguf");
  const auto text = [&](const LoadedVocabulary& vocabulary) {
    const Tokenizer tokenizer(vocabulary.get());
    const auto tokens = TokenizeGap(tokenizer, gap);
    return tokens ? tokenizer.Detokenize(*tokens) : tokens.error().message;
  };
  const LoadedVocabulary starcoder(CLLM_LLAMA_CPP_SOURCE "/models/ggml-vocab-starcoder.gguf");
  EXPECT_EQ(text(starcoder), "X");
  EXPECT_EQ(text(qwen), "X");
}

TEST(Infill, NeedsAModelThatKnowsGaps) {
  const LoadedVocabulary vocabulary(CLLM_LLAMA_CPP_SOURCE "/models/ggml-vocab-phi-3.gguf");
  const auto tokens = TokenizeGap(Tokenizer(vocabulary.get()), {.prefix = "a", .suffix = "b"});
  ASSERT_FALSE(tokens);
  EXPECT_EQ(tokens.error().field, "suffix");
  EXPECT_NE(tokens.error().message.find("fill-in-the-middle"), std::string::npos);
}

}  // namespace
}  // namespace cllm
