#include "model/answer_format.h"

#include <chat.h>

#include <algorithm>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "model/answer_grammar.h"

namespace cllm {
namespace {

void Bound(std::string& text) {
  constexpr std::size_t kMostProblemBytes = 500;
  if (text.size() > kMostProblemBytes) text.resize(kMostProblemBytes);
}

std::string WithoutSpaces(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const std::size_t begin = std::min(text.find_first_not_of(kSpaces), text.size());
  return std::string(text.substr(begin, text.find_last_not_of(kSpaces) + 1 - begin));
}

// Whether the last thoughts that the text has begun are open.
bool EndsInThoughts(const std::string& text, const std::string& start, const std::vector<std::string>& ends) {
  if (ends.empty()) return false;
  const std::size_t begin = start.empty() ? 0 : text.rfind(start);
  if (begin == std::string::npos) return false;
  return std::ranges::none_of(ends, [&](const std::string& end) { return text.find(end, begin + start.size()) != std::string::npos; });
}

}  // namespace

std::string RandomCallId() {
  std::random_device device;
  std::string id = "call_";
  for (int i = 0; i < 4; ++i) id += fmt::format("{:08x}", device());
  return id;
}

AnswerFormat::~AnswerFormat() = default;

std::shared_ptr<const AnswerFormat> AnswerFormat::Plain(std::string problem) {
  std::shared_ptr<AnswerFormat> format(new AnswerFormat);
  Bound(problem);
  format->problem_ = std::move(problem);
  format->start_.is_plain = true;
  return format;
}

std::shared_ptr<const AnswerFormat> AnswerFormat::Make(const common_chat_params& params, const Settings& settings) {
  std::shared_ptr<AnswerFormat> format(new AnswerFormat);
  format->settings_ = settings;
  format->generation_prompt_ = params.generation_prompt;
  format->preserved_tokens_ = params.preserved_tokens;
  format->additional_stops_ = params.additional_stops;
  for (const common_grammar_trigger& trigger : params.grammar_triggers) {
    if (format->call_marker_.empty() && trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD)
      format->call_marker_ = WithoutSpaces(trigger.value);
  }
  format->thinking_start_ = params.thinking_start_tag;
  format->thinking_ends_ = params.thinking_end_tags;
  std::erase(format->thinking_ends_, "");
  format->opens_thoughts_ = EndsInThoughts(params.generation_prompt, format->thinking_start_, format->thinking_ends_);
  try {
    format->grammar_ = std::make_unique<const AnswerGrammar>(params);
  } catch (const std::exception& failure) {
    return Plain(failure.what());
  }
  format->settings_.reads_calls = settings.reads_calls && format->grammar_->reads_calls();
  AnswerParser opened(*format);
  if (opened.state_.is_plain) return Plain("its own parser cannot read what the prompt opens");
  format->start_ = std::move(opened.state_);
  return format;
}

bool AnswerFormat::reads_parameters() const { return grammar_ != nullptr && grammar_->reads_parameters(); }

std::string AnswerFormat::Description() const {
  if (is_plain()) return "plain content";
  std::string calls = "no calls";
  if (settings_.reads_calls) calls = call_marker_.empty() ? "calls" : fmt::format("calls after {}", call_marker_);
  if (thinking_ends_.empty()) return calls;
  return fmt::format("{}, reasoning from {} to {}", calls, thinking_start_.empty() ? "the beginning" : thinking_start_,
                     thinking_ends_.front());
}

}  // namespace cllm
