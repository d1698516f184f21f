// AnswerParser: what is parsed of an answer, and when. llama.cpp parses a text as a whole, which for each token of a long answer
// would take time by the square of its length. Here most text passes unparsed: once the parser is within content or reasoning, only
// its delimiters can end that. What is parsed is the stretch from a delimiter on, again each time that it has grown by a part.
#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/utf8.h"
#include "model/answer_format.h"
#include "model/answer_grammar.h"

namespace cllm {
namespace {

// In no delimiter: text that begins with it can only be content or reasoning.
constexpr char kNoDelimiter[] = "\x01";
// So much text is looked at at once: where it holds many delimiters, each of them is looked for again behind the last one.
constexpr std::size_t kSliceBytes = 256;
constexpr std::size_t kStretchPerParse = 8;

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsBlank(std::string_view text) { return std::ranges::all_of(text, IsSpace); }

struct Found {
  std::size_t begin;
  std::size_t end;
};

// The delimiter that is whole first.
std::optional<Found> FirstDelimiter(std::string_view text, const std::vector<std::string>& delimiters) {
  std::optional<Found> first;
  for (const std::string& delimiter : delimiters) {
    const std::size_t begin = text.find(delimiter);
    if (begin == std::string_view::npos) continue;
    const Found found{begin, begin + delimiter.size()};
    if (!first || found.end < first->end || (found.end == first->end && found.begin < first->begin)) first = found;
  }
  return first;
}

}  // namespace

AnswerParser::AnswerParser(std::shared_ptr<const AnswerFormat> format, std::function<std::string()> new_call_id)
    : owner_(std::move(format)), format_(*owner_), new_call_id_(std::move(new_call_id)), state_(format_.start_) {}

AnswerParser::AnswerParser(const AnswerFormat& format) : format_(format), new_call_id_([] { return std::string(); }) {
  // However little of it there is to interpret, it has been written by the template.
  text_bytes_ = std::numeric_limits<std::size_t>::max() / (2 * kMostParsedPerByte);
  waiting_.push_back({.text = format.generation_prompt_, .read = 0, .is_new = false});
  Drain();
  if (!state_.is_plain && !state_.passing) Parse(true);
  if (fell_back_ || calls_ > 0 || !waiting_.empty()) state_.is_plain = true;
  state_.resume = state_.buffer.size();
  state_.sent_at_resume = state_.sent;
  state_.kind_at_resume = state_.passing;
  state_.next_parse = state_.resume + 1;
}

std::vector<AnswerPart> AnswerParser::Add(std::string_view text) {
  if (!text.empty()) waiting_.push_back({.text = std::string(text), .read = 0, .is_new = true});
  Drain();
  return std::exchange(parts_, {});
}

Result<std::vector<AnswerPart>> AnswerParser::End(bool complete) {
  // What is behind a call or a false alarm is read again, until there is nothing open.
  while (!state_.is_plain && !state_.passing && state_.buffer.size() > state_.resume) {
    Parse(true);
    if (waiting_.empty()) {
      FinishStretch();
      break;
    }
    Drain();
  }
  Send(state_.passing.value_or(Kind::kContent), std::exchange(state_.held, {}));
  // Between calls, and behind them, spaces are a part of the format.
  if (calls_ == 0 || has_content_) SendSpaces();
  const bool lacks_call = complete_calls_ == 0 || complete_calls_ < calls_ || fell_back_;
  if (complete && format_.settings_.requires_call && lacks_call) {
    return Fail(ErrorCode::kInternal, "the model's answer holds no tool call that can be read, although one was required");
  }
  return std::exchange(parts_, {});
}

void AnswerParser::Drain() {
  while (!waiting_.empty()) {
    Waiting next = std::move(waiting_.back());
    waiting_.pop_back();
    const std::size_t depth = waiting_.size();
    Read(next, depth);
    // What is to be read again comes before the rest.
    if (next.read < next.text.size()) waiting_.insert(waiting_.begin() + static_cast<std::ptrdiff_t>(depth), std::move(next));
  }
}

// Reads up to a delimiter, or all.
template <typename Advance>
void AnswerParser::Pass(std::string_view text, const Advance& advance) {
  const Kind kind = *state_.passing;
  const std::vector<std::string>& delimiters = format_.grammar_->Delimiters(kind);
  if (delimiters.empty()) {
    advance(text.size());
    return Send(kind, text);
  }
  const std::size_t held = state_.held.size();
  const std::string joined = std::exchange(state_.held, {}) + std::string(text);
  if (const auto found = FirstDelimiter(joined, delimiters)) {
    Send(kind, std::string_view(joined).substr(0, found->begin));
    advance(found->end - held);
    return EnterDelimiter(std::string_view(joined).substr(found->begin, found->end - found->begin));
  }
  const std::size_t open = BeginningOfDelimiter(joined, delimiters);
  Send(kind, std::string_view(joined).substr(0, joined.size() - open));
  state_.held = joined.substr(joined.size() - open);
  advance(text.size());
}

// Until something else is to be read first.
void AnswerParser::Read(Waiting& waiting, std::size_t depth) {
  const auto advance = [&](std::size_t size) {
    waiting.read += size;
    if (waiting.is_new) text_bytes_ += size;
  };
  while (waiting.read < waiting.text.size() && waiting_.size() == depth) {
    const std::string_view rest = std::string_view(waiting.text).substr(waiting.read);
    if (state_.is_plain) {
      advance(rest.size());
      Send(Kind::kContent, rest);
    } else if (state_.passing) {
      Pass(rest.substr(0, kSliceBytes), advance);
    } else {
      const std::size_t size = std::max<std::size_t>(CharacterLength(rest), 1);
      state_.buffer += rest.substr(0, size);
      advance(size);
      if (state_.buffer.size() >= state_.next_parse) Parse(false);
    }
  }
}

void AnswerParser::EnterDelimiter(std::string_view delimiter) {
  state_.passing.reset();
  state_.buffer += delimiter;
  Parse(false);
}

void AnswerParser::Parse(bool is_last) {
  parsed_bytes_ += state_.buffer.size();
  if (parsed_bytes_ > kMostParsedBytes + kMostParsedPerByte * text_bytes_) return FallBack(std::max(state_.resume, state_.seen_end));
  const ParsedAnswer parsed = format_.grammar_->Parse(state_.buffer);
  const std::size_t size = state_.buffer.size();
  state_.next_parse = size + std::max<std::size_t>((size - std::min(size, state_.resume)) / kStretchPerParse, 1);
  // Where a text may go on to be a delimiter, the library may take it for something else until then.
  const bool is_decided = is_last || format_.grammar_->UndecidedBytes(state_.buffer) == 0;
  switch (parsed.state) {
    case ParsedAnswer::State::kTooDeep:
      return FallBack(std::max(state_.resume, state_.seen_end));
    case ParsedAnswer::State::kFails:
      if (is_decided) Refuse();
      return;
    case ParsedAnswer::State::kClosed:
      if (parsed.end < size) {
        if (!is_decided) return;
        if (parsed.calls.size() > state_.sent_at_resume.calls.size()) return CutCalls(parsed);
        return ShowsMore(parsed) ? Leave(parsed) : Refuse();
      }
      break;
    case ParsedAnswer::State::kOpen:
      break;
  }
  if (!format_.settings_.parallel_calls && parsed.calls.size() > 1) return StopBehindFirstCall(parsed);
  state_.is_reasoning = parsed.ends_in_reasoning;
  if (!Deliver(parsed, is_last)) return;
  Take(parsed);
}

// The text so far is understood: where can it go on?
void AnswerParser::Take(const ParsedAnswer& parsed) {
  if (parsed.open_text) return EnterPassing(parsed);
  if (parsed.state != ParsedAnswer::State::kClosed || parsed.calls.size() > state_.sent_at_resume.calls.size()) return;
  // The format passes over spaces that are the text's own where what follows is no part of the format.
  if (IsBlank(std::string_view(state_.buffer).substr(state_.resume))) return;
  state_.resume = state_.buffer.size();
  state_.sent_at_resume = state_.sent;
  state_.kind_at_resume.reset();
}

// Where anything but a delimiter goes on with the text that is open, there is no need to parse it.
void AnswerParser::EnterPassing(const ParsedAnswer& parsed) {
  const std::string probe = state_.buffer + kNoDelimiter;
  parsed_bytes_ += probe.size();
  const ParsedAnswer further = format_.grammar_->Parse(probe);
  if (further.open_text != parsed.open_text || further.state != ParsedAnswer::State::kOpen) return;
  const bool is_content = parsed.open_text == Kind::kContent;
  if (further.content != parsed.content + (is_content ? kNoDelimiter : "")) return;
  if (further.reasoning != parsed.reasoning + (is_content ? "" : kNoDelimiter)) return;
  if (further.calls.size() != state_.sent.calls.size()) return;
  state_.passing = parsed.open_text;
  state_.resume = state_.buffer.size();
  state_.sent_at_resume = state_.sent;
  state_.kind_at_resume = state_.passing;
}

// Whether all that was sent is the beginning of what is understood now.
bool AnswerParser::Extends(const ParsedAnswer& parsed) const {
  if (!parsed.content.starts_with(state_.sent.content) || !parsed.reasoning.starts_with(state_.sent.reasoning)) return false;
  if (parsed.calls.size() < state_.sent.calls.size()) return false;
  for (std::size_t i = 0; i < state_.sent.calls.size(); ++i) {
    const SentAnswer::Call& sent = state_.sent.calls[i];
    if (parsed.calls[i].name != sent.name || !parsed.calls[i].arguments.starts_with(sent.arguments)) return false;
  }
  return true;
}

// False where the parser stopped or waits.
bool AnswerParser::Deliver(const ParsedAnswer& parsed, bool is_decided) {
  if (!Extends(parsed)) {
    if (is_decided) FallBack(std::max(state_.resume, state_.seen_end));
    return false;
  }
  Send(Kind::kReasoning, std::string_view(parsed.reasoning).substr(state_.sent.reasoning.size()));
  state_.sent.reasoning = parsed.reasoning;
  has_uncertain_call_ = !DeliverCalls(parsed);
  if (has_uncertain_call_) return false;
  DeliverContent(parsed, parsed.content.size());
  state_.seen_end = parsed.seen_end;
  return true;
}

// Its first `size` bytes.
void AnswerParser::DeliverContent(const ParsedAnswer& parsed, std::size_t size) {
  const std::size_t sent = state_.sent.content.size();
  if (size <= sent) return;
  Send(Kind::kContent, std::string_view(parsed.content).substr(sent, size - sent));
  state_.sent.content = parsed.content.substr(0, size);
}

// False: a call is not certain yet, so nothing behind it is either.
bool AnswerParser::DeliverCalls(const ParsedAnswer& parsed) {
  for (std::size_t i = 0; i < parsed.calls.size(); ++i) {
    const ParsedCall& call = parsed.calls[i];
    const bool is_new = i >= state_.sent.calls.size();
    if (is_new) DeliverContent(parsed, call.content_before);
    if (is_new && !call.is_certain) return false;
    if (is_new) {
      state_.sent.calls.push_back({.index = calls_++, .name = call.name, .arguments = call.arguments, .is_complete = false});
      SendCall(state_.sent.calls.back().index, &call, call.arguments);
    } else if (call.arguments.size() > state_.sent.calls[i].arguments.size()) {
      SendCall(state_.sent.calls[i].index, nullptr, std::string_view(call.arguments).substr(state_.sent.calls[i].arguments.size()));
      state_.sent.calls[i].arguments = call.arguments;
    }
    if (call.is_complete && !std::exchange(state_.sent.calls[i].is_complete, true)) ++complete_calls_;
  }
  return true;
}

// Calls are whole and other text follows: it is read from where the calls began.
void AnswerParser::CutCalls(const ParsedAnswer& parsed) {
  if (!Deliver(parsed, true)) return;
  if (!format_.settings_.parallel_calls) return BePlain(parsed.end);
  std::string rest = state_.buffer.substr(parsed.end);
  if (state_.kind_at_resume == Kind::kReasoning) {
    const auto& delimiters = format_.grammar_->Delimiters(Kind::kReasoning);
    // Who has called something thinks no further, unless the format says so.
    if (std::ranges::none_of(delimiters, [&](const std::string& delimiter) { return rest.starts_with(delimiter); })) {
      return FallBack(parsed.end);
    }
  }
  ResumeWith(std::move(rest));
}

// A second call has begun although one is all that is wanted: what is behind the first one is content, and that ends where nothing of it is
// open any more.
void AnswerParser::StopBehindFirstCall(const ParsedAnswer& parsed) {
  constexpr std::size_t kMostMarkup = 64;
  const std::size_t most = std::min(state_.buffer.size(), parsed.calls.front().end + kMostMarkup);
  for (std::size_t size = parsed.calls.front().end; size <= most; ++size) {
    parsed_bytes_ += size;
    const ParsedAnswer first = format_.grammar_->Parse(state_.buffer.substr(0, size));
    if (first.state != ParsedAnswer::State::kClosed || first.end != size || first.calls.size() != 1) continue;
    if (Deliver(first, true)) BePlain(size);
    return;
  }
  FallBack(std::max(state_.resume, state_.seen_end));
}

// Whether it has text that nobody knew of where reading resumed.
bool AnswerParser::ShowsMore(const ParsedAnswer& parsed) const {
  return parsed.content.size() > state_.sent_at_resume.content.size() || parsed.reasoning.size() > state_.sent_at_resume.reasoning.size();
}

// The format ends where the text goes on.
void AnswerParser::Leave(const ParsedAnswer& parsed) {
  if (Deliver(parsed, true)) FallBack(std::max(state_.resume, state_.seen_end));
}

// What looked like more than text is none: its first character is content, and what is behind that may be anything. A format would pass
// over spaces there.
void AnswerParser::Refuse() {
  const bool was_sent = state_.sent.calls.size() != state_.sent_at_resume.calls.size() ||
                        state_.sent.content != state_.sent_at_resume.content || state_.sent.reasoning != state_.sent_at_resume.reasoning;
  if (was_sent || state_.kind_at_resume == Kind::kReasoning) return FallBack(std::max(state_.resume, state_.seen_end));
  if (state_.buffer.size() <= state_.resume) return BePlain(state_.resume);
  std::string rest = state_.buffer.substr(state_.resume);
  std::size_t size = std::max<std::size_t>(CharacterLength(rest), 1);
  while (size < rest.size() && IsSpace(rest[size])) ++size;
  Send(Kind::kContent, std::string_view(rest).substr(0, size));
  ResumeWith(rest.substr(size));
}

void AnswerParser::ResumeWith(std::string text) {
  state_.buffer.resize(state_.resume);
  state_.sent = state_.sent_at_resume;
  state_.passing = state_.kind_at_resume;
  state_.seen_end = std::min(state_.seen_end, state_.resume);
  state_.next_parse = state_.resume + 1;
  if (!text.empty()) waiting_.push_back({.text = std::move(text), .read = 0, .is_new = false});
}

void AnswerParser::FallBack(std::size_t from) {
  fell_back_ = true;
  BePlain(from);
}

void AnswerParser::BePlain(std::size_t from) {
  std::string rest = state_.buffer.substr(std::min(from, state_.buffer.size()));
  state_ = {.is_plain = true};
  if (!rest.empty()) waiting_.push_back({.text = std::move(rest), .read = 0, .is_new = false});
}

// Whether the end of the text is marks alone, which the format knows.
bool AnswerParser::EndsInMarks() {
  const std::size_t seen = std::max(state_.resume, state_.seen_end);
  if (IsBlank(std::string_view(state_.buffer).substr(std::min(seen, state_.buffer.size())))) return false;
  parsed_bytes_ += state_.buffer.size();
  const ParsedAnswer parsed = format_.grammar_->Parse(state_.buffer, /*is_whole=*/true);
  return parsed.state == ParsedAnswer::State::kClosed && parsed.end == state_.buffer.size() && parsed.content == state_.sent.content &&
         parsed.reasoning == state_.sent.reasoning && parsed.calls.size() == state_.sent.calls.size();
}

// The end of the text, as far as the library went, is neither a call nor text of its own.
void AnswerParser::FinishStretch() {
  if (state_.is_plain || state_.passing || EndsInMarks()) return;
  const bool has_calls = state_.sent.calls.size() > state_.sent_at_resume.calls.size();
  // What is behind the last whole call belongs to the format. A call that broke off was sent as far as it goes.
  if (has_calls && !has_uncertain_call_) return;
  // Between two blocks, a text that breaks off is the beginning of what would open the next one.
  const bool ends_in_thoughts =
      state_.kind_at_resume == Kind::kReasoning || (state_.sent.reasoning.size() > state_.sent_at_resume.reasoning.size() &&
                                                    state_.sent.content.size() == state_.sent_at_resume.content.size());
  if (ends_in_thoughts && !has_uncertain_call_) return;
  const std::size_t from = std::max(state_.resume, state_.seen_end);
  if (from < state_.buffer.size()) Send(Kind::kContent, std::string_view(state_.buffer).substr(from));
}

// Spaces before a call, and those that are all of the reasoning, belong to the format.
void AnswerParser::Send(Kind kind, std::string_view text) {
  if (text.empty()) return;
  if (kind == Kind::kReasoning) {
    if (!has_thought_ && IsBlank(text)) {
      thought_spaces_ += text;
      return;
    }
    has_thought_ = true;
    parts_.push_back({.kind = kind, .text = std::exchange(thought_spaces_, {}) + std::string(text)});
    return;
  }
  if (!format_.settings_.reads_calls) {
    has_content_ = true;
    parts_.push_back({.kind = kind, .text = std::string(text)});
    return;
  }
  std::size_t end = text.size();
  while (end > 0 && IsSpace(text[end - 1])) --end;
  if (end > 0) {
    has_content_ = true;
    parts_.push_back({.kind = kind, .text = std::exchange(spaces_, {}) + std::string(text.substr(0, end))});
  }
  spaces_ += text.substr(end);
}

void AnswerParser::SendSpaces() {
  if (!spaces_.empty()) parts_.push_back({.kind = Kind::kContent, .text = std::exchange(spaces_, {})});
}

void AnswerParser::SendCall(int index, const ParsedCall* begun, std::string_view arguments) {
  AnswerPart part{.kind = Kind::kToolCall, .text = std::string(arguments), .call = index};
  if (begun != nullptr) {
    spaces_.clear();
    has_content_ = false;
    part.call_id = IdFor(begun->id);
    part.call_name = begun->name;
  }
  parts_.push_back(std::move(part));
}

// Models number their calls, some with the same number again, and not all of what they write is a number.
std::string AnswerParser::IdFor(const std::string& own) {
  constexpr std::size_t kMostIdBytes = 64;
  const bool is_id = !own.empty() && own.size() <= kMostIdBytes && std::ranges::all_of(own, [](char c) { return c > ' ' && c < '\x7F'; });
  if (is_id && ids_.insert(own).second) return own;
  std::string id = new_call_id_();
  ids_.insert(id);
  return id;
}

}  // namespace cllm
