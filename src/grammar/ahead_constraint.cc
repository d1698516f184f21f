#include "grammar/ahead_constraint.h"

#include <algorithm>
#include <bit>
#include <exception>
#include <numeric>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/invariant.h"
#include "grammar/frame.h"

namespace cllm {
namespace {

// So many tokens that have to come are found at a time: then the sequence goes on meanwhile.
constexpr std::size_t kMostForced = 64;

DLTensor TensorOf(std::vector<std::uint32_t>& mask, std::int64_t& words) {
  words = static_cast<std::int64_t>(mask.size());
  DLTensor tensor{};
  tensor.data = mask.data();
  tensor.device = {.device_type = kDLCPU, .device_id = 0};
  tensor.ndim = 1;
  tensor.dtype = xgrammar::GetBitmaskDLType();
  tensor.shape = &words;
  return tensor;
}

}  // namespace

AheadConstraint::AheadConstraint(std::shared_ptr<const CompiledGrammar> grammar, std::string begun, const Vocabulary& vocabulary,
                                 std::span<const std::uint32_t> controls, MaskWorkers& workers)
    : grammar_(std::move(grammar)),
      begun_(std::move(begun)),
      vocabulary_(vocabulary),
      controls_(controls),
      workers_(workers),
      matcher_(grammar_->grammar(), vocabulary.ends),
      mask_(static_cast<std::size_t>(xgrammar::GetBitmaskSize(static_cast<int>(vocabulary.pieces.size())))) {}

void AheadConstraint::Post(std::optional<std::int32_t> accepted) {
  {
    const std::lock_guard lock(mutex_);
    working_ = true;
  }
  workers_.Post([self = shared_from_this(), accepted] {
    self->Work(accepted);
    {
      const std::lock_guard lock(self->mutex_);
      self->working_ = false;
    }
    self->done_.notify_all();
  });
}

void AheadConstraint::Work(std::optional<std::int32_t> accepted) {
  try {
    if (!accepted && !AcceptBegun()) {
      status_ = Fail(ErrorCode::kInternal, "the prompt does not end as the grammar of its answer begins");
      return;
    }
    if (accepted && !matcher_.AcceptToken(*accepted)) {
      status_ = Fail(ErrorCode::kInternal, "a token came that the grammar does not allow");
      return;
    }
    forced_.clear();
    taken_ = 0;
    Fill();
    while (status_ && !is_end_ && forced_.size() < kMostForced) {
      const auto only = OnlyToken();
      if (!only || !matcher_.AcceptToken(*only)) return;
      forced_.push_back(*only);
      Fill();
    }
  } catch (const std::exception&) {
    status_ = Fail(ErrorCode::kInternal, "what the grammar lets come next could not be worked out");
  }
}

// As the frame is read: where a token's text stands in it, the token came.
bool AheadConstraint::AcceptBegun() {
  std::string_view rest = begun_;
  while (!rest.empty()) {
    const TokenPlace next = FirstToken(rest, grammar_->tokens());
    const std::string_view text = rest.substr(0, next.begin);
    if (!text.empty() && !matcher_.AcceptString(std::string(text))) return false;
    rest.remove_prefix(text.size());
    if (next.token == nullptr) continue;
    if (!matcher_.AcceptToken(next.token->token)) return false;
    rest.remove_prefix(next.token->text.size());
  }
  return true;
}

// Rules that somebody wrote may speak of tokens, too.
void AheadConstraint::ForbidControls() {
  const auto allows = [this](const GrammarToken& token) { return TokenMask{.allowed = mask_}.Allows(token.token); };
  std::vector<std::int32_t> named;
  for (const GrammarToken& token : grammar_->tokens()) {
    if (allows(token)) named.push_back(token.token);
  }
  for (std::size_t word = 0; word < mask_.size(); ++word) mask_[word] &= ~controls_[word];
  for (const std::int32_t token : named) mask_[static_cast<std::size_t>(token) / 32] |= std::uint32_t{1} << (token % 32);
}

void AheadConstraint::Fill() {
  std::int64_t words = 0;
  DLTensor tensor = TensorOf(mask_, words);
  std::ranges::fill(mask_, ~std::uint32_t{0});
  const auto start = std::chrono::steady_clock::now();
  matcher_.FillNextTokenBitmask(&tensor);
  workers_.RecordMask(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  const std::size_t tail = vocabulary_.pieces.size() % 32;
  if (tail != 0) mask_.back() &= (std::uint32_t{1} << tail) - 1;
  ForbidControls();
  const bool allows_end = AllowsEnd();
  const auto others = [this] {
    std::size_t ends = 0;
    for (const std::int32_t end : vocabulary_.ends) ends += TokenMask{.allowed = mask_}.Allows(end) ? 1 : 0;
    return std::accumulate(mask_.begin(), mask_.end(), std::size_t{0},
                           [](std::size_t sum, std::uint32_t word) { return sum + std::popcount(word); }) -
           ends;
  };
  is_end_ = allows_end && others() == 0;
  if (!allows_end && std::ranges::all_of(mask_, [](std::uint32_t word) { return word == 0; })) {
    status_ = InvalidArgument(fmt::format("the grammar has no way on after {} tokens: no token of the vocabulary may come",
                                          static_cast<std::size_t>(accepted_) + forced_.size()));
  }
}

bool AheadConstraint::AllowsEnd() const {
  return std::ranges::any_of(vocabulary_.ends, [this](std::int32_t end) { return TokenMask{.allowed = mask_}.Allows(end); });
}

// The one token that may come, if there is but one.
std::optional<std::int32_t> AheadConstraint::OnlyToken() const {
  std::optional<std::int32_t> only;
  for (std::size_t word = 0; word < mask_.size(); ++word) {
    if (mask_[word] == 0) continue;
    if (only || !std::has_single_bit(mask_[word])) return std::nullopt;
    only = static_cast<std::int32_t>(word * 32) + std::countr_zero(mask_[word]);
  }
  if (only && std::ranges::find(vocabulary_.ends, *only) != vocabulary_.ends.end()) return std::nullopt;
  return only;
}

Result<std::optional<TokenMask>> AheadConstraint::Next(std::chrono::microseconds patience) {
  {
    std::unique_lock lock(mutex_);
    if (!done_.wait_for(lock, patience, [this] { return !working_; })) return std::nullopt;
  }
  if (taken_ < forced_.size()) return TokenMask{.allowed = {}, .forced = std::span(forced_).subspan(taken_)};
  if (!status_) return std::unexpected(status_.error());
  return TokenMask{.allowed = mask_, .forced = {}, .is_end = is_end_};
}

void AheadConstraint::Accept(std::int32_t token) {
  ++accepted_;
  if (taken_ < forced_.size()) {
    CheckInvariant(forced_[taken_] == token, "of forced tokens the first one comes");
    ++taken_;
    return;
  }
  Post(token);
}

}  // namespace cllm
