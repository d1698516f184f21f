#include "model/model_facts.h"

#include <llama.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>

#include <fmt/format.h>

namespace cllm {
namespace {

// Reads optional keys; the first wrong type sticks.
class FactReader {
 public:
  explicit FactReader(const GgufFile& file) : file_(file) {}

  std::string String(const std::string& key) {
    return std::string(Keep(Optional<std::string_view>(file_.String(key), {}), std::string_view()));
  }
  std::int64_t Integer(const std::string& key, std::int64_t otherwise = 0) {
    return Keep(Optional(file_.Integer(key), otherwise), otherwise);
  }
  bool Bool(const std::string& key, bool otherwise) { return Keep(Optional(file_.Bool(key), otherwise), otherwise); }
  // One value for all layers, or one for each.
  std::vector<std::int64_t> PerLayer(const std::string& key, std::int64_t layers) {
    const GgufEntry* entry = file_.FindEntry(key);
    if (entry == nullptr) return {};
    if (entry->is_array) return Keep(file_.Integers(key), {});
    return std::vector<std::int64_t>(static_cast<std::size_t>(std::clamp<std::int64_t>(layers, 0, 1 << 16)), Integer(key));
  }
  const Status& status() const { return status_; }

 private:
  template <typename T>
  T Keep(const Result<T>& value, T otherwise) {
    if (value) return *value;
    if (status_) status_ = std::unexpected(value.error());
    return otherwise;
  }

  const GgufFile& file_;
  Status status_;
};

// Architectures whose tokens see all others, whether their files say so or not.
constexpr std::array kEncoders = {"bert",     "modern-bert",  "nomic-bert",   "nomic-bert-moe", "neo-bert",
                                  "eurobert", "jina-bert-v2", "jina-bert-v3", "gemma-embedding"};
// By the numbers that files have for them.
constexpr std::array kPoolings = {"none", "mean", "cls", "last", "rank"};

void ReadEmbedding(FactReader& reader, const GgufFile& file, const std::string& prefix, ModelFacts& facts) {
  const bool is_encoder = std::ranges::find(kEncoders, facts.architecture) != kEncoders.end();
  facts.generates = !is_encoder && reader.Bool(prefix + "attention.causal", true);
  const std::int64_t pooling = reader.Integer(prefix + "pooling_type", -1);
  if (pooling >= 0 && pooling < static_cast<std::int64_t>(kPoolings.size())) facts.pooling = kPoolings[static_cast<std::size_t>(pooling)];
  facts.has_classifier = std::ranges::any_of(
      file.tensors(), [](const GgufTensor& tensor) { return tensor.name == "cls.weight" || tensor.name == "cls.output.weight"; });
}

std::int64_t Largest(const std::vector<std::int64_t>& values) { return values.empty() ? 0 : std::ranges::max(values); }

void ReadAttention(FactReader& reader, const std::string& prefix, ModelFacts& facts) {
  const auto heads = reader.PerLayer(prefix + "attention.head_count", facts.layers);
  auto kv_heads = reader.PerLayer(prefix + "attention.head_count_kv", facts.layers);
  if (kv_heads.empty()) kv_heads = heads;
  facts.heads = Largest(heads);
  facts.kv_heads = Largest(kv_heads);
  const std::int64_t head_size = facts.heads > 0 ? facts.embedding_size / facts.heads : 0;
  facts.key_size = reader.Integer(prefix + "attention.key_length", head_size);
  facts.value_size = reader.Integer(prefix + "attention.value_length", head_size);
  // Keep what a hostile file multiplies far below 2^63.
  constexpr std::int64_t kMost = 1 << 20;
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 36;
  const std::int64_t sizes = std::clamp<std::int64_t>(facts.key_size, 0, kMost) + std::clamp<std::int64_t>(facts.value_size, 0, kMost);
  for (const std::int64_t count : kv_heads) {
    facts.kv_bytes_per_token_f16 += 2 * std::clamp<std::int64_t>(count, 0, kMost) * sizes;
    facts.kv_bytes_per_token_f16 = std::min(facts.kv_bytes_per_token_f16, kMostBytes);
  }
}

void CountTensors(const GgufFile& file, ModelFacts& facts) {
  std::map<std::string_view, ModelFacts::TypeUse> by_type;
  for (const GgufTensor& tensor : file.tensors()) {
    ModelFacts::TypeUse& use = by_type[tensor.type->name];
    use.type = tensor.type->name;
    ++use.tensors;
    use.elements += tensor.elements;
    use.bytes += static_cast<std::int64_t>(tensor.bytes);
    facts.parameters += tensor.elements;
    facts.weight_bytes += static_cast<std::int64_t>(tensor.bytes);
  }
  for (const auto& [name, use] : by_type) facts.types.push_back(use);
  std::ranges::stable_sort(facts.types, std::greater(), &ModelFacts::TypeUse::bytes);
}

// "Q4_1" from general.file_type, else the type that holds most bytes.
std::string Quantization(FactReader& reader, const ModelFacts& facts) {
  const std::int64_t number = reader.Integer("general.file_type", -1);
  if (number >= 0 && number < LLAMA_FTYPE_GUESSED) return llama_ftype_name(static_cast<llama_ftype>(number));
  return facts.types.empty() ? std::string() : std::string(facts.types.front().type);
}

}  // namespace

Result<ModelFacts> ReadModelFacts(const GgufFile& file) {
  FactReader reader(file);
  ModelFacts facts;
  facts.architecture = reader.String("general.architecture");
  facts.name = reader.String("general.name");
  facts.license = reader.String("general.license");
  facts.chat_template = reader.String("tokenizer.chat_template");
  facts.tokenizer = reader.String("tokenizer.ggml.model");
  const std::string pre = reader.String("tokenizer.ggml.pre");
  if (!pre.empty()) facts.tokenizer += fmt::format(" ({})", pre);

  const std::string prefix = facts.architecture + ".";
  facts.file_bytes = static_cast<std::int64_t>(file.size_bytes());
  facts.layers = reader.Integer(prefix + "block_count");
  facts.embedding_size = reader.Integer(prefix + "embedding_length");
  facts.trained_context = reader.Integer(prefix + "context_length");
  facts.sliding_window = reader.Integer(prefix + "attention.sliding_window");
  facts.experts = reader.Integer(prefix + "expert_count");
  facts.experts_used = Largest(reader.PerLayer(prefix + "expert_used_count", facts.layers));
  const GgufEntry* tokens = file.FindEntry("tokenizer.ggml.tokens");
  facts.vocab_size =
      tokens != nullptr && tokens->is_array ? static_cast<std::int64_t>(tokens->count) : reader.Integer(prefix + "vocab_size");
  ReadEmbedding(reader, file, prefix, facts);
  ReadAttention(reader, prefix, facts);
  if (!facts.generates) facts.kv_bytes_per_token_f16 = 0;  // each text is computed at once
  CountTensors(file, facts);
  facts.quantization = Quantization(reader, facts);
  if (!reader.status()) return std::unexpected(reader.status().error());
  return facts;
}

}  // namespace cllm
