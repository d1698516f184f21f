#include "sampling/sampler.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <utility>

#include "base/invariant.h"
#include "base/rng.h"
#include "sampling/candidate.h"
#include "sampling/logprobs.h"
#include "sampling/processors.h"

namespace cllm {
namespace {

// Sorted at first where no top-k says how many are needed, and the factor by which that grows until they suffice.
constexpr std::size_t kFirstSorted = 128;
constexpr std::size_t kSortedGrowth = 8;

bool InBounds(const SamplingParams& params) {
  const auto within = [](double value, double low, double high) { return value >= low && value <= high; };
  return within(params.temperature, 0.0, kMaxTemperature) && params.top_k >= 0 && within(params.top_p, 0.0, 1.0) &&
         within(params.min_p, 0.0, 1.0) && within(params.repetition_penalty, kMinRepetitionPenalty, kMaxRepetitionPenalty) &&
         within(params.presence_penalty, -kMaxAdditivePenalty, kMaxAdditivePenalty) &&
         within(params.frequency_penalty, -kMaxAdditivePenalty, kMaxAdditivePenalty) && params.penalty_last_n >= kWholeContext &&
         params.top_logprobs >= kNoLogprobs &&
         std::ranges::all_of(params.logit_bias, [](const auto& bias) { return bias.second < kInfinity; });
}

// The row with nothing left in it but the tokens that may be sampled.
std::span<const float> OnlyAllowed(std::span<const float> logits, std::span<const std::int32_t> allowed, std::vector<float>& row) {
  row.assign(logits.size(), -kInfinity);
  for (const std::int32_t token : allowed) {
    const auto index = static_cast<std::size_t>(token);
    if (token >= 0 && index < logits.size()) row[index] = logits[index];
  }
  return row;
}

// The same, where a mask says what may be sampled.
std::span<const float> OnlyUnmasked(std::span<const float> logits, const TokenMask& mask, std::vector<float>& row) {
  constexpr std::size_t kBits = 32;
  row.assign(logits.size(), -kInfinity);
  for (std::size_t word = 0; word < mask.allowed.size() && word * kBits < logits.size(); ++word) {
    for (std::uint32_t left = mask.allowed[word]; left != 0; left &= left - 1) {
      const std::size_t token = word * kBits + static_cast<std::size_t>(std::countr_zero(left));
      if (token < logits.size()) row[token] = logits[token];
    }
  }
  return row;
}

// Sorts more and more candidates until `find` has a result in them; nothing if it has none in all of them.
template <typename Find>
std::optional<std::size_t> FindInSorted(RankedCandidates& ranked, const Find& find) {
  for (std::size_t count = kFirstSorted;; count *= kSortedGrowth) {
    ranked.SortFirst(count);
    const std::optional<std::size_t> found = find(ranked.sorted());
    if (found || ranked.complete()) return found;
  }
}

}  // namespace

Sampler::Sampler(SamplingParams params, std::uint32_t choice)
    : params_(std::move(params)),
      choice_(choice),
      biases_(MergedBiases(params_, false)),
      biases_at_first_(MergedBiases(params_, true)),
      window_(params_.penalty_last_n) {
  CheckInvariant(InBounds(params_), "sampling parameters are within their bounds");
}

// One entry for each token, ascending; the biases of one token add up in their given order.
Sampler::Biases Sampler::MergedBiases(const SamplingParams& params, bool at_first) {
  Biases all = params.logit_bias;
  for (const std::int32_t token : params.banned) all.emplace_back(token, -kInfinity);
  if (at_first) {
    for (const std::int32_t token : params.banned_at_first) all.emplace_back(token, -kInfinity);
  }
  std::erase_if(all, [](const auto& bias) { return bias.first < 0; });
  std::ranges::stable_sort(all, {}, &std::pair<std::int32_t, float>::first);
  Biases merged;
  for (const auto& [token, bias] : all) {
    if (merged.empty() || merged.back().first != token) merged.emplace_back(token, 0.0F);
    merged.back().second += bias;
  }
  return merged;
}

bool Sampler::Penalizes() const {
  return params_.repetition_penalty != 1.0 || params_.presence_penalty != 0.0 || params_.frequency_penalty != 0.0;
}

void Sampler::Accept(std::int32_t token) {
  if (Penalizes()) window_.Push(token);
}

void Sampler::Accept(std::span<const std::int32_t> tokens) {
  if (Penalizes()) window_.Push(tokens);
}

Result<SampledToken> Sampler::Sample(std::span<const float> logits, std::uint64_t position, SamplerScratch& scratch,
                                     const TokenMask& mask) const {
  Result<LogitRow> row = LogitRow::Scan(logits, scratch.block_max);
  if (!row) return std::unexpected(row.error());

  SampledToken sampled;
  double log_normalizer = 0.0;
  const bool wants_logprobs = params_.top_logprobs >= 0 && row->Max() > -kInfinity;
  if (wants_logprobs) {
    log_normalizer = LogNormalizer(*row);
    sampled.top = TopLogprobs(*row, static_cast<std::size_t>(params_.top_logprobs), log_normalizer, scratch.ranking);
  }
  const Result<std::int32_t> token = mask.forced.empty() ? Choose(logits, *row, position, scratch, mask) : mask.forced.front();
  if (!token) return std::unexpected(token.error());
  sampled.token = *token;
  if (wants_logprobs) sampled.logprob = Logprob(logits[static_cast<std::size_t>(sampled.token)], log_normalizer);
  return sampled;
}

Result<std::int32_t> Sampler::Choose(std::span<const float> logits, LogitRow row, std::uint64_t position, SamplerScratch& scratch,
                                     const TokenMask& mask) const {
  std::span<const float> candidates = logits;
  const bool has_any = row.Max() > -kInfinity;
  if (!params_.allowed.empty()) candidates = OnlyAllowed(candidates, params_.allowed, scratch.allowed);
  if (!mask.allowed.empty()) candidates = OnlyUnmasked(candidates, mask, scratch.unmasked);
  if (candidates.data() != logits.data()) {
    const Result<LogitRow> scanned = LogitRow::Scan(candidates, scratch.block_max);
    if (!scanned) return std::unexpected(scanned.error());
    row = *scanned;
  }
  BuildPatches(candidates, position < params_.banned_until ? biases_at_first_ : biases_, scratch.patches);
  row.Patch(scratch.patches);
  if (row.Max() == -kInfinity) {
    if (!has_any) return Fail(ErrorCode::kInternal, "no token is left to sample: all have a logit of -infinity");
    return InvalidArgument("no token is left to sample: what the request allows, bans and constrains excludes all of them");
  }
  return params_.temperature == 0.0 ? row.ArgMax() : Draw(row, UniformAt(params_.seed, choice_, position), scratch.ranking);
}

// Merges the two ascending lists of tokens whose logits change.
void Sampler::BuildPatches(std::span<const float> logits, const Biases& biases, std::vector<LogitPatch>& patches) const {
  patches.clear();
  auto bias = biases.begin();
  const std::span<const TokenCount> counts = window_.counts();
  auto count = counts.begin();
  while (bias != biases.end() || count != counts.end()) {
    const bool has_bias = bias != biases.end() && (count == counts.end() || bias->first <= count->token);
    const bool has_count = count != counts.end() && (bias == biases.end() || count->token <= bias->first);
    const std::int32_t token = has_bias ? bias->first : count->token;
    if (static_cast<std::size_t>(token) >= logits.size()) return;
    float logit = logits[static_cast<std::size_t>(token)];
    if (has_bias) logit = std::min(logit + (bias++)->second, std::numeric_limits<float>::max());
    if (has_count) logit = Penalize(logit, (count++)->count, params_);
    patches.push_back({.token = token, .logit = logit});
  }
}

bool Sampler::HasTopK(const LogitRow& row) const { return params_.top_k > 0 && static_cast<std::size_t>(params_.top_k) < row.size(); }

std::int32_t Sampler::Draw(const LogitRow& row, double uniform, RankingScratch& scratch) const {
  const bool has_top_k = HasTopK(row);
  const double floor = MinPFloor(row.Max(), params_.min_p);
  // Top-p measures against all that top-k leaves, so min-p's floor may thin out the list early only without top-k.
  RankedCandidates ranked(row, has_top_k ? static_cast<std::size_t>(params_.top_k) : row.size(), has_top_k ? -kInfinity : floor, scratch);

  const bool keeps_everything = !has_top_k && params_.top_p >= 1.0 && params_.min_p <= 0.0;
  if (keeps_everything) {
    const double total = row.TotalWeight(params_.temperature);
    const auto drawn =
        FindInSorted(ranked, [&](std::span<const Candidate> sorted) { return DrawIndex(sorted, total, params_.temperature, uniform); });
    if (drawn) return ranked.sorted()[*drawn].token;
    // The lanes' total may round to more than the sum in sorted order; below, both are the latter.
  }

  const std::span<const Candidate> kept = Truncate(row, ranked, floor);
  const auto drawn = DrawIndex(kept, TotalWeight(kept, params_.temperature), params_.temperature, uniform);
  CheckInvariant(drawn.has_value(), "a draw from what is kept hits a token");
  return kept[*drawn].token;
}

std::span<const Candidate> Sampler::Truncate(const LogitRow& row, RankedCandidates& ranked, double floor) const {
  const bool has_top_k = HasTopK(row);
  const bool has_top_p = params_.top_p < 1.0;
  if (has_top_k || !has_top_p) ranked.SortFirst(row.size());

  std::optional<std::size_t> nucleus;
  if (has_top_p) {
    const double total = has_top_k ? TotalWeight(ranked.sorted(), 1.0) : row.TotalWeight(1.0);
    nucleus = FindInSorted(ranked, [&](std::span<const Candidate> sorted) { return TopPCount(sorted, total, params_.top_p); });
  }
  const std::span<const Candidate> kept = ranked.sorted().first(nucleus.value_or(ranked.sorted().size()));
  return kept.first(CountAtLeast(kept, floor));
}

}  // namespace cllm
