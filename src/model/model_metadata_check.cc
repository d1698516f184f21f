#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "model/model_facts.h"

namespace cllm {
namespace {

// llama.cpp's limits; it aborts beyond them.
constexpr std::int64_t kMostLayers = 512;
constexpr std::int64_t kMostExperts = 1024;
// Sizes that no model has, small enough that products of a few stay far below 2^63.
constexpr std::int64_t kMostSize = 1 << 20;
constexpr std::int64_t kMostContext = std::int64_t{1} << 31;
// ggml computes on weights where they are mapped, and asserts that their address is a multiple of this.
constexpr std::uint64_t kLeastAlignment = 32;

// Types of sums, indices and intermediate results.
constexpr std::array<TensorType, 5> kNeverWeights = {TensorType::kI8, TensorType::kI16, TensorType::kF64, TensorType::kQ8_1,
                                                     TensorType::kQ8_K};

// One method for each kind of rule. The first broken rule sticks.
class MetadataCheck {
 public:
  explicit MetadataCheck(const GgufFile& file) : file_(file) {}

  Status Run() {
    CheckWholeModel();
    if (status_) CheckTensorTypes();
    if (status_) CheckSizes();
    if (status_) CheckExperts();
    if (status_) CheckVocabulary();
    return status_;
  }

 private:
  void Refuse(std::string message) {
    if (status_) status_ = InvalidArgument(fmt::format("{}{}", file_.name(), message), "model.path");
  }

  template <typename T>
  std::optional<T> Take(const Result<T>& value) {
    if (value) return *value;
    if (status_) status_ = std::unexpected(value.error());
    return std::nullopt;
  }

  void CheckWholeModel() {
    const auto parts = Take(Optional<std::int64_t>(file_.Integer("split.count"), 1));
    if (parts && *parts > 1) {
      const auto part = file_.Integer("split.no");
      return Refuse(fmt::format(" is part {} of a model in {} files: join them with llama.cpp's `llama-gguf-split --merge`",
                                part ? *part + 1 : 1, *parts));
    }
    const auto type = Take(Optional<std::string_view>(file_.String("general.type"), "model"));
    const auto architecture = Take(file_.String("general.architecture"));
    if (!type || !architecture) return;
    architecture_ = *architecture;
    if (*type == "adapter") return Refuse(" is a LoRA adapter, not a model: name the model that it belongs to");
    if (*type == "mmproj" || architecture_ == "clip") return Refuse(" is the image part of a model: name the text model beside it");
    if (file_.tensors().empty()) return Refuse(" holds no weights, only metadata");
    if (file_.alignment() < kLeastAlignment) {
      return Refuse(
          fmt::format(": key 'general.alignment' is {}, llama.cpp needs weights at multiples of {}", file_.alignment(), kLeastAlignment));
    }
  }

  // What llama.cpp has no computation for makes it crash in its first step, behind every trial without weights.
  void CheckTensorTypes() {
    for (const GgufTensor& tensor : file_.tensors()) {
      const TensorType type = tensor.type->type;
      // Tables of numbers, which models with drafts and with hashed experts carry.
      const bool is_table = tensor.name.contains("d2t") || tensor.name.contains("tid2eid");
      const bool is_integer = type == TensorType::kI32 || type == TensorType::kI64;
      const bool computes = std::ranges::find(kNeverWeights, type) == kNeverWeights.end();
      if ((is_integer && !is_table) || !computes) {
        return Refuse(fmt::format(": tensor '{}' has the type {}, which weights cannot have", tensor.name, tensor.type->name));
      }
      if (tensor.dimensions == 1 && type != TensorType::kF32 && !is_integer) {
        return Refuse(fmt::format(": tensor '{}' has one dimension and the type {}; it has to be F32", tensor.name, tensor.type->name));
      }
    }
  }

  std::string Key(std::string_view suffix) const { return fmt::format("{}.{}", architecture_, suffix); }

  void CheckRange(const std::string& key, std::int64_t value, std::int64_t least, std::int64_t most) {
    if (value >= least && value <= most) return;
    Refuse(fmt::format(": key '{}' is {}, it can be {} to {}", key, value, least, most));
  }

  std::int64_t Required(std::string_view suffix, std::int64_t least, std::int64_t most) {
    const auto value = Take(file_.Integer(Key(suffix)));
    if (value) CheckRange(Key(suffix), *value, least, most);
    return value.value_or(0);
  }

  std::int64_t OptionalInRange(std::string_view suffix, std::int64_t otherwise, std::int64_t least, std::int64_t most) {
    const auto value = Take(Optional(file_.Integer(Key(suffix)), otherwise));
    if (value && *value != otherwise) CheckRange(Key(suffix), *value, least, most);
    return value.value_or(otherwise);
  }

  // One value for all layers, or an array with one for each.
  void CheckPerLayer(std::string_view suffix, std::int64_t layers, std::int64_t least, std::int64_t most) {
    const std::string key = Key(suffix);
    const GgufEntry* entry = file_.FindEntry(key);
    if (entry == nullptr) return;
    if (!entry->is_array) {
      OptionalInRange(suffix, least, least, most);
      return;
    }
    const auto values = Take(file_.Integers(key));
    if (!values) return;
    if (static_cast<std::int64_t>(values->size()) != layers) {
      return Refuse(fmt::format(": key '{}' has {} values, the model has {} layers", key, values->size(), layers));
    }
    for (const std::int64_t value : *values) CheckRange(key, value, least, most);
  }

  void CheckSizes() {
    layers_ = Required("block_count", 1, kMostLayers);
    Required("embedding_length", 1, kMostSize);
    Required("context_length", 1, kMostContext);
    CheckPerLayer("attention.head_count", layers_, 0, kMostSize);
    CheckPerLayer("attention.head_count_kv", layers_, 0, kMostSize);
    CheckPerLayer("feed_forward_length", layers_, 0, 64 * kMostSize);
    for (const std::string_view suffix : {"attention.key_length", "attention.value_length", "rope.dimension_count"}) {
      OptionalInRange(suffix, 0, 0, kMostSize);
    }
    for (const std::string_view suffix : {"layer_norm_epsilon", "layer_norm_rms_epsilon", "group_norm_epsilon"}) CheckEpsilon(suffix);
    CheckRopeScaling();
  }

  void CheckEpsilon(std::string_view suffix) {
    const std::string key = Key(fmt::format("attention.{}", suffix));
    const auto value = Take(Optional(file_.Float(key), 0.0));
    if (value && !(*value >= 0 && *value < 1)) Refuse(fmt::format(": key '{}' is {}, it has to be at least 0 and below 1", key, *value));
  }

  void CheckRopeScaling() {
    constexpr std::array<std::string_view, 4> kKnown = {"none", "linear", "yarn", "longrope"};
    const auto type = Take(Optional<std::string_view>(file_.String(Key("rope.scaling.type")), "none"));
    if (type && std::ranges::find(kKnown, *type) == kKnown.end()) {
      Refuse(fmt::format(": key '{}' is none of none, linear, yarn and longrope", Key("rope.scaling.type")));
    }
  }

  void CheckExperts() {
    const std::int64_t experts = OptionalInRange("expert_count", 0, 0, kMostExperts);
    CheckPerLayer("expert_used_count", layers_, 0, experts);
    const std::string used = Key("expert_used_count");
    if (status_ && experts > 0 && file_.FindEntry(used) == nullptr) Refuse(fmt::format(" has experts, but no key '{}'", used));
  }

  void CheckVocabulary() {
    const auto model = Take(file_.String("tokenizer.ggml.model"));
    if (model && (*model == "none" || *model == "no_vocab")) return Refuse(" has no vocabulary: it cannot read or write text");
    const auto tokens = Take(file_.Strings("tokenizer.ggml.tokens"));
    if (!tokens) return;
    if (tokens->empty()) return Refuse(": key 'tokenizer.ggml.tokens' is empty");
    for (const char* key : {"tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
      const GgufEntry* entry = file_.FindEntry(key);
      if (entry == nullptr || (entry->is_array && entry->count >= tokens->size())) continue;
      Refuse(fmt::format(": key '{}' has to be an array of one value for each of the {} tokens", key, tokens->size()));
    }
    CheckTokensDiffer(*tokens);
  }

  // As llama.cpp sees them: up to the first zero byte. Empty ones may repeat, it gives them names of their own.
  void CheckTokensDiffer(std::vector<std::string_view> tokens) {
    for (std::string_view& token : tokens) token = token.substr(0, token.find('\0'));
    std::vector<std::uint32_t> order(tokens.size());
    std::iota(order.begin(), order.end(), 0);
    const auto text = [&](std::uint32_t i) { return tokens[i]; };
    std::ranges::sort(order, {}, text);
    const auto first = std::ranges::find_if(order, [&](std::uint32_t i) { return !tokens[i].empty(); });
    const auto twice = std::ranges::adjacent_find(first, order.end(), {}, text);
    if (twice == order.end()) return;
    const auto [low, high] = std::minmax(*twice, *(twice + 1));
    Refuse(fmt::format(": key 'tokenizer.ggml.tokens' has the same text twice, as tokens {} and {}", low, high));
  }

  const GgufFile& file_;
  Status status_;
  std::string architecture_;
  std::int64_t layers_ = 0;
};

}  // namespace

Status CheckModelMetadata(const GgufFile& file) { return MetadataCheck(file).Run(); }

}  // namespace cllm
