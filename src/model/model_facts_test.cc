#include "model/model_facts.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "formats/testing_gguf.h"

namespace cllm {
namespace {

// A model of two layers whose metadata is right, but for what a test changes: keys in `without` are left out, and `with`
// adds others.
std::string ModelBytes(const std::vector<std::string>& without = {}, const std::function<void(TestingGguf&)>& with = {}) {
  TestingGguf file;
  const auto wanted = [&](const char* key) { return std::ranges::find(without, key) == without.end(); };
  if (wanted("general.architecture")) file.String("general.architecture", "llama");
  for (const auto& [key, value] : std::vector<std::pair<const char*, std::uint32_t>>{{"general.file_type", 2},
                                                                                     {"llama.block_count", 2},
                                                                                     {"llama.context_length", 512},
                                                                                     {"llama.embedding_length", 64},
                                                                                     {"llama.feed_forward_length", 128},
                                                                                     {"llama.attention.head_count", 4},
                                                                                     {"llama.attention.head_count_kv", 2}}) {
    if (wanted(key)) file.Uint32(key, value);
  }
  if (wanted("tokenizer.ggml.model")) file.String("tokenizer.ggml.model", "gpt2");
  if (wanted("tokenizer.ggml.tokens")) file.Strings("tokenizer.ggml.tokens", {"a", "b", "", "c", ""});
  if (with) with(file);
  if (wanted("tensors")) file.Tensor("token_embd.weight", {64, 5}, 2, 180).Tensor("output_norm.weight", {64}, 0, 256);
  return file.Bytes();
}

ModelFacts Facts(const std::string& bytes) {
  const auto file = GgufFile::Parse(AsBytes(bytes), "m.gguf");
  EXPECT_TRUE(file) << file.error().message;
  auto facts = ReadModelFacts(*file);
  EXPECT_TRUE(facts) << facts.error().message;
  return facts.value_or(ModelFacts{});
}

Status Check(const std::string& bytes) {
  const auto file = GgufFile::Parse(AsBytes(bytes), "m.gguf");
  return file ? CheckModelMetadata(*file) : std::unexpected(file.error());
}

void ExpectRefused(const std::string& bytes, std::string_view part) {
  const Status status = Check(bytes);
  ASSERT_FALSE(status) << "expected: " << part;
  EXPECT_NE(status.error().message.find(part), std::string::npos) << status.error().message << "\nexpected: " << part;
  EXPECT_TRUE(status.error().message.starts_with("m.gguf")) << status.error().message;
}

void ExpectRefusedWith(const char* key, std::uint32_t value, std::string_view part) {
  ExpectRefused(ModelBytes({key}, [&](TestingGguf& file) { file.Uint32(key, value); }), part);
}

TEST(ModelFactsTest, ReadsWhatTheFileSays) {
  const ModelFacts facts = Facts(ModelBytes({}, [](TestingGguf& file) {
    file.String("general.name", "Tiny").String("general.license", "mit").String("tokenizer.chat_template", "{{ x }}");
    file.String("tokenizer.ggml.pre", "smollm").Uint32("llama.attention.sliding_window", 32);
  }));
  EXPECT_EQ(facts.name, "Tiny");
  EXPECT_EQ(facts.architecture, "llama");
  EXPECT_EQ(facts.license, "mit");
  EXPECT_EQ(facts.chat_template, "{{ x }}");
  EXPECT_EQ(facts.tokenizer, "gpt2 (smollm)");
  EXPECT_EQ(facts.quantization, "Q4_0");
  EXPECT_EQ(facts.parameters, 64 * 5 + 64);
  EXPECT_EQ(facts.weight_bytes, 180 + 256);
  EXPECT_EQ(facts.layers, 2);
  EXPECT_EQ(facts.heads, 4);
  EXPECT_EQ(facts.kv_heads, 2);
  EXPECT_EQ(facts.key_size, 16);
  EXPECT_EQ(facts.value_size, 16);
  EXPECT_EQ(facts.embedding_size, 64);
  EXPECT_EQ(facts.trained_context, 512);
  EXPECT_EQ(facts.sliding_window, 32);
  EXPECT_EQ(facts.vocab_size, 5);
  EXPECT_EQ(facts.kv_bytes_per_token_f16, 2 /*bytes*/ * 2 /*layers*/ * 2 /*heads*/ * (16 + 16));
}

TEST(ModelFactsTest, SaysWhatAModelIsFor) {
  const ModelFacts generates = Facts(ModelBytes());
  EXPECT_TRUE(generates.generates);
  EXPECT_EQ(generates.pooling, "");
  EXPECT_FALSE(generates.has_classifier);
  const ModelFacts reads = Facts(ModelBytes({}, [](TestingGguf& file) {
    file.Raw("llama.attention.causal", 7, std::string_view("\0", 1))
        .Uint32("llama.pooling_type", 4)
        .Tensor("cls.output.weight", {64, 1}, 0, 256);
  }));
  EXPECT_FALSE(reads.generates);
  EXPECT_EQ(reads.pooling, "rank");
  EXPECT_TRUE(reads.has_classifier);
  EXPECT_EQ(reads.kv_bytes_per_token_f16, 0);
  EXPECT_EQ(Facts(ModelBytes({}, [](TestingGguf& file) { file.Uint32("llama.pooling_type", 9); })).pooling, "");
  const ModelFacts encoder =
      Facts(ModelBytes({"general.architecture"}, [](TestingGguf& file) { file.String("general.architecture", "modern-bert"); }));
  EXPECT_FALSE(encoder.generates) << "whatever its file says";
}

TEST(ModelFactsTest, CountsTensorsByType) {
  const ModelFacts facts = Facts(ModelBytes());
  ASSERT_EQ(facts.types.size(), 2U);
  EXPECT_EQ(facts.types[0].type, "F32");  // 256 bytes, most first
  EXPECT_EQ(facts.types[1].type, "Q4_0");
  EXPECT_EQ(facts.types[1].tensors, 1);
  EXPECT_EQ(facts.types[1].elements, 320);
  EXPECT_EQ(facts.types[1].bytes, 180);
}

TEST(ModelFactsTest, HeadSizesAndCountsOfTheirOwn) {
  const ModelFacts facts = Facts(ModelBytes({"llama.attention.head_count_kv"}, [](TestingGguf& file) {
    file.Array("llama.attention.head_count_kv", 4, 2, TestingGguf::Number<std::uint32_t>(1) + TestingGguf::Number<std::uint32_t>(3));
    file.Uint32("llama.attention.key_length", 24).Uint32("llama.attention.value_length", 40);
  }));
  EXPECT_EQ(facts.kv_heads, 3);
  EXPECT_EQ(facts.key_size, 24);
  EXPECT_EQ(facts.value_size, 40);
  EXPECT_EQ(facts.kv_bytes_per_token_f16, 2 * (1 + 3) * (24 + 40));
}

TEST(ModelFactsTest, WithoutKvHeadsThereAreAsManyAsHeads) {
  const ModelFacts facts = Facts(ModelBytes({"llama.attention.head_count_kv"}));
  EXPECT_EQ(facts.kv_heads, 4);
  EXPECT_EQ(facts.kv_bytes_per_token_f16, 2 * 2 * 4 * (16 + 16));
}

TEST(ModelFactsTest, AnEmptyFileHasNoFacts) {
  const ModelFacts facts = Facts(TestingGguf().Bytes());
  EXPECT_EQ(facts.parameters, 0);
  EXPECT_EQ(facts.quantization, "");
  EXPECT_TRUE(facts.types.empty());
}

TEST(ModelFactsTest, WrongTypesAreNamedAndHugeValuesDoNotOverflow) {
  const std::string bytes = ModelBytes({"llama.block_count"}, [](TestingGguf& file) { file.String("llama.block_count", "2"); });
  const auto file = GgufFile::Parse(AsBytes(bytes), "m.gguf");
  ASSERT_TRUE(file);
  const auto facts = ReadModelFacts(*file);
  ASSERT_FALSE(facts);
  EXPECT_NE(facts.error().message.find("llama.block_count"), std::string::npos);

  const std::string most = TestingGguf::Number(std::numeric_limits<std::int64_t>::max());
  const ModelFacts huge = Facts(ModelBytes({"llama.block_count", "llama.attention.head_count_kv"}, [&](TestingGguf& gguf) {
    gguf.Raw("llama.block_count", 11, most).Raw("llama.attention.head_count_kv", 11, most).Raw("llama.attention.key_length", 11, most);
  }));
  EXPECT_GT(huge.kv_bytes_per_token_f16, 0);
}

TEST(ModelMetadataCheckTest, TakesARightModel) {
  const Status status = Check(ModelBytes());
  EXPECT_TRUE(status) << status.error().message;
  EXPECT_TRUE(Check(ModelBytes({"llama.attention.head_count_kv", "llama.feed_forward_length"})));
}

TEST(ModelMetadataCheckTest, TakesWholeModelsOnly) {
  ExpectRefused(ModelBytes({}, [](TestingGguf& file) { file.Uint32("split.count", 3).Uint32("split.no", 1); }),
                "is part 2 of a model in 3 files");
  EXPECT_TRUE(Check(ModelBytes({}, [](TestingGguf& file) { file.Uint32("split.count", 1); })));
  ExpectRefused(ModelBytes({}, [](TestingGguf& file) { file.String("general.type", "adapter"); }), "is a LoRA adapter");
  ExpectRefused(ModelBytes({}, [](TestingGguf& file) { file.String("general.type", "mmproj"); }), "the image part of a model");
  ExpectRefused(ModelBytes({"tensors"}), "holds no weights");
  ExpectRefused(ModelBytes({"general.architecture"}), "no key 'general.architecture'");
  ExpectRefused(ModelBytes({"general.architecture"}, [](TestingGguf& file) { file.String("general.architecture", "clip"); }),
                "the image part");
  ExpectRefused(ModelBytes({}, [](TestingGguf& file) { file.Uint32("general.alignment", 16); }), "multiples of 32");
}

TEST(ModelMetadataCheckTest, ChecksTensorTypes) {
  const auto with = [](std::string_view name, const std::vector<std::int64_t>& shape, std::uint32_t type, std::size_t bytes) {
    return ModelBytes({}, [&](TestingGguf& file) { file.Tensor(name, shape, type, bytes); });
  };
  ExpectRefused(with("w", {32, 2}, 28, 512), "tensor 'w' has the type F64, which weights cannot have");
  ExpectRefused(with("w", {32, 2}, 24, 64), "the type I8");
  ExpectRefused(with("w", {32, 2}, 9, 72), "the type Q8_1");
  ExpectRefused(with("w", {32, 2}, 26, 256), "the type I32");
  ExpectRefused(with("norm", {32}, 1, 64), "tensor 'norm' has one dimension and the type F16; it has to be F32");
  ExpectRefused(with("norm", {32}, 8, 34), "the type Q8_0; it has to be F32");
  EXPECT_TRUE(Check(with("d2t", {32}, 27, 256)));
  EXPECT_TRUE(Check(with("w", {32, 2}, 1, 128)));
}

TEST(ModelMetadataCheckTest, ChecksEpsilons) {
  const auto with = [](float value) {
    return ModelBytes({}, [=](TestingGguf& file) { file.Float32("llama.attention.layer_norm_rms_epsilon", value); });
  };
  for (const float wrong : {-1e-5F, 1.0F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    ExpectRefused(with(wrong), "'llama.attention.layer_norm_rms_epsilon' is");
  }
  EXPECT_TRUE(Check(with(1e-5F)));
  EXPECT_TRUE(Check(with(0.0F)));
}

TEST(ModelMetadataCheckTest, ChecksSizes) {
  ExpectRefusedWith("llama.block_count", 0, "'llama.block_count' is 0, it can be 1 to 512");
  ExpectRefusedWith("llama.block_count", 513, "is 513, it can be 1 to 512");
  ExpectRefusedWith("llama.embedding_length", 0, "'llama.embedding_length' is 0");
  ExpectRefusedWith("llama.embedding_length", 1U << 31, "'llama.embedding_length' is 2147483648");
  ExpectRefusedWith("llama.context_length", 0, "'llama.context_length' is 0");
  ExpectRefusedWith("llama.attention.head_count", 1U << 30, "'llama.attention.head_count' is 1073741824");
  ExpectRefusedWith("llama.rope.dimension_count", ~0U, "'llama.rope.dimension_count' is 4294967295");
  for (const char* key : {"llama.block_count", "llama.embedding_length", "llama.context_length"}) {
    ExpectRefused(ModelBytes({key}), std::string("no key '") + key);
  }
  ExpectRefused(
      ModelBytes({"llama.attention.head_count"}, [](TestingGguf& file) { file.Array("llama.attention.head_count", 4, 3, "123412341234"); }),
      "has 3 values, the model has 2 layers");
  ExpectRefused(ModelBytes({}, [](TestingGguf& file) { file.String("llama.rope.scaling.type", "su"); }),
                "'llama.rope.scaling.type' is none of");
  EXPECT_TRUE(Check(ModelBytes({}, [](TestingGguf& file) { file.String("llama.rope.scaling.type", "yarn"); })));
}

TEST(ModelMetadataCheckTest, ChecksExperts) {
  const auto experts = [](std::uint32_t count, std::uint32_t used) {
    return ModelBytes({}, [=](TestingGguf& file) { file.Uint32("llama.expert_count", count).Uint32("llama.expert_used_count", used); });
  };
  EXPECT_TRUE(Check(experts(8, 2)));
  EXPECT_TRUE(Check(experts(0, 0)));
  ExpectRefused(experts(8, 9), "'llama.expert_used_count' is 9, it can be 0 to 8");
  ExpectRefused(experts(1025, 2), "'llama.expert_count' is 1025");
  ExpectRefused(experts(0, 1), "'llama.expert_used_count' is 1");
  ExpectRefused(ModelBytes({}, [](TestingGguf& file) { file.Uint32("llama.expert_count", 8); }), "has experts, but no key");
}

TEST(ModelMetadataCheckTest, ChecksTheVocabulary) {
  const auto tokens = [](const std::vector<std::string>& values) {
    return ModelBytes({"tokenizer.ggml.tokens"}, [&](TestingGguf& file) { file.Strings("tokenizer.ggml.tokens", values); });
  };
  ExpectRefused(tokens({}), "'tokenizer.ggml.tokens' is empty");
  ExpectRefused(tokens({"x", "same", "y", "same"}), "has the same text twice, as tokens 1 and 3");
  EXPECT_TRUE(Check(tokens({"", "", "x"})));
  ExpectRefused(tokens({std::string("a\0b", 3), std::string("a\0c", 3)}), "tokens 0 and 1");
  ExpectRefused(ModelBytes({"tokenizer.ggml.tokens"}), "no key 'tokenizer.ggml.tokens'");
  ExpectRefused(ModelBytes({"tokenizer.ggml.tokens"}, [](TestingGguf& file) { file.Uint32("tokenizer.ggml.tokens", 5); }),
                "has to be an array");
  ExpectRefused(ModelBytes({"tokenizer.ggml.model"}), "no key 'tokenizer.ggml.model'");
  ExpectRefused(ModelBytes({"tokenizer.ggml.model"}, [](TestingGguf& file) { file.String("tokenizer.ggml.model", "no_vocab"); }),
                "has no vocabulary");
  for (const char* key : {"tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
    ExpectRefused(ModelBytes({}, [&](TestingGguf& file) { file.Array(key, 5, 4, std::string(16, '\1')); }),
                  std::string(key) + "' has to be an array of one value");
    ExpectRefused(ModelBytes({}, [&](TestingGguf& file) { file.Uint32(key, 5); }), std::string(key) + "' has to be an array of one value");
    EXPECT_TRUE(Check(ModelBytes({}, [&](TestingGguf& file) { file.Array(key, 5, 5, std::string(20, '\1')); })));
  }
}

}  // namespace
}  // namespace cllm
