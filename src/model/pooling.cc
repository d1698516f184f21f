#include "model/pooling.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace cllm {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"none", "mean", "cls", "last", "rank"};

Pooling Named(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  return found == kNames.end() ? Pooling::kNone : static_cast<Pooling>(found - kNames.begin());
}

}  // namespace

std::string_view PoolingName(Pooling pooling) { return kNames.at(static_cast<std::size_t>(pooling)); }

std::vector<std::string> CapabilityNames(const ModelFacts& facts, Pooling pooling) {
  std::vector<std::string> names;
  if (facts.generates) names.emplace_back("completion");
  if (pooling != Pooling::kNone) names.emplace_back(pooling == Pooling::kRank ? "rerank" : "embedding");
  return names;
}

Result<Pooling> ChoosePooling(const ModelFacts& facts, const std::string& wanted) {
  constexpr const char* kField = "model.pooling";
  Pooling pooling = Named(wanted == "auto" ? std::string_view(facts.pooling) : std::string_view(wanted));
  if (wanted == "auto" && pooling == Pooling::kNone && !facts.generates) pooling = Pooling::kMean;
  if (pooling == Pooling::kNone && !facts.generates) {
    return InvalidArgument(fmt::format("the model ({}) can do nothing but embed: model.pooling cannot be none", facts.architecture),
                           kField);
  }
  if (pooling == Pooling::kCls && facts.generates) {
    return InvalidArgument(
        fmt::format("the first token of this model ({}) sees nothing of the text behind it: model.pooling can be mean or last",
                    facts.architecture),
        kField);
  }
  if (pooling == Pooling::kRank && !facts.has_classifier) {
    return InvalidArgument("model.pooling is rank, but the file has no classifier", kField);
  }
  return pooling;
}

}  // namespace cllm
