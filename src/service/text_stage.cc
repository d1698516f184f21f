#include "service/text_stage.h"

#include <new>
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

void TextStage::Register(RequestId id, std::shared_ptr<EmbeddingBatch> batch, std::size_t text) {
  Push(TextRegistration{id, std::move(batch), text});
}

void TextStage::Post(StepEvents&& events) { Push(std::move(events)); }

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

void TextStage::Handle(TextRegistration registration) {
  const RequestId id = registration.id;
  texts_.emplace(id, std::move(registration));
}

template <typename TellAnswer>
void TextStage::Tell(RequestId id, TimePoint now, const TellAnswer& tell) {
  const auto answer = answers_.find(id);
  if (answer == answers_.end()) return;
  try {
    tell(*answer->second);
  } catch (const std::bad_alloc&) {
    answer->second->Abort({ErrorCode::kUnavailable, "the server has no memory for the answer", {}}, now);
  }
}

// Times are those of the text: what a client waits for.
void TextStage::Handle(StepEvents events) {
  const TimePoint now = std::chrono::steady_clock::now();
  for (const StartEvent& event : events.starts) {
    Tell(event.id, now, [&](Answer& answer) { answer.Start(events.planned_at, event.cached_tokens); });
  }
  for (const PromptEvent& event : events.prompts) {
    Tell(event.id, now, [&](Answer& answer) { answer.AddPrompt(event.computed, now); });
  }
  for (ScoreEvent& event : events.scores) {
    Tell(event.id, now, [&](Answer& answer) { answer.AddScores(std::move(event.scores), piece_, now); });
  }
  for (const TokenEvent& event : events.tokens) {
    Tell(event.id, now, [&](Answer& answer) { answer.Add(event.token, piece_, now); });
  }
  for (const EndEvent& event : events.ends) {
    Tell(event.id, now, [&](Answer& answer) { answer.End(event, piece_, now); });
    if (answers_.erase(event.id) > 0) on_end_();
  }
  TellBatches(events);
  on_step_sent_();
}

void TextStage::TellBatches(StepEvents& events) {
  for (EmbeddingEvent& event : events.embeddings) {
    const auto found = texts_.find(event.id);
    if (found != texts_.end()) found->second.batch->Add(found->second.text, std::move(event.embedding));
  }
  for (const EndEvent& event : events.ends) {
    if (const auto ended = texts_.extract(event.id)) ended.mapped().batch->End(event);
  }
}

}  // namespace cllm
