#include "service/choices.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/rng.h"

namespace cllm {
namespace {

// Merges the answers for the one sink, which is never called by two threads at a time.
class ChoiceGroup {
 public:
  ChoiceGroup(std::size_t count, std::shared_ptr<GenerationSink> sink) : sink_(std::move(sink)), open_(count) {
    merged_.each.resize(count);
  }

  const std::shared_ptr<RequestControl>& control() const { return control_; }

  void OnStart(const AnswerStart& start) {
    const std::lock_guard lock(mutex_);
    if (ended_ || std::exchange(started_, true)) return;
    sink_->OnStart(start);
  }

  void OnText(std::size_t choice, TextDelta delta) {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    delta.choice = static_cast<int>(choice);
    sink_->OnText(std::move(delta));
  }

  // `owns_prompt`: the first answer to its prompt, whose tokens are counted once.
  void OnEnd(std::size_t choice, bool owns_prompt, const GenerationEnd& end) {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    Merge(choice, owns_prompt, end);
    if (--open_ > 0 && end.status) return;
    ended_ = true;
    control_->Send(RequestControl::Signal::kCancel);
    sink_->OnEnd(merged_);
  }

  // Whoever submitted hears of an error, and the sink of nothing.
  void Abandon() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    control_->Send(RequestControl::Signal::kCancel);
  }

 private:
  void Merge(std::size_t choice, bool owns_prompt, const GenerationEnd& end) {
    merged_.status = end.status;
    merged_.each.at(choice) = end;
    if (choice == 0) merged_.reason = end.reason;
    if (choice == 0) merged_.seed = end.seed;
    if (choice == 0) merged_.cut_max_tokens = end.cut_max_tokens;
    if (owns_prompt) {
      merged_.prompt_tokens += end.prompt_tokens;
      merged_.cached_tokens += end.cached_tokens;
    }
    merged_.generated_tokens += end.generated_tokens;
    merged_.reasoning_tokens += end.reasoning_tokens;
    const auto is_earlier = [](double time, double than) { return time > 0 && (than == 0 || time < than); };
    if (is_earlier(end.queue_time_s, merged_.queue_time_s)) merged_.queue_time_s = end.queue_time_s;
    if (is_earlier(end.first_token_time_s, merged_.first_token_time_s)) merged_.first_token_time_s = end.first_token_time_s;
    merged_.response_time_s = std::max(merged_.response_time_s, end.response_time_s);
    const double last_token = end.first_token_time_s + end.generation_time_s;
    last_token_s_ = std::max(last_token_s_, last_token);
    merged_.generation_time_s = last_token_s_ - merged_.first_token_time_s;
  }

  std::shared_ptr<RequestControl> control_ = std::make_shared<RequestControl>();
  std::shared_ptr<GenerationSink> sink_;
  std::mutex mutex_;
  std::size_t open_;
  bool started_ = false;
  bool ended_ = false;
  GenerationEnd merged_;
  double last_token_s_ = 0;  // from acceptance
};

class ChoiceSink : public GenerationSink {
 public:
  ChoiceSink(std::shared_ptr<ChoiceGroup> group, std::size_t choice, bool owns_prompt)
      : group_(std::move(group)), choice_(choice), owns_prompt_(owns_prompt) {}

  void OnStart(const AnswerStart& start) override { group_->OnStart(start); }
  void OnText(TextDelta delta) override { group_->OnText(choice_, std::move(delta)); }
  void OnEnd(const GenerationEnd& end) override { group_->OnEnd(choice_, owns_prompt_, end); }

 private:
  std::shared_ptr<ChoiceGroup> group_;
  std::size_t choice_;
  bool owns_prompt_;
};

}  // namespace

std::vector<ChoiceOfRequest> MakeChoices(GenerateRequest request, std::vector<Prompt> further_prompts, int choices) {
  if (!request.seed && (!further_prompts.empty() || choices > 1)) {
    request.seed = RandomSeed();
    request.seed_is_drawn = true;
  }
  std::vector<ChoiceOfRequest> answers;
  const auto add = [&](GenerateRequest one) {
    const auto shared = std::make_shared<const SharedRequest>(std::move(one));
    for (int choice = 0; choice < choices; ++choice) answers.push_back({shared, static_cast<std::uint32_t>(choice)});
  };
  Prompt first = std::exchange(request.prompt, {});
  const GenerateRequest rest = request;
  request.prompt = std::move(first);
  add(std::move(request));
  for (Prompt& prompt : further_prompts) {
    GenerateRequest one = rest;
    one.prompt = std::move(prompt);
    add(std::move(one));
  }
  return answers;
}

Result<std::shared_ptr<RequestControl>> SubmitChoices(Service& service, std::vector<ChoiceOfRequest> answers,
                                                      std::shared_ptr<GenerationSink> sink) {
  if (answers.size() == 1) return service.Submit(std::move(answers.front().request), {}, std::move(sink));
  const auto group = std::make_shared<ChoiceGroup>(answers.size(), std::move(sink));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Service::Choice choice{.number = answers[i].choice, .group = group->control()};
    const bool owns_prompt = choice.number == 0;
    const auto control = service.Submit(std::move(answers[i].request), choice, std::make_shared<ChoiceSink>(group, i, owns_prompt));
    if (control) continue;
    group->Abandon();
    return std::unexpected(control.error());
  }
  return group->control();
}

}  // namespace cllm
