// The answer formats of one chat template. Inner part of ChatTemplate.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/status.h"
#include "base/stop_check.h"
#include "model/answer_format.h"
#include "model/chat_template.h"

struct common_chat_templates;

namespace cllm {

// llama.cpp finds out how answers are built by rendering the template some dozen times, so what it found is kept: it depends on the
// tools, on settings, and on how a prompt ends, but not on what was said. Thread safe.
class AnswerFormats {
 public:
  // `text` is the rendered prompt. An error is that of `stop` alone.
  Result<std::shared_ptr<const AnswerFormat>> For(const common_chat_templates* templates, const ChatPrompt& prompt, const std::string& text,
                                                  const StopCheck& stop);
  // How often llama.cpp was asked.
  std::size_t built() const;

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const AnswerFormat> format;
  };

  bool ReadsParameters(const common_chat_templates* templates, const StopCheck& stop);
  std::shared_ptr<const AnswerFormat> Find(const std::string& key, const std::string& text);
  void Keep(std::string key, std::shared_ptr<const AnswerFormat> format);

  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // the one used last comes first
  std::size_t key_bytes_ = 0;
  std::size_t built_ = 0;
  std::optional<bool> reads_parameters_;
};

}  // namespace cllm
