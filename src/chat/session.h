// A chat: questions, answers and commands in turn, until the user ends it.
#pragma once

#include <string>

#include "chat/answerer.h"
#include "chat/command.h"
#include "chat/conversation.h"
#include "chat/line_source.h"
#include "chat/message_reader.h"
#include "chat/screen.h"
#include "chat/settings.h"

namespace cllm {

struct ChatOptions {
  std::string system;
  ChatSettings settings;
  bool verbose = false;  // figures after each answer
};

class ChatSession {
 public:
  // All but `options` outlive it.
  ChatSession(ChatOptions options, Answerer& answerer, LineSource& lines, Screen& screen);

  // Until /bye or the end of the lines. Errors are shown and the chat goes on.
  void Run();

 private:
  void Handle(const MessageReader::Message& message);
  void HandleCommand(const ChatCommand& command);
  void Ask(const std::string& question);
  void ShowEnd(const AnswerSummary& summary);
  void ShowHelp();
  void ShowOrSetSystem(const std::string& text);
  void ShowOrSet(const std::string& argument);
  void ShowSettings();
  void Save(const std::string& file);
  void Load(const std::string& file);

  ChatOptions options_;
  Answerer& answerer_;
  LineSource& lines_;
  Screen& screen_;
  MessageReader reader_;
  Conversation conversation_;
  bool ended_ = false;
};

// An error that came instead of an answer; one about the context also says what to do.
Error WithAdvice(Error error, const std::string& advice);

// Whether an answer is as long as the user's own max_tokens lets it be. Where a server counts no tokens it is taken to be.
bool IsCutAtMaxTokens(const AnswerSummary& summary, const ChatSettings& settings);

// Why an answer that the model did not end is as long as it is.
std::string CutNote(const AnswerSummary& summary, const ChatSettings& settings, const std::string& context_advice);

}  // namespace cllm
