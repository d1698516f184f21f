// A model in this process, through the service.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/request_defaults.h"
#include "base/interrupts.h"
#include "chat/answerer.h"
#include "service/service.h"

namespace cllm {

class LocalAnswerer : public Answerer {
 public:
  // `service` and `interrupts` outlive it. `defaults` hold where the chat's settings say nothing.
  LocalAnswerer(std::string name, Service& service, RequestDefaults defaults, Interrupts& interrupts)
      : name_(std::move(name)), service_(service), defaults_(std::move(defaults)), interrupts_(interrupts) {}

  std::string Name() const override { return name_; }
  Result<AnswerSummary> Ask(const std::vector<ChatMessage>& messages, const ChatSettings& settings, const OnText& on_text) override;
  std::string LongerContextAdvice() const override;

 private:
  class Inbox;

  std::string name_;
  Service& service_;
  RequestDefaults defaults_;
  Interrupts& interrupts_;
};

}  // namespace cllm
