// Vocabularies for tests: files of the pinned llama.cpp, and a small one of bytes for any of its pre-tokenizers.
#pragma once

#include <llama.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "base/rng.h"
#include "formats/testing_gguf.h"

namespace cllm {

inline std::string FileText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The vocabulary of a GGUF file without the rest of it.
class LoadedVocabulary {
 public:
  explicit LoadedVocabulary(const std::string& path) {
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    llama_model_params params = llama_model_default_params();
    params.vocab_only = true;
    model_.reset(llama_model_load_from_file(path.c_str(), params));
  }
  // Null where the file could not be loaded.
  const llama_vocab* get() const { return model_ ? llama_model_get_vocab(model_.get()) : nullptr; }

 private:
  struct Free {
    void operator()(llama_model* model) const { llama_model_free(model); }
  };
  std::unique_ptr<llama_model, Free> model_;
};

// As GPT-2 writes a byte in the texts of its tokens.
inline std::string ByteText(unsigned byte) {
  const auto is_kept = [](unsigned b) { return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE; };
  unsigned code = byte;
  if (!is_kept(byte)) {
    code = 256;
    for (unsigned b = 0; b < byte; ++b) code += is_kept(b) ? 0 : 1;
  }
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

// Token types of GGUF files.
enum TestingTokenType : std::int32_t { kNormalToken = 1, kUnknownToken = 2, kControlToken = 3, kUserDefinedToken = 4 };

struct TestingToken {
  std::string text;
  std::int32_t type = kUserDefinedToken;
};

// The tokens of TestingBpeVocabulary behind its bytes.
inline std::vector<TestingToken> TestingSpecialTokens() {
  return {{"<|begin|>", kControlToken},
          {"<|im_end|>", kControlToken},
          {"<|im_start|>", kControlToken},
          {"<unknown>", kUnknownToken},
          {"<tool>"},
          {"<tool>!"},
          {"ol>!a"},
          {"\xE5\xAD\xA6"}};
}

// A BPE vocabulary: all bytes, and pairs of those that texts of tests are made of, so that ids tell where words are cut.
// Token 256 is "<|begin|>", see TestingSpecialTokens.
inline std::string TestingBpeVocabulary(std::string_view pre_tokenizer, std::string_view tokenizer = "gpt2") {
  std::vector<std::string> tokens;
  std::vector<std::string> merges;
  std::string types;
  const auto add = [&](std::string text, std::int32_t type) {
    tokens.push_back(std::move(text));
    types += TestingGguf::Number(type);
  };
  for (unsigned byte = 0; byte < 256; ++byte) add(ByteText(byte), kNormalToken);
  for (const TestingToken& token : TestingSpecialTokens()) add(token.text, token.type);
  const std::string_view bytes = "aBszdre17 \n\r!'</\xC3\xA9\xE4\xB8\xAD\xCC\x81\xE3\x82\xAB\xE2\x80\xC2\xB2\xD9\xA3";
  for (const char first : bytes) {
    for (const char second : bytes) {
      const std::string left = ByteText(static_cast<unsigned char>(first));
      const std::string right = ByteText(static_cast<unsigned char>(second));
      merges.push_back(left + " " + right);
      add(left + right, kNormalToken);
    }
  }
  TestingGguf file;
  file.String("general.architecture", "gpt2").String("general.name", "Toy");
  file.Uint32("gpt2.block_count", 1).Uint32("gpt2.context_length", 64).Uint32("gpt2.embedding_length", 8);
  file.Uint32("gpt2.feed_forward_length", 8).Uint32("gpt2.attention.head_count", 1).Float32("gpt2.attention.layer_norm_epsilon", 1e-5F);
  file.String("tokenizer.ggml.model", tokenizer).String("tokenizer.ggml.pre", pre_tokenizer);
  file.Strings("tokenizer.ggml.tokens", tokens).Array("tokenizer.ggml.token_type", 5, tokens.size(), types);
  file.Strings("tokenizer.ggml.merges", merges);
  file.Uint32("tokenizer.ggml.bos_token_id", 256).Uint32("tokenizer.ggml.eos_token_id", 257);
  return file.Bytes();
}

// Writes `bytes` to a file, loads it and removes it.
inline LoadedVocabulary LoadVocabularyBytes(const std::string& bytes) {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / ("cllm-vocabulary-" + std::to_string(getpid()) + ".gguf");
  std::ofstream(path, std::ios::binary) << bytes;
  LoadedVocabulary vocabulary(path.string());
  std::filesystem::remove(path);
  return vocabulary;
}

// Every name that the pinned llama.cpp knows for tokenizer.ggml.pre.
inline std::set<std::string> PreTokenizers(const std::string& llama_cpp_source) {
  const std::string source = FileText(llama_cpp_source + "/src/llama-vocab.cpp");
  const std::regex name(R"re(tokenizer_pre == "([^"]+)")re");
  std::set<std::string> names;
  for (auto match = std::sregex_iterator(source.begin(), source.end(), name); match != std::sregex_iterator(); ++match) {
    names.insert((*match)[1]);
  }
  return names;
}

// Up to some hundred characters of all kinds, the same for the same number everywhere.
inline std::string RandomText(std::uint32_t number) {
  static const std::vector<std::string> kPieces = {
      "a",  "B",      "z",      "s",        "aa",         "Bad", "é",   "É",  "e\xCC\x81", "中",        "中中", "カ",     "カナ",
      "가", "ا",      "।",      "1",        "7",          "17",  "123", "٣",  "²",         " ",         "  ",   "\n",     "\r\n",
      "\t", "\u00A0", "　",     "!",        "!!",         "'s",  "'re", "'S", "</",        "/",         "“",    "…",      "，",
      "😀", "\u200D", "<tool>", "<tool>!a", "<|im_end|>", "ǅ",   "ª",   "$",  "+",         "IMGIMGABZ", "_",    "\u0085", "ㄅ"};
  std::string text;
  std::uint32_t draw = 0;
  const auto next = [&](std::uint32_t below) { return Philox4x32({draw++, number, 0, 0}, {1, 2})[0] % below; };
  const std::uint32_t pieces = 1 + next(next(8) == 0 ? 150 : 24);
  std::uint32_t kinds = 2 + next(static_cast<std::uint32_t>(kPieces.size()) - 2);
  const std::uint32_t from = next(static_cast<std::uint32_t>(kPieces.size()));
  while (draw < pieces + 4) {
    if (next(16) == 0) kinds = static_cast<std::uint32_t>(kPieces.size());
    text += kPieces[(from + next(kinds)) % kPieces.size()];
    ++draw;
  }
  return text;
}

// A hash (FNV-1a) of the ids of `count` random texts, control tokens read.
inline std::uint64_t HashOfRandomTexts(const llama_vocab* vocab, std::uint32_t count) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  const auto add = [&](std::int32_t value) { hash = (hash ^ static_cast<std::uint32_t>(value)) * 0x100000001B3U; };
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string text = RandomText(i);
    std::vector<llama_token> ids(text.size() * 3 + 16);
    ids.resize(llama_tokenize(vocab, text.data(), static_cast<std::int32_t>(text.size()), ids.data(), static_cast<std::int32_t>(ids.size()),
                              true, true));
    for (const llama_token id : ids) add(id);
    add(-1);
  }
  return hash;
}

}  // namespace cllm
