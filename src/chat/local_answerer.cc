#include "chat/local_answerer.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace cllm {

// Carries an answer from the service's threads to the terminal's. A request that was cancelled keeps it until the service
// has heard of that.
class LocalAnswerer::Inbox : public GenerationSink {
 public:
  struct Content {
    std::string text;
    std::optional<GenerationEnd> end;
  };

  explicit Inbox(int fd) : fd_(fd) {}
  ~Inbox() override { close(fd_); }

  // Readable when there is something to take.
  int fd() const { return fd_; }

  void OnText(TextDelta delta) override {
    const std::lock_guard lock(mutex_);
    content_.text += delta.text;
    eventfd_write(fd_, 1);
  }

  void OnEnd(const GenerationEnd& end) override {
    const std::lock_guard lock(mutex_);
    content_.end = end;
    eventfd_write(fd_, 1);
  }

  Content Take() {
    const std::lock_guard lock(mutex_);
    eventfd_t count = 0;
    eventfd_read(fd_, &count);
    return std::exchange(content_, {});
  }

 private:
  int fd_;
  std::mutex mutex_;
  Content content_;
};

namespace {

AnswerSummary SummaryOf(const GenerationEnd& end) {
  return {.interrupted = false,
          .cut = end.reason == FinishReason::kLength,
          .prompt_tokens = end.prompt_tokens,
          .generated_tokens = end.generated_tokens,
          .prompt_s = end.response_time_s - end.generation_time_s,
          .answer_s = end.generation_time_s};
}

}  // namespace

Result<AnswerSummary> LocalAnswerer::Ask(const std::vector<ChatMessage>& messages, const ChatSettings& settings, const OnText& on_text) {
  GenerateRequest request;
  request.prompt = ChatPrompt{.messages = messages, .template_arguments = {}};
  request.sampling = defaults_.sampling;
  if (defaults_.max_tokens > 0) request.default_max_tokens = defaults_.max_tokens;
  if (const Status status = settings.Apply(request); !status) return std::unexpected(status.error());
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return Fail(ErrorCode::kInternal, fmt::format("an event descriptor cannot be made: {}", std::strerror(errno)));
  const auto inbox = std::make_shared<Inbox>(fd);
  const auto control = service_.Submit(std::move(request), inbox);
  if (!control) return std::unexpected(control.error());
  while (interrupts_.WaitReadable(inbox->fd())) {
    const Inbox::Content content = inbox->Take();
    if (const Status status = on_text(content.text); !status) {
      (*control)->Send(RequestControl::Signal::kCancel);
      return std::unexpected(status.error());
    }
    if (!content.end) continue;
    if (!content.end->status) return std::unexpected(content.end->status.error());
    return SummaryOf(*content.end);
  }
  // The step that is being computed may take a while: nobody waits for it.
  (*control)->Send(RequestControl::Signal::kCancel);
  return AnswerSummary{.interrupted = true, .cut = false, .prompt_tokens = {}, .generated_tokens = {}};
}

std::string LocalAnswerer::LongerContextAdvice() const {
  return fmt::format("start with a longer context (-c {})", 2 * service_.max_context());
}

}  // namespace cllm
