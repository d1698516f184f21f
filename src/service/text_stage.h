// One thread that turns the events of a step into text while the engine computes the next step.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "service/answer.h"
#include "service/embedding_batch.h"

namespace cllm {

class TextStage {
 public:
  // `on_step_sent` is called after all text of a step went to its sinks: the place to wake the senders, once.
  // `on_end` is called once for each answer that left the stage, after its sink heard of the end.
  TextStage(PieceFunction piece, std::function<void()> on_step_sent, std::function<void()> on_end);
  // Handles what was posted before, then joins.
  ~TextStage();
  TextStage(const TextStage&) = delete;
  TextStage& operator=(const TextStage&) = delete;

  // Any thread. An answer is registered before its request goes to the engine loop.
  void Register(RequestId id, std::unique_ptr<Answer> answer);
  // Likewise a text of a batch, which hears of its embedding and its end.
  void Register(RequestId id, std::shared_ptr<EmbeddingBatch> batch, std::size_t text);
  void Post(StepEvents&& events);

 private:
  struct Registration {
    RequestId id;
    std::unique_ptr<Answer> answer;
  };
  struct TextRegistration {
    RequestId id;
    std::shared_ptr<EmbeddingBatch> batch;
    std::size_t text;
  };
  using Message = std::variant<Registration, TextRegistration, StepEvents>;

  void Push(Message message);
  void Run();
  void Handle(Registration registration);
  void Handle(TextRegistration registration);
  void Handle(StepEvents events);
  void TellBatches(StepEvents& events);
  // What a step tells one answer. One that finds no memory ends; the others go on.
  template <typename TellAnswer>
  void Tell(RequestId id, TimePoint now, const TellAnswer& tell);

  PieceFunction piece_;
  std::function<void()> on_step_sent_;
  std::function<void()> on_end_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Message> inbox_;
  bool stopping_ = false;
  // Only the stage's thread.
  std::unordered_map<RequestId, std::unique_ptr<Answer>> answers_;
  std::unordered_map<RequestId, TextRegistration> texts_;
  std::thread thread_;
};

}  // namespace cllm
