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
  EXPECT_EQ(std::ranges::count(*tokens, *tokenizer.SpecialToken("<|endoftext|>")), 0) << "it is text";
}

TEST(Infill, OtherFilesComeBefore) {
  const LoadedVocabulary vocabulary(CLLM_LLAMA_CPP_SOURCE "/models/ggml-vocab-starcoder.gguf");
  const Tokenizer tokenizer(vocabulary.get());
  const auto tokens =
      TokenizeGap(tokenizer, {.prefix = "p", .suffix = "s", .files = {{"a.h", "int a;"}, {"b.h", "int b;"}}, .names_files = true});
  ASSERT_TRUE(tokens) << tokens.error().message;
  EXPECT_EQ(tokenizer.Detokenize(*tokens),
            "\n\n--- snippet ---\n\nint a;\n\n--- snippet ---\n\nint b;<fim_prefix>p<fim_suffix>s<fim_middle>");
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
