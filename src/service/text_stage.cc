#include "service/text_stage.h"

#include <utility>

namespace cllm {

TextStage::TextStage(PieceFunction piece, std::function<void()> on_step_sent, std::function<void()> on_end)
    : piece_(std::move(piece)), on_step_sent_(std::move(on_step_sent)), on_end_(std::move(on_end)), thread_([this] { Run(); }) {}

TextStage::~TextStage() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void TextStage::Register(RequestId id, std::unique_ptr<Answer> answer) { Push(Registration{id, std::move(answer)}); }

void TextStage::Post(StepEvents&& events) { Push(Step{std::move(events), std::chrono::steady_clock::now()}); }

void TextStage::Push(Message message) {
  {
    const std::lock_guard lock(mutex_);
    inbox_.push_back(std::move(message));
  }
  wake_.notify_one();
}

void TextStage::Run() {
  std::vector<Message> messages;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !inbox_.empty(); });
    if (inbox_.empty()) return;
    messages.swap(inbox_);
    lock.unlock();
    for (Message& message : messages) std::visit([this](auto& m) { Handle(std::move(m)); }, message);
    messages.clear();
    lock.lock();
  }
}

void TextStage::Handle(Registration registration) { answers_.emplace(registration.id, std::move(registration.answer)); }

void TextStage::Handle(Step step) {
  for (const auto& [id, cached_tokens] : step.events.starts) {
    if (const auto answer = answers_.find(id); answer != answers_.end()) {
      answer->second->Start(step.events.planned_at, cached_tokens);
    }
  }
  for (const TokenEvent& event : step.events.tokens) {
    if (const auto answer = answers_.find(event.id); answer != answers_.end()) {
      answer->second->Add(event.token, piece_, step.time);
    }
  }
  for (const EndEvent& event : step.events.ends) {
    const auto answer = answers_.find(event.id);
    if (answer == answers_.end()) continue;
    answer->second->End(event, step.time);
    answers_.erase(answer);
    on_end_();
  }
  on_step_sent_();
}

}  // namespace cllm
