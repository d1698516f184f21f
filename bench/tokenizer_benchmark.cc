// How long pre-tokenizers take for texts that are hard in one way each: see docs/benchmarks.md.
//   tokenizer_benchmark LLAMA_CPP_SOURCE [NAME …]
// A name is one of tokenizer.ggml.pre, on the vocabulary of GPT-2, or a vocabulary of llama.cpp's models folder ("vocab-gemma-4").
// Without names: one of each set of names that gave the same ids in src/model/testdata, and the other kinds of tokenizers. How the
// time grows is measured with the class that takes longest.
#include <malloc.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "model/testing_vocabulary.h"
#include "model/tokenizer.h"

namespace {

using namespace cllm;

constexpr std::size_t kMiB = 1 << 20;

const std::vector<std::pair<std::string, std::string>> kClasses = {{"letter", "a"},
                                                                   {"digit", "7"},
                                                                   {"space", " "},
                                                                   {"newline", "\n"},
                                                                   {"punctuation", "!"},
                                                                   {"CJK", "中"},
                                                                   {"kana", "カ"},
                                                                   {"emoji", "😀"},
                                                                   {"words", "a "},
                                                                   {"accents", "e\xCC\x81"},
                                                                   {"mixture", "Hello world, it's 12345 o'clock. 中文，カナ\n\n"},
                                                                   {"control", "<|endoftext|>"}};

double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// GPT-2's vocabulary with another name of its pre-tokenizer.
std::string WithPreTokenizer(std::string file, const std::string& name) {
  const std::string key = TestingGguf::Text("tokenizer.ggml.pre") + TestingGguf::Number<std::uint32_t>(8);
  const std::size_t value = file.find(key) + key.size();
  return file.replace(value, TestingGguf::Text("gpt-2").size(), TestingGguf::Text(name));
}

LoadedVocabulary Load(const std::string& source, const std::string& name) {
  const std::string folder = source + "/models/ggml-";
  if (name.starts_with("vocab-")) return LoadedVocabulary(folder + name + ".gguf");
  return LoadVocabularyBytes(WithPreTokenizer(FileText(folder + "vocab-gpt-2.gguf"), name));
}

std::vector<std::string> DefaultNames() {
  std::vector<std::string> names;
  std::map<std::string, std::string> first_of;
  std::istringstream lines(FileText(std::string(CLLM_MODEL_TESTDATA) + "/pre_tokenizer_ids.txt"));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.find(' ');
    if (!line.starts_with('#') && first_of.emplace(line.substr(space), line).second) names.push_back(line.substr(0, space));
  }
  for (const char* vocabulary : {"gemma-4", "llama-spm", "bert-bge", "nomic-bert-moe"}) names.push_back(std::string("vocab-") + vocabulary);
  return names;
}

// CPU seconds for `unit` again and again, up to so many bytes.
double Seconds(const Tokenizer& tokenizer, const std::string& unit, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += unit;
  const double start = CpuSeconds();
  if (!tokenizer.Tokenize(text, true, true)) return std::numeric_limits<double>::quiet_NaN();
  return CpuSeconds() - start;
}

// The same for half a MiB, one and two. Lengths take turns, so that what else the machine does meets all of them; the best of each counts.
std::array<double, 3> SecondsByLength(const Tokenizer& tokenizer, const std::string& unit) {
  std::array<double, 3> best{1e9, 1e9, 1e9};
  for (int round = 0; round < 7; ++round) {
    for (std::size_t i = 0; i < best.size(); ++i) best[i] = std::min(best[i], Seconds(tokenizer, unit, (kMiB / 2) << i));
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  // Each run pays for its memory. Else short texts would find theirs where the run before left it, and from some length on none would,
  // which looks like growth.
  mallopt(M_MMAP_THRESHOLD, 64 << 10);
  if (argc < 2) return std::fputs("tokenizer_benchmark LLAMA_CPP_SOURCE [NAME ...]\n", stderr), 2;
  std::vector<std::string> names(argv + 2, argv + argc);
  if (names.empty()) names = DefaultNames();
  std::string header = "| CPU seconds for 1 MiB |";
  std::string rule = "|---|";
  for (const auto& [name, unit] : kClasses) {
    header += " " + name + " |";
    rule += "--:|";
  }
  std::printf("%s 512 KiB → 1 MiB | 1 → 2 MiB |\n%s--:|--:|\n", header.c_str(), rule.c_str());
  for (const std::string& name : names) {
    const LoadedVocabulary vocabulary = Load(argv[1], name);
    if (vocabulary.get() == nullptr) return std::fprintf(stderr, "cannot load %s\n", name.c_str()), 1;
    const Tokenizer tokenizer(vocabulary.get());
    double slowest = 0;
    std::string slowest_unit;
    std::printf("| %s |", name.c_str());
    for (const auto& [kind, unit] : kClasses) {
      const double one = std::min(Seconds(tokenizer, unit, kMiB), Seconds(tokenizer, unit, kMiB));
      std::printf(" %.2f |", one);
      std::fflush(stdout);
      if (one > slowest) slowest_unit = unit;
      slowest = std::max(slowest, one);
    }
    const auto [half, one, two] = SecondsByLength(tokenizer, slowest_unit);
    std::printf(" %.2f × | %.2f × |\n", one / half, two / one);
  }
}
