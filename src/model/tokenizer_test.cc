#include "model/tokenizer.h"

#include <llama.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <pthread.h>
#include <time.h>

#include <gtest/gtest.h>

#include "base/testing_build.h"
#include "formats/gguf_file.h"
#include "model/testing_vocabulary.h"

namespace cllm {
namespace {

using Ids = std::vector<std::int32_t>;

const std::string kSource = CLLM_LLAMA_CPP_SOURCE;

// What llama.cpp's BPE tokenizers are called in a file: "whitespace" is a tokenizer of its own.
std::string TokenizerOf(const std::string& pre_tokenizer) { return pre_tokenizer == "whitespace" ? "whitespace" : "gpt2"; }

LoadedVocabulary BpeVocabulary(const std::string& pre_tokenizer) {
  return LoadVocabularyBytes(TestingBpeVocabulary(pre_tokenizer, TokenizerOf(pre_tokenizer)));
}

std::string Repeated(std::string_view unit, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += unit;
  return text;
}

// Texts that are hard in one way each.
std::map<std::string, std::string> HardTexts(std::size_t bytes) {
  const std::map<std::string, std::string> units = {{"letter", "a"},
                                                    {"capital", "B"},
                                                    {"digit", "7"},
                                                    {"space", " "},
                                                    {"newline", "\n"},
                                                    {"carriage return", "\r\n"},
                                                    {"punctuation mark", "!"},
                                                    {"symbol", "+"},
                                                    {"CJK", "中"},
                                                    {"kana", "カ"},
                                                    {"accents", "e\xCC\x81"},
                                                    {"emoji", "😀"},
                                                    {"letter and space", "a "},
                                                    {"contraction", "'s"},
                                                    {"capital and small", "aB"},
                                                    {"mixture", "Hello world, it's 12345 o'clock.\n\n中文，カナ  "},
                                                    {"control tokens", "<|im_end|>"},
                                                    {"user-defined tokens", "<tool>!a"},
                                                    {"almost tokens", "<|im_end|<tool"}};
  std::map<std::string, std::string> texts;
  for (const auto& [name, unit] : units) texts[name] = Repeated(unit, bytes);
  return texts;
}

// On a stack that recursion per character would leave.
void RunOnSmallStack(std::function<void()> work) {
  constexpr std::size_t kStack = 256 << 10;
  pthread_attr_t attributes;
  pthread_t thread;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, kStack), 0);
  const auto run = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &work), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

double ThreadSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

TEST(Tokenizer, GivesTheIdsOfLlamaCppsOwnVectors) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kSource + "/models")) {
    if (entry.path().extension() != ".inp") continue;
    const std::filesystem::path model = entry.path().parent_path() / entry.path().stem();
    const LoadedVocabulary vocabulary(model.string());
    ASSERT_NE(vocabulary.get(), nullptr) << model;
    const Tokenizer tokenizer(vocabulary.get());
    const std::string separator = "\n__ggml_vocab_test__\n";
    const std::string texts = FileText(entry.path());
    std::istringstream lines(FileText(model.string() + ".out"));
    std::string line;
    std::size_t at = 0;
    for (std::size_t end = texts.find(separator); end != std::string::npos; end = texts.find(separator, at)) {
      const std::string text = texts.substr(at, end - at);
      at = end + separator.size();
      ASSERT_TRUE(std::getline(lines, line)) << model;
      std::istringstream numbers(line);
      const Ids expected{std::istream_iterator<std::int32_t>(numbers), {}};
      EXPECT_EQ(tokenizer.Tokenize(text, false, false).value(), expected) << model << ": " << text;
    }
    ++files;
  }
  EXPECT_GE(files, 15);
}

TEST(Tokenizer, GivesTheIdsOfTheUnpatchedLlamaCppForRandomTexts) {
  std::istringstream lines(FileText(std::string(CLLM_MODEL_TESTDATA) + "/pre_tokenizer_ids.txt"));
  std::map<std::string, std::string> expected;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#')) expected[line.substr(0, line.find(' '))] = line.substr(line.find(' ') + 1);
  }
  std::map<std::string, std::string> hashes;
  for (const std::string& name : PreTokenizers(kSource)) {
    const LoadedVocabulary vocabulary = BpeVocabulary(name);
    ASSERT_NE(vocabulary.get(), nullptr) << name;
    std::array<char, 17> text{};
    std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(HashOfRandomTexts(vocabulary.get(), 200)));
    hashes[name] = text.data();
  }
  EXPECT_EQ(hashes, expected);
}

// The pieces of a word by the definition of byte-pair encoding: of all pairs of neighbours the one with the lowest rank is merged, of
// equals the leftmost, until no merge is left (Sennrich et al. 2016, "Neural machine translation of rare words with subword units").
std::vector<std::string> MergedByDefinition(const std::string& word, const std::map<std::string, int, std::less<>>& ranks) {
  std::vector<std::string> pieces;
  for (const char letter : word) pieces.emplace_back(1, letter);
  while (true) {
    int lowest = std::numeric_limits<int>::max();
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < pieces.size(); ++i) {
      const auto rank = ranks.find(pieces[i] + " " + pieces[i + 1]);
      if (rank == ranks.end() || rank->second >= lowest) continue;
      lowest = rank->second;
      at = i;
    }
    if (lowest == std::numeric_limits<int>::max()) return pieces;
    pieces[at] += pieces[at + 1];
    pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(Tokenizer, MergesLongWordsByTheDefinition) {
  const std::string path = kSource + "/models/ggml-vocab-gpt-2.gguf";
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file);
  const auto merges = file->Strings("tokenizer.ggml.merges");
  ASSERT_TRUE(merges);
  std::map<std::string, int, std::less<>> ranks;
  for (const auto& merge : *merges) ranks.emplace(merge, static_cast<int>(ranks.size()));
  const LoadedVocabulary vocabulary(path);
  const Tokenizer tokenizer(vocabulary.get());
  std::uint32_t state = 1;
  for (const std::string_view letters : {"aab", "thernsoi", "abcdefghijklmnopqrstuvwxyz"}) {
    std::string word;
    for (int i = 0; i < 1500; ++i) word += letters[((state = state * 1664525U + 1013904223U) >> 16U) % letters.size()];
    std::vector<std::string> pieces;
    const Ids tokens = tokenizer.Tokenize(word, false, false).value();
    for (const std::int32_t token : tokens) pieces.push_back(tokenizer.Piece(token, false));
    EXPECT_EQ(pieces, MergedByDefinition(word, ranks)) << letters;
  }
}

TEST(Tokenizer, EndsWhenNobodyWantsItsTokens) {
  const LoadedVocabulary vocabulary = BpeVocabulary("gpt-2");
  const Tokenizer tokenizer(vocabulary.get());
  int looks = 0;
  const StopCheck gone = [&looks]() -> Status { return ++looks < 3 ? Status() : Fail(ErrorCode::kCancelled, "gone"); };
  for (const std::string_view unit : {"a", "a 1 "}) {
    looks = 0;
    const auto tokens = tokenizer.Tokenize(Repeated(unit, 200'000), false, false, gone);
    ASSERT_FALSE(tokens) << unit;
    EXPECT_EQ(tokens.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(looks, 3) << "and nothing is made any further";
  }
  EXPECT_TRUE(tokenizer.Tokenize(Repeated("a", 200'000), false, false)) << "the next one on the thread is asked nothing";
}

TEST(Tokenizer, NeedsNoStackForAnyPreTokenizerAndText) {
  const std::map<std::string, std::string> texts = HardTexts(8 << 10);
  for (const std::string& name : PreTokenizers(kSource)) {
    const LoadedVocabulary vocabulary = BpeVocabulary(name);
    ASSERT_NE(vocabulary.get(), nullptr) << name;
    const Tokenizer tokenizer(vocabulary.get());
    for (const auto& [kind, text] : texts) {
      RunOnSmallStack([&] {
        const auto ids = tokenizer.Tokenize(text, true, true);
        EXPECT_TRUE(ids) << name << ", " << kind << ": " << ids.error().message;
      });
    }
  }
}

// Eight times the text may take 8 times the time and some logarithm, but not 64 times. Pre-tokenizers of each sort, and other tokenizers.
TEST(Tokenizer, TakesLinearTime) {
  constexpr std::size_t kBytes = 8 << 10;
  constexpr int kTimes = 8;
  const std::map<std::string, std::string> small = HardTexts(kBytes);
  const std::map<std::string, std::string> large = HardTexts(kBytes * kTimes);
  const auto least_seconds = [](const Tokenizer& tokenizer, const std::string& text) {
    double least = 1e9;
    for (int i = 0; i < (kIsSanitized ? 1 : 3); ++i) {
      const double start = ThreadSeconds();
      EXPECT_TRUE(tokenizer.Tokenize(text, true, true));
      least = std::min(least, ThreadSeconds() - start);
    }
    return least;
  };
  const auto check = [&](const std::string& name, const LoadedVocabulary& vocabulary) {
    ASSERT_NE(vocabulary.get(), nullptr) << name;
    const Tokenizer tokenizer(vocabulary.get());
    for (const auto& [kind, text] : small) {
      const double times = least_seconds(tokenizer, large.at(kind)) / (least_seconds(tokenizer, text) + 2e-5);
      if (!kIsSanitized) EXPECT_LT(times, 3 * kTimes) << name << ", " << kind;
    }
  };
  for (const char* name : {"tekken", "deepseek-llm", "exaone-moe", "superbpe", "gpt-2", "kimi-k2", "jais-2"}) {
    check(name, BpeVocabulary(name));
  }
  for (const char* name : {"llama-spm", "bert-bge", "nomic-bert-moe"}) {
    check(name, LoadedVocabulary(kSource + "/models/ggml-vocab-" + name + ".gguf"));
  }
}

// Finds special tokens as llama.cpp did: token after token, the longest first, each from the left in what is still text.
std::vector<Ids> SpecialTokensByDefinition(const std::string& text, const std::vector<bool>& may_be_control) {
  std::vector<std::pair<std::string, std::int32_t>> tokens;
  std::map<std::int32_t, bool> is_control;
  std::int32_t id = 256;
  for (const TestingToken& token : TestingSpecialTokens()) {
    is_control[id] = token.type != kUserDefinedToken;
    tokens.emplace_back(token.text, id++);
  }
  std::ranges::stable_sort(tokens, std::greater(), [](const auto& token) { return token.first.size(); });
  std::vector<std::int32_t> taken(text.size(), -1);
  std::map<std::size_t, std::int32_t> begins;
  for (const auto& [name, number] : tokens) {
    for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos;) {
      bool is_free = true;
      for (std::size_t i = at; i < at + name.size(); ++i) {
        is_free = is_free && taken[i] < 0 && (!is_control[number] || may_be_control[i]);
      }
      if (is_free) {
        std::fill_n(taken.begin() + static_cast<std::ptrdiff_t>(at), name.size(), number);
        begins[at] = number;
      }
      at += is_free ? name.size() : 1;
    }
  }
  std::vector<Ids> found;
  for (const auto& [at, number] : begins) found.push_back({static_cast<std::int32_t>(at), number});
  return found;
}

TEST(Tokenizer, FindsTheSameSpecialTokensAsOneByOne) {
  const LoadedVocabulary vocabulary = BpeVocabulary("gpt-2");
  const Tokenizer tokenizer(vocabulary.get());
  const std::vector<std::string> pieces = {"<tool>", "!a",        "<tool",        "ol>!a", ">", "<|im_end|>",
                                           "<|im_",  "<unknown>", "\xE5\xAD\xA6", "a",     " "};
  for (std::uint32_t number = 0; number < 2000; ++number) {
    MarkedText marked;
    std::vector<bool> trusted;
    for (std::uint32_t i = 0; i < 1 + number % 12; ++i) {
      const auto random = Philox4x32({i, number, 0, 0}, {3, 4});
      const std::string& piece = pieces[random[0] % pieces.size()];
      const std::size_t begin = marked.text.size();
      marked.text += piece;
      trusted.resize(marked.text.size(), random[1] % 3 > 0);
      if (random[1] % 3 > 0) marked.trusted.push_back({begin, marked.text.size()});
    }
    Ids expected;
    for (const Ids& found : SpecialTokensByDefinition(marked.text, trusted)) expected.push_back(found[1]);
    Ids special = tokenizer.Tokenize(marked, false).value();
    std::erase_if(special,
                  [](std::int32_t id) { return id < 256 || id >= 256 + static_cast<std::int32_t>(TestingSpecialTokens().size()); });
    EXPECT_EQ(special, expected) << marked.text;
  }
}

TEST(Tokenizer, ReadsControlTokensOnlyWhereAllTheirBytesAreTrusted) {
  constexpr std::int32_t kEnd = 257;
  const LoadedVocabulary vocabulary = BpeVocabulary("tekken");
  const Tokenizer tokenizer(vocabulary.get());
  const std::string name = "<|im_end|>";
  const MarkedText text{.text = "a" + name + "b" + name + "<tool>", .trusted = {{1, 1 + name.size()}}};
  Ids ids = tokenizer.Tokenize(text, false).value();
  EXPECT_EQ(std::ranges::count(ids, kEnd), 1);
  EXPECT_EQ(ids[1], kEnd);
  EXPECT_EQ(ids.back(), 260) << "a user-defined token counts anywhere";
  EXPECT_EQ(tokenizer.Detokenize(ids), text.text);
  for (std::size_t untrusted = 0; untrusted < name.size(); ++untrusted) {
    const MarkedText hole{.text = name, .trusted = {{0, untrusted}, {untrusted + 1, name.size()}}};
    ids = tokenizer.Tokenize(hole, false).value();
    EXPECT_EQ(std::ranges::count(ids, kEnd), 0) << untrusted;
    EXPECT_EQ(tokenizer.Detokenize(ids), name);
  }
  EXPECT_EQ(tokenizer.Tokenize(MarkedText{.text = name, .trusted = {{0, 4}, {4, name.size()}}}, false).value(), Ids{kEnd});
}

TEST(Tokenizer, KnowsSpecialTokensByTheirTexts) {
  const LoadedVocabulary vocabulary = BpeVocabulary("gpt-2");
  const Tokenizer tokenizer(vocabulary.get());
  EXPECT_EQ(tokenizer.SpecialToken("<|im_end|>"), 257);
  EXPECT_EQ(tokenizer.SpecialToken("<tool>"), 260) << "as its maker defined it";
  EXPECT_FALSE(tokenizer.SpecialToken("a")) << "a part of text";
  EXPECT_FALSE(tokenizer.SpecialToken("<|im_end|")) << "a part of it";
}

TEST(Tokenizer, IsTheSameForAWhollyTrustedTextAsForOneThatNobodyMarked) {
  for (const char* name : {"llama-spm", "bert-bge", "phi-3", "deepseek-llm", "nomic-bert-moe"}) {
    const LoadedVocabulary vocabulary(kSource + "/models/ggml-vocab-" + name + ".gguf");
    const Tokenizer tokenizer(vocabulary.get());
    for (std::uint32_t number = 0; number < 200; ++number) {
      const std::string text = RandomText(number) + (number % 2 == 0 ? "<s>[CLS]</s> <|user|> \n" : "");
      const MarkedText marked{.text = text, .trusted = {{0, text.size()}}};
      EXPECT_EQ(tokenizer.Tokenize(marked, true), tokenizer.Tokenize(text, true, true)) << name << ": " << text;
    }
  }
}

// SentencePiece vocabularies can make "<s>" out of its letters.
TEST(Tokenizer, MakesNoControlTokenOutOfPieces) {
  for (const char* name : {"llama-spm", "phi-3", "gemma-4"}) {
    const LoadedVocabulary vocabulary(kSource + "/models/ggml-vocab-" + name + ".gguf");
    const Tokenizer tokenizer(vocabulary.get());
    for (const char* text : {"<s>", "</s>", "<unk>", "x</s>y", "<bos>", "<|end|>", "<eos>"}) {
      const auto ids = tokenizer.Tokenize(MarkedText{.text = text, .trusted = {}}, false);
      for (const std::int32_t id : *ids) {
        EXPECT_EQ(llama_vocab_get_attr(vocabulary.get(), id) & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN), 0) << name << text;
      }
    }
  }
}

TEST(Tokenizer, NeverHasFewerTokensThanItsBound) {
  int bounded = 0;
  for (const char* name : {"llama-spm", "bert-bge", "phi-3", "deepseek-llm", "nomic-bert-moe", "gpt-2", "gemma-4"}) {
    const LoadedVocabulary vocabulary(kSource + "/models/ggml-vocab-" + name + ".gguf");
    const Tokenizer tokenizer(vocabulary.get());
    if (tokenizer.FewestTokens(1) > 0) ++bounded;
    std::map<std::string, std::string> texts = HardTexts(2000);
    for (std::uint32_t number = 0; number < 100; ++number) texts[std::to_string(number)] = RandomText(number);
    texts["separator of SentencePiece"] = Repeated("\xE2\x96\x81", 2000);
    for (const auto& [kind, text] : texts) {
      EXPECT_GE(tokenizer.Tokenize(text, false, true).value().size(), tokenizer.FewestTokens(text.size())) << name << ", " << kind;
    }
  }
  EXPECT_EQ(bounded, 4);
}

TEST(Tokenizer, TakesInvalidUtf8) {
  for (const char* name : {"tekken", "gpt-2", "deepseek-llm"}) {
    const LoadedVocabulary vocabulary = BpeVocabulary(name);
    const Tokenizer tokenizer(vocabulary.get());
    for (const std::string text : {"\xFF", "a\xC3", "\xE4\xB8", "\xF4\x90\x80\x80", "\xF7\xBF\xBF\xBF", "\xED\xA0\x80", "\x80\x80"}) {
      EXPECT_TRUE(tokenizer.Tokenize(text, false, true)) << name;
    }
  }
}

}  // namespace
}  // namespace cllm
