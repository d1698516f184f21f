// The answer formats of one chat template. Inner part of ChatTemplate.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/status.h"
#include "base/stop_check.h"
#include "model/answer_format.h"
#include "model/answer_frame.h"
#include "model/chat_template.h"

struct common_chat_templates;

namespace cllm {

// What was made for a key, the last used first, within bounds.
template <typename Value>
class KeptAnswers {
 public:
  // Of the values of `key` that are `good` the one that is `better` than the others.
  template <typename Good, typename Better>
  std::optional<Value> Find(const std::string& key, const Good& good, const Better& better) {
    auto best = entries_.end();
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->key == key && good(entry->value) && (best == entries_.end() || better(entry->value, best->value))) best = entry;
    }
    if (best == entries_.end()) return std::nullopt;
    entries_.splice(entries_.begin(), entries_, best);
    return best->value;
  }

  void Keep(std::string key, Value value) {
    if (key.empty() || key.size() > kMostBytes / 4) return;
    bytes_ += key.size();
    entries_.push_front({.key = std::move(key), .value = std::move(value)});
    while (entries_.size() > kMost || bytes_ > kMostBytes) {
      bytes_ -= entries_.back().key.size();
      entries_.pop_back();
    }
  }

 private:
  static constexpr std::size_t kMost = 64;
  static constexpr std::size_t kMostBytes = std::size_t{1} << 20;
  struct Entry {
    std::string key;
    Value value;
  };
  std::list<Entry> entries_;
  std::size_t bytes_ = 0;  // of keys
};

// llama.cpp finds out how answers are built by rendering the template some dozen times, so what it found is kept: it depends on the
// tools, on settings, and on how a prompt ends, but not on what was said. Thread safe.
class AnswerFormats {
 public:
  // `text` is the rendered prompt. An error is that of `stop` alone.
  Result<std::shared_ptr<const AnswerFormat>> For(const common_chat_templates* templates, const ChatPrompt& prompt, const std::string& text,
                                                  const StopCheck& stop);
  // As FrameFor.
  Result<std::shared_ptr<const AnswerFrame>> Frame(const common_chat_templates* templates, const ChatPrompt& prompt, const StopCheck& stop);
  // How often llama.cpp was asked for a format.
  std::size_t built() const;

 private:
  bool ReadsParameters(const common_chat_templates* templates, const StopCheck& stop);
  std::shared_ptr<const AnswerFormat> Find(const std::string& key, const std::string& text);

  mutable std::mutex mutex_;
  KeptAnswers<std::shared_ptr<const AnswerFormat>> formats_;
  KeptAnswers<std::shared_ptr<const AnswerFrame>> frames_;
  std::size_t built_ = 0;
  std::optional<bool> reads_parameters_;
};

}  // namespace cllm
