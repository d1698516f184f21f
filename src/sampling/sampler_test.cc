#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "gtest/gtest.h"
#include "sampling/candidate.h"

namespace cllm {
namespace {

constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();

struct Kept {
  std::int32_t token;
  double weight;
};

// Allowed tokens, biases and bans at `position`, long-hand.
std::vector<float> Restricted(const SamplingParams& params, std::size_t position, std::vector<float> logits) {
  const auto ban = [&](std::int32_t token) {
    if (static_cast<std::size_t>(token) < logits.size()) logits[static_cast<std::size_t>(token)] = -kInfinity;
  };
  for (const auto& [token, bias] : params.logit_bias) {
    if (token >= 0 && static_cast<std::size_t>(token) < logits.size()) logits[static_cast<std::size_t>(token)] += bias;
  }
  for (const std::int32_t token : params.banned) ban(token);
  for (const std::int32_t token : params.banned_at_first) {
    if (position < params.banned_until) ban(token);
  }
  if (params.allowed.empty()) return logits;
  std::vector<float> only_allowed(logits.size(), -kInfinity);
  for (const std::int32_t token : params.allowed) {
    const auto index = static_cast<std::size_t>(token);
    if (index < logits.size()) only_allowed[index] = logits[index];
  }
  return only_allowed;
}

// The chain as one would write it with no thought of speed: a copy, a full sort, and long-hand steps. Returns what may
// be drawn, with the weight of each.
std::vector<Kept> ReferenceKept(const SamplingParams& params, const std::vector<std::int32_t>& history, std::vector<float> logits) {
  logits = Restricted(params, history.size(), std::move(logits));
  std::map<std::int32_t, int> counts;
  for (std::size_t i = 0; i < history.size(); ++i) {
    const std::size_t age = history.size() - i;
    if (params.penalty_last_n < 0 || age <= static_cast<std::size_t>(params.penalty_last_n)) ++counts[history[i]];
  }
  for (const auto& [token, count] : counts) {
    if (static_cast<std::size_t>(token) >= logits.size()) continue;
    float& logit = logits[static_cast<std::size_t>(token)];
    const auto repetition = static_cast<float>(params.repetition_penalty);
    logit = logit > 0 ? logit / repetition : logit * repetition;
    logit -= static_cast<float>(count) * static_cast<float>(params.frequency_penalty) + static_cast<float>(params.presence_penalty);
  }

  std::vector<std::int32_t> order;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > -kInfinity) order.push_back(static_cast<std::int32_t>(i));
  }
  const auto logit_of = [&](std::int32_t token) -> double { return logits[static_cast<std::size_t>(token)]; };
  std::ranges::stable_sort(order, [&](std::int32_t a, std::int32_t b) { return logit_of(a) > logit_of(b); });
  if (params.temperature == 0.0) return {{order.front(), 1.0}};

  if (params.top_k > 0 && order.size() > static_cast<std::size_t>(params.top_k)) {
    order.resize(static_cast<std::size_t>(params.top_k));
  }
  const double best = logit_of(order.front());
  if (params.top_p < 1.0) {
    double total = 0.0;
    for (const std::int32_t token : order) total += std::exp(logit_of(token) - best);
    double sum = 0.0;
    std::size_t count = 0;
    do {
      sum += std::exp(logit_of(order[count++]) - best);
    } while (count < order.size() && sum < params.top_p * total);
    order.resize(count);
  }
  std::erase_if(order, [&](std::int32_t token) { return logit_of(token) < best + std::log(params.min_p); });
  std::vector<Kept> kept;
  for (const std::int32_t token : order) {
    kept.push_back({token, std::exp((logit_of(token) - best) / params.temperature)});
  }
  return kept;
}

std::int32_t ReferenceSample(const SamplingParams& params, std::uint32_t choice, const std::vector<std::int32_t>& history,
                             const std::vector<float>& logits, std::uint64_t position) {
  const std::vector<Kept> kept = ReferenceKept(params, history, logits);
  double total = 0.0;
  for (const Kept& k : kept) total += k.weight;
  const double target = UniformAt(params.seed, choice, position) * total;
  double sum = 0.0;
  for (const Kept& k : kept) {
    sum += k.weight;
    if (sum > target) return k.token;
  }
  return kept.back().token;
}

class Random {
 public:
  explicit Random(std::uint32_t seed) : generator_(seed) {}
  std::size_t Below(std::size_t n) { return generator_() % n; }
  template <typename T>
  T OneOf(std::initializer_list<T> values) {
    return values.begin()[Below(values.size())];
  }
  std::int32_t Token(std::size_t vocabulary) { return static_cast<std::int32_t>(Below(vocabulary)); }

  // Normal logits, logits with many ties, logits that are all equal; some with -infinity.
  std::vector<float> Row(std::size_t size) {
    std::normal_distribution<float> normal(0.0F, OneOf({0.3F, 3.0F, 8.0F}));
    const bool ties = Below(3) == 0;
    const bool flat = Below(8) == 0;
    const bool holes = Below(4) == 0;
    std::vector<float> row(size);
    for (float& logit : row) {
      logit = flat ? 2.0F : normal(generator_);
      if (ties) logit = std::round(2.0F * logit) / 2.0F;
      if (holes && Below(3) == 0) logit = -kInfinity;
    }
    row[Below(size)] = 1.0F;
    return row;
  }

  SamplingParams Params(std::size_t vocabulary) {
    SamplingParams params{
        .temperature = OneOf({0.0, 0.1, 0.8, 1.0, 1.7}),
        .top_k = OneOf({0, 0, 1, 2, 40, 1'000, 1'000'000}),
        .top_p = OneOf({0.0, 0.31, 0.9, 0.95, 1.0, 1.0}),
        .min_p = OneOf({0.0, 0.0, 0.05, 0.33, 1.0}),
        .repetition_penalty = OneOf({1.0, 1.1, 0.7, 2.0}),
        .presence_penalty = OneOf({0.0, 0.4, -0.4}),
        .frequency_penalty = OneOf({0.0, 0.0, 0.3}),
        .penalty_last_n = OneOf({0, 1, 5, 64, kWholeContext}),
        .seed = (static_cast<std::uint64_t>(generator_()) << 32) | generator_(),
    };
    const std::size_t biases = OneOf({0U, 0U, 1U, 5U, 40U});
    for (std::size_t i = 0; i < biases; ++i) {
      params.logit_bias.emplace_back(Token(vocabulary + 3), OneOf({-3.0F, 2.5F, 8.0F, -kInfinity}));
    }
    const std::size_t bans = vocabulary < 10 ? 0 : OneOf({0U, 0U, 1U, 3U});
    for (std::size_t i = 0; i < bans; ++i) params.banned.push_back(Token(vocabulary));
    for (std::size_t i = 0; i < bans; ++i) params.banned_at_first.push_back(Token(vocabulary + 3));
    params.banned_until = OneOf<std::uint64_t>({0, 4, 65, 1'000});
    const std::size_t allowed = OneOf({0U, 0U, 0U, 0U, 4U, 100U});
    for (std::size_t i = 0; i < allowed; ++i) params.allowed.push_back(Token(vocabulary + 3));
    return params;
  }

 private:
  std::mt19937 generator_;
};

Result<SampledToken> SampleOnce(const SamplingParams& params, const std::vector<float>& logits, std::uint64_t position = 0) {
  SamplerScratch scratch;
  return Sampler(params, 0).Sample(logits, position, scratch);
}

bool AnyLeft(const SamplingParams& params, std::size_t position, const std::vector<float>& logits) {
  return std::ranges::max(Restricted(params, position, logits)) > -kInfinity;
}

// One scratch for all, as a thread of the server has it.
TEST(SamplerTest, EqualsTheReferenceOnManyRowsAndParameters) {
  Random random(20'240'501);
  SamplerScratch scratch;
  int compared = 0;
  for (int round = 0; round < 4'000; ++round) {
    const std::size_t vocabulary = round % 20 == 0 ? 20'000 : random.OneOf<std::size_t>({1, 2, 5, 100, 127, 128, 129, 1'000, 3'000});
    const SamplingParams params = random.Params(vocabulary);
    const auto choice = static_cast<std::uint32_t>(random.Below(3));
    Sampler sampler(params, choice);
    std::vector<std::int32_t> history(random.OneOf<std::size_t>({0, 3, 64, 200}));
    for (std::int32_t& token : history) token = random.Token(vocabulary + 2);
    sampler.Accept(history);
    for (int step = 0; step < 3; ++step) {
      const std::vector<float> logits = random.Row(vocabulary);
      const std::uint64_t position = history.size();
      const auto sampled = sampler.Sample(logits, position, scratch);
      if (!AnyLeft(params, position, logits)) {
        ASSERT_FALSE(sampled);
        continue;
      }
      ASSERT_TRUE(sampled) << sampled.error().message;
      ASSERT_EQ(sampled->token, ReferenceSample(params, choice, history, logits, position))
          << "round " << round << " step " << step << " vocabulary " << vocabulary << " temperature " << params.temperature << " top_k "
          << params.top_k << " top_p " << params.top_p << " min_p " << params.min_p;
      sampler.Accept(sampled->token);
      history.push_back(sampled->token);
      ++compared;
    }
  }
  EXPECT_GT(compared, 10'500);
}

TEST(SamplerTest, OnlyAllowedTokensAreSampledAndABiasBringsNoOtherBack) {
  std::vector<float> logits(1'000, 0.0F);
  logits[7] = 9.0F;
  EXPECT_EQ(SampleOnce({.temperature = 0.0, .logit_bias = {{7, 100.0F}}, .allowed = {900, 3, 5000}}, logits)->token, 3);
  EXPECT_EQ(SampleOnce({.temperature = 0.0, .banned = {3}, .allowed = {900, 3}}, logits)->token, 900);
  EXPECT_FALSE(SampleOnce({.temperature = 0.0, .allowed = {5000}}, logits));
  const auto sampled = SampleOnce({.temperature = 0.0, .allowed = {3}, .top_logprobs = 1}, logits);
  EXPECT_EQ(sampled->top.at(0).token, 7) << "log-probabilities are those of the engine's own row";
}

TEST(SamplerTest, AMaskLetsNothingElseCome) {
  std::vector<float> logits(100, 0.0F);
  logits[7] = 9.0F;
  SamplerScratch scratch;
  const auto with_mask = [&](const SamplingParams& params, const TokenMask& mask) {
    return Sampler(params, 0).Sample(logits, 0, scratch, mask);
  };
  const std::vector<std::uint32_t> mask = {0, 1U << 8 | 1U << 31, 0, 1U << 3};  // 40, 63 and 99
  EXPECT_EQ(with_mask({.temperature = 0.0, .logit_bias = {{7, 100.0F}}}, {.allowed = mask})->token, 40);
  EXPECT_EQ(with_mask({.temperature = 0.0, .banned = {40}}, {.allowed = mask})->token, 63);
  EXPECT_EQ(with_mask({.temperature = 0.0, .allowed = {7, 99}}, {.allowed = mask})->token, 99);
  EXPECT_FALSE(with_mask({.temperature = 0.0, .allowed = {7}}, {.allowed = mask}));
  const auto sampled = with_mask({.temperature = 0.0, .top_logprobs = 1}, {.allowed = mask});
  EXPECT_EQ(sampled->token, 40);
  EXPECT_EQ(sampled->top.at(0).token, 7) << "log-probabilities are those of the engine's own row";
  const std::vector<std::int32_t> forced = {5, 6};
  EXPECT_EQ(with_mask({.temperature = 0.0, .banned = {5}}, {.forced = forced})->token, 5);
  // Beyond the vocabulary nothing is read; a mask that is too short lets nothing more come.
  EXPECT_FALSE(with_mask({}, {.allowed = std::vector<std::uint32_t>{0, 0, 0, 1U << 31, ~0U}}));
  for (int seed = 0; seed < 200; ++seed) {
    const auto drawn = with_mask({.temperature = 5.0, .seed = static_cast<std::uint64_t>(seed)}, {.allowed = mask});
    EXPECT_TRUE(drawn->token == 40 || drawn->token == 63 || drawn->token == 99);
  }
}

TEST(SamplerTest, SomeBansEndAtAPosition) {
  std::vector<float> logits(10, 0.0F);
  logits[7] = 9.0F;
  const SamplingParams params{.temperature = 0.0, .banned_at_first = {7}, .banned_until = 5};
  EXPECT_EQ(SampleOnce(params, logits, 4)->token, 0);
  EXPECT_EQ(SampleOnce(params, logits, 5)->token, 7);
}

TEST(SamplerTest, GreedyTakesTheLowestIdAmongEquals) {
  std::vector<float> logits(1'000, -1.0F);
  logits[900] = logits[400] = logits[401] = 3.0F;
  EXPECT_EQ(SampleOnce({.temperature = 0.0}, logits)->token, 400);
  logits[3] = 0.0F;
  EXPECT_EQ(SampleOnce({.temperature = 0.0, .logit_bias = {{3, 3.0F}}}, logits)->token, 3);
  EXPECT_EQ(SampleOnce({.temperature = 0.0, .banned = {400, 401}}, logits)->token, 900);
  const std::vector<float> zeros = {-0.0F, 0.0F, -0.0F};
  EXPECT_EQ(SampleOnce({.temperature = 0.0}, zeros)->token, 0) << "minus zero equals zero";
}

TEST(SamplerTest, TiesAtTheEdgeOfTopKGoToTheLowestIds) {
  const std::vector<float> logits(5'000, 1.0F);
  SamplerScratch scratch;
  const Sampler sampler({.temperature = 1.0, .top_k = 3, .top_p = 1.0, .min_p = 0.0}, 0);
  std::map<std::int32_t, int> counts;
  for (std::uint64_t position = 0; position < 300; ++position) {
    ++counts[sampler.Sample(logits, position, scratch)->token];
  }
  EXPECT_EQ(counts.size(), 3U);
  EXPECT_EQ(counts.rbegin()->first, 2);
}

TEST(SamplerTest, RowsThatAreNotFiniteAreErrors) {
  for (const float bad : {kNotANumber, kInfinity}) {
    for (const double temperature : {0.0, 0.8}) {
      std::vector<float> logits(300, 1.0F);
      logits[299] = bad;
      const auto sampled = SampleOnce({.temperature = temperature}, logits);
      ASSERT_FALSE(sampled);
      EXPECT_EQ(sampled.error().code, ErrorCode::kInternal);
      EXPECT_NE(sampled.error().message.find("not finite"), std::string::npos);
      EXPECT_FALSE(SampleOnce({.temperature = temperature, .banned = {299}}, logits)) << "a ban does not hide it";
    }
  }
}

TEST(SamplerTest, ARowWithNothingLeftIsAnError) {
  const std::vector<float> nothing(300, -kInfinity);
  for (const double temperature : {0.0, 0.8}) {
    for (const std::int32_t top_logprobs : {kNoLogprobs, 3}) {
      const auto sampled = SampleOnce({.temperature = temperature, .top_logprobs = top_logprobs}, nothing);
      ASSERT_FALSE(sampled);
      EXPECT_EQ(sampled.error().code, ErrorCode::kInternal);
      const auto banned = SampleOnce({.temperature = temperature, .banned = {0, 1}}, {1.0F, 2.0F});
      ASSERT_FALSE(banned);
      EXPECT_EQ(banned.error().code, ErrorCode::kInvalidArgument) << "the request asks for it";
    }
    EXPECT_FALSE(SampleOnce({.temperature = temperature}, {}));
  }
}

TEST(SamplerTest, AllButOneBanned) {
  Random random(5);
  const std::size_t vocabulary = 1'000;
  for (const double temperature : {0.0, 0.8, 2.0}) {
    for (const std::int32_t top_k : {0, 1, 40}) {
      for (const double min_p : {0.0, 0.05}) {
        std::vector<std::int32_t> banned(vocabulary);
        std::iota(banned.begin(), banned.end(), 0);
        const std::int32_t left = random.Token(vocabulary);
        std::erase(banned, left);
        std::vector<float> logits(vocabulary, 50.0F);
        logits[static_cast<std::size_t>(left)] = -80.0F;
        const auto sampled = SampleOnce({.temperature = temperature, .top_k = top_k, .min_p = min_p, .banned = banned}, logits);
        ASSERT_TRUE(sampled);
        EXPECT_EQ(sampled->token, left);
      }
    }
  }
}

TEST(SamplerTest, EachWayToKeepOneTokenEqualsGreedy) {
  Random random(6);
  for (int round = 0; round < 200; ++round) {
    const std::vector<float> logits = random.Row(2'000);
    const auto position = static_cast<std::uint64_t>(round);
    const std::int32_t best = SampleOnce({.temperature = 0.0}, logits, position)->token;
    EXPECT_EQ(SampleOnce({.top_k = 1}, logits, position)->token, best);
    EXPECT_EQ(SampleOnce({.top_k = 0, .top_p = 0.0, .min_p = 0.0}, logits, position)->token, best);
    EXPECT_EQ(SampleOnce({.top_p = 0.0}, logits, position)->token, best);
    // Without ties the next logit is far away on the scale of such a temperature.
    std::vector<float> no_ties(2'000);
    for (float& logit : no_ties) logit = static_cast<float>(random.Below(1'000'000)) / 1'000.0F;
    const auto highest = std::ranges::max_element(no_ties) - no_ties.begin();
    no_ties[static_cast<std::size_t>(highest)] += 0.01F;
    for (const std::int32_t top_k : {0, 40}) {
      const SamplingParams cold{.temperature = 1e-6, .top_k = top_k, .top_p = 1.0, .min_p = 0.0};
      EXPECT_EQ(SampleOnce(cold, no_ties, position)->token, highest);
    }
  }
}

TEST(SamplerTest, ExtremeTemperaturesStayDefined) {
  const std::vector<float> logits = {1.0F, 3.0F, 3.4e38F, -3.4e38F};
  for (const double temperature : {5e-324, 1e-300, kMaxTemperature}) {
    const auto sampled = SampleOnce({.temperature = temperature, .top_k = 0, .top_p = 1.0, .min_p = 0.0}, logits);
    ASSERT_TRUE(sampled);
    EXPECT_EQ(sampled->token, 2);
  }
}

TEST(SamplerTest, BiasesOfOneTokenAddUpAndStrangersAreIgnored) {
  const std::vector<float> logits = {1.0F, 2.0F, 3.0F};
  SamplingParams params{.temperature = 0.0, .logit_bias = {{0, 1.5F}, {-4, 9.0F}, {3, 9.0F}, {0, 1.0F}}};
  EXPECT_EQ(SampleOnce(params, logits)->token, 0);
  params.logit_bias.pop_back();
  EXPECT_EQ(SampleOnce(params, logits)->token, 2);
}

TEST(SamplerTest, PenaltiesSeeThePromptAndForgetWhatLeavesTheWindow) {
  const std::vector<float> logits = {1.0F, 2.0F, 3.0F};
  Sampler sampler({.temperature = 0.0, .repetition_penalty = 10.0, .penalty_last_n = 2}, 0);
  SamplerScratch scratch;
  sampler.Accept(std::vector<std::int32_t>{2});
  EXPECT_EQ(sampler.Sample(logits, 1, scratch)->token, 1);
  sampler.Accept(1);
  EXPECT_EQ(sampler.Sample(logits, 2, scratch)->token, 0);
  sampler.Accept(0);
  EXPECT_EQ(sampler.Sample(logits, 3, scratch)->token, 2);
}

// The value that a chi-square variable with these degrees of freedom exceeds by chance once in 10,000 (Wilson and
// Hilferty 1931).
double ChiSquareLimit(std::size_t degrees) {
  const auto d = static_cast<double>(degrees);
  const double root = 1.0 - 2.0 / (9.0 * d) + 3.719 * std::sqrt(2.0 / (9.0 * d));
  return d * root * root * root;
}

// What tells one draw from the next.
enum class Moved { kPosition, kSeed, kChoice };

struct DistributionCase {
  const char* name;
  SamplingParams params;
  Moved moved = Moved::kPosition;
};

constexpr int kDraws = 100'000;

std::map<std::int32_t, int> CountDraws(const DistributionCase& test, const std::vector<std::int32_t>& history,
                                       const std::vector<float>& logits) {
  std::map<std::int32_t, int> counts;
  SamplerScratch scratch;
  Sampler sampler(test.params, 0);
  sampler.Accept(history);
  for (std::uint32_t draw = 0; draw < kDraws; ++draw) {
    if (test.moved == Moved::kPosition) {
      ++counts[sampler.Sample(logits, draw, scratch)->token];
      continue;
    }
    SamplingParams params = test.params;
    if (test.moved == Moved::kSeed) params.seed = draw;
    Sampler other(params, test.moved == Moved::kChoice ? draw : 0);
    other.Accept(history);
    ++counts[other.Sample(logits, 10, scratch)->token];
  }
  return counts;
}

// Pearson's chi-square test at p = 10^-4. Outcomes that are expected less than ten times are taken together.
void ExpectDistributed(std::map<std::int32_t, int> counts, const std::vector<Kept>& kept) {
  double total = 0.0;
  for (const Kept& k : kept) total += k.weight;
  std::vector<std::pair<double, double>> expected_and_seen;
  std::pair<double, double> rare = {0.0, 0.0};
  for (const Kept& k : kept) {
    const double expected = kDraws * k.weight / total;
    const double seen = std::exchange(counts[k.token], 0);
    if (expected >= 10.0) {
      expected_and_seen.emplace_back(expected, seen);
    } else {
      rare = {rare.first + expected, rare.second + seen};
    }
  }
  if (rare.first >= 10.0) expected_and_seen.push_back(rare);
  for (const auto& [token, count] : counts) EXPECT_EQ(count, 0) << token << " was drawn and is not kept";
  ASSERT_GE(expected_and_seen.size(), 4U);
  double chi_square = 0.0;
  for (const auto& [expected, seen] : expected_and_seen) chi_square += (seen - expected) * (seen - expected) / expected;
  EXPECT_LT(chi_square, ChiSquareLimit(expected_and_seen.size() - 1)) << expected_and_seen.size() << " bins";
}

TEST(SamplerTest, DrawsFollowTheReferenceDistribution) {
  const DistributionCase cases[] = {
      {"usual chain", {}},
      {"usual chain over seeds", {}, Moved::kSeed},
      {"usual chain over choices", {}, Moved::kChoice},
      {"whole vocabulary", {.temperature = 1.3, .top_k = 0, .top_p = 1.0, .min_p = 0.0}},
      {"nucleus", {.temperature = 1.0, .top_k = 0, .top_p = 0.7, .min_p = 0.0}},
      {"min-p", {.temperature = 2.0, .top_k = 0, .top_p = 1.0, .min_p = 0.1}},
      {"penalties", {.top_k = 20, .repetition_penalty = 1.5, .frequency_penalty = 0.3}},
  };
  Random random(7);
  std::vector<float> logits(150);
  for (float& logit : logits) logit = static_cast<float>(random.Below(4'000)) / 1'000.0F;
  const std::vector<std::int32_t> history = {1, 2, 3, 3, 3, 50, 60, 70, 80, 90};
  for (const DistributionCase& test : cases) {
    SCOPED_TRACE(test.name);
    ExpectDistributed(CountDraws(test, history, logits), ReferenceKept(test.params, history, logits));
  }
}

// Two requests that run interleaved through one scratch, beside rows of other sizes, give what each gives alone.
TEST(SamplerTest, NeighboursAndScratchPlayNoPart) {
  Random random(8);
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 40; ++i) rows.push_back(random.Row(3'000));
  const SamplingParams params{.temperature = 1.5, .top_k = 0, .top_p = 0.9, .min_p = 0.0, .presence_penalty = 0.5, .seed = 3};
  const auto alone = [&](std::uint32_t choice) {
    Sampler sampler(params, choice);
    std::vector<std::int32_t> tokens;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      SamplerScratch fresh;
      tokens.push_back(sampler.Sample(rows[i], i, fresh)->token);
      sampler.Accept(tokens.back());
    }
    return tokens;
  };
  SamplerScratch shared;
  Sampler first(params, 0);
  Sampler second(params, 1);
  std::vector<std::int32_t> first_tokens;
  std::vector<std::int32_t> second_tokens;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    first_tokens.push_back(first.Sample(rows[i], i, shared)->token);
    ASSERT_TRUE(Sampler({.top_k = 0, .min_p = 0.0}, 0).Sample(random.Row(10'000), i, shared));
    ASSERT_FALSE(Sampler({}, 0).Sample(std::vector<float>(10, kNotANumber), i, shared));
    second_tokens.push_back(second.Sample(rows[i], i, shared)->token);
    first.Accept(first_tokens.back());
    second.Accept(second_tokens.back());
  }
  EXPECT_EQ(first_tokens, alone(0));
  EXPECT_EQ(second_tokens, alone(1));
  EXPECT_NE(first_tokens, second_tokens);
}

TEST(SamplerTest, LogprobsAreOfTheRawLogitsAndSumToOne) {
  Random random(9);
  const std::size_t vocabulary = 2'000;
  std::vector<float> logits = random.Row(vocabulary);
  logits[17] = -kInfinity;
  const SamplingParams params{
      .temperature = 3.0, .top_k = 5, .logit_bias = {{44, 30.0F}}, .top_logprobs = static_cast<std::int32_t>(vocabulary)};
  const auto sampled = SampleOnce(params, logits);
  ASSERT_TRUE(sampled);
  EXPECT_EQ(sampled->token, 44);

  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  const auto expected = [&](std::int32_t token) { return static_cast<double>(logits[static_cast<std::size_t>(token)]) - std::log(sum); };
  EXPECT_NEAR(sampled->logprob, expected(44), 1e-5);
  double probabilities = 0.0;
  for (std::size_t i = 0; i < sampled->top.size(); ++i) {
    const TokenLogprob& entry = sampled->top[i];
    EXPECT_NEAR(entry.logprob, expected(entry.token), 1e-5);
    EXPECT_NE(entry.token, 17);
    probabilities += std::exp(static_cast<double>(entry.logprob));
    if (i == 0) continue;
    EXPECT_GE(sampled->top[i - 1].logprob, entry.logprob);
  }
  EXPECT_NEAR(probabilities, 1.0, 1e-5);
}

TEST(SamplerTest, LogprobsComeOnlyAsAsked) {
  const std::vector<float> logits = {1.0F, 3.0F, 2.0F, 3.0F};
  const auto none = SampleOnce({.temperature = 0.0}, logits);
  EXPECT_EQ(none->logprob, 0.0F);
  EXPECT_TRUE(none->top.empty());
  const auto chosen = SampleOnce({.temperature = 0.0, .top_logprobs = 0}, logits);
  EXPECT_LT(chosen->logprob, 0.0F);
  EXPECT_TRUE(chosen->top.empty());
  const auto top = SampleOnce({.temperature = 0.0, .top_logprobs = 3}, logits);
  ASSERT_EQ(top->top.size(), 3U);
  EXPECT_EQ(top->top[0].token, 1);
  EXPECT_EQ(top->top[1].token, 3);
  EXPECT_EQ(top->top[2].token, 2);
  EXPECT_EQ(top->top[0].logprob, top->logprob);
}

// Asking for log-probabilities must not change what is sampled.
TEST(SamplerTest, LogprobsDoNotChangeTheToken) {
  Random random(10);
  for (int round = 0; round < 200; ++round) {
    const std::vector<float> logits = random.Row(1'500);
    SamplingParams params = random.Params(1'500);
    const auto without = SampleOnce(params, logits);
    params.top_logprobs = static_cast<std::int32_t>(random.Below(30));
    const auto with = SampleOnce(params, logits);
    ASSERT_EQ(with.has_value(), without.has_value());
    if (!with) continue;
    EXPECT_EQ(with->token, without->token);
  }
}

}  // namespace
}  // namespace cllm
