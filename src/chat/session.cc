#include "chat/session.h"

#include <utility>

#include <fmt/format.h>

#include "chat/conversation_file.h"
#include "chat/terminal_text.h"

namespace cllm {
namespace {

constexpr const char* kPrompt = ">>> ";
constexpr const char* kMorePrompt = "... ";

}  // namespace

Error WithAdvice(Error error, const std::string& advice) {
  if (!IsContextError(error)) return error;
  if (error.message.ends_with('.')) error.message.pop_back();
  error.message += ": " + advice;
  return error;
}

bool IsCutAtMaxTokens(const AnswerSummary& summary, const ChatSettings& settings) {
  const auto most = settings.fields().find("max_tokens");
  if (!summary.cut || most == settings.fields().end()) return false;
  return !summary.generated_tokens || *summary.generated_tokens >= most->get<int>();
}

std::string CutNote(const AnswerSummary& summary, const ChatSettings& settings, const std::string& context_advice) {
  const auto most = settings.fields().find("max_tokens");
  if (most == settings.fields().end()) return fmt::format("The answer was cut, the context is full: {}.", context_advice);
  if (IsCutAtMaxTokens(summary, settings)) return fmt::format("The answer was cut at max_tokens, {}.", most->get<int>());
  return fmt::format("The answer was cut before max_tokens, the context is full: {}.", context_advice);
}

ChatSession::ChatSession(ChatOptions options, Answerer& answerer, LineSource& lines, Screen& screen)
    : options_(std::move(options)), answerer_(answerer), lines_(lines), screen_(screen) {
  conversation_.SetSystem(options_.system);
}

void ChatSession::Run() {
  screen_.Note(fmt::format("{}. /help shows the commands, Ctrl-D ends.", ForMessage(answerer_.Name())));
  while (!ended_) {
    const Line line = lines_.Read(reader_.pending() ? kMorePrompt : kPrompt);
    switch (line.kind) {
      case Line::Kind::kEnd:
        screen_.Say("");
        return;
      case Line::Kind::kInterrupted:
        screen_.Say("");
        if (line.text.empty() && !reader_.pending()) screen_.Note("Ctrl-D or /bye ends the chat.");
        reader_.Reset();
        break;
      case Line::Kind::kText:
        if (const auto message = reader_.Push(line.text)) Handle(*message);
        break;
    }
  }
}

void ChatSession::Handle(const MessageReader::Message& message) {
  if (!message.is_command) {
    if (!Trimmed(message.text).empty()) Ask(message.text);
    return;
  }
  const Result<ChatCommand> command = ParseChatCommand(message.text);
  if (!command) return screen_.Complain(command.error());
  HandleCommand(*command);
}

void ChatSession::HandleCommand(const ChatCommand& command) {
  switch (command.kind) {
    case ChatCommand::Kind::kHelp:
      return ShowHelp();
    case ChatCommand::Kind::kClear:
      conversation_.Clear();
      return screen_.Note("The conversation is forgotten.");
    case ChatCommand::Kind::kSystem:
      return ShowOrSetSystem(command.argument);
    case ChatCommand::Kind::kSet:
      return ShowOrSet(command.argument);
    case ChatCommand::Kind::kSave:
      return Save(command.argument);
    case ChatCommand::Kind::kLoad:
      return Load(command.argument);
    case ChatCommand::Kind::kBye:
      ended_ = true;
  }
}

void ChatSession::Ask(const std::string& question) {
  conversation_.Ask(question);
  std::string answer;
  const auto summary = answerer_.Ask(conversation_.messages(), options_.settings, [&](std::string_view text) {
    answer += text;
    return screen_.WriteAnswer(text);
  });
  const bool interrupted = summary && summary->interrupted;
  static_cast<void>(screen_.EndAnswer(interrupted));  // where it cannot be written, the answer could not be either
  if (!summary || answer.empty()) {
    // Two questions in a row would be what most templates refuse.
    conversation_.TakeBack();
  } else {
    conversation_.Answer(std::move(answer));
  }
  if (!summary) {
    screen_.Complain(WithAdvice(summary.error(), answerer_.LongerContextAdvice() + ", or /clear"));
    if (!answer.empty()) screen_.Note("What came of the answer is not a part of the conversation: ask again.");
    return;
  }
  ShowEnd(*summary);
}

void ChatSession::ShowEnd(const AnswerSummary& summary) {
  if (summary.interrupted) return screen_.Note("Stopped.");
  if (summary.cut) screen_.Note(CutNote(summary, options_.settings, answerer_.LongerContextAdvice() + ", or /clear"));
  if (options_.verbose) screen_.Report(SpeedText(summary));
}

void ChatSession::ShowHelp() {
  for (const ChatCommand::Known& known : ChatCommand::All()) {
    screen_.Say(fmt::format("  {:<18} {}", fmt::format("{} {}", known.name, known.argument), known.help));
  }
  screen_.Say("  \"\"\"                begins text of several lines, and another \"\"\" ends it; so does a line that ends in \\.");
  screen_.Say("  Ctrl-C             stops an answer.");
}

void ChatSession::ShowOrSetSystem(const std::string& text) {
  if (text.empty()) {
    const std::string_view system = conversation_.system();
    return system.empty() ? screen_.Note("There is no system text.") : screen_.Say(system);
  }
  conversation_.SetSystem(text == "\"\"" ? "" : text);
  screen_.Note(text == "\"\"" ? "The system text is gone." : "The system text is set.");
}

void ChatSession::ShowOrSet(const std::string& argument) {
  if (argument.empty()) return ShowSettings();
  const auto [name, value] = SplitFirstWord(argument);
  if (!value.empty()) {
    if (const Status status = options_.settings.Set(name, value); !status) return screen_.Complain(status.error());
  }
  const Result<std::string> text = options_.settings.Text(name);
  if (!text) return screen_.Complain(text.error());
  screen_.Say(fmt::format("{} {}", name, *text));
}

void ChatSession::ShowSettings() {
  for (const ChatSettings::Known& known : ChatSettings::All()) {
    screen_.Say(fmt::format("  {:<20} {:<10} {}", known.name, options_.settings.Text(known.name).value_or(""), known.help));
  }
}

void ChatSession::Save(const std::string& file) {
  if (const Status status = SaveConversation(file, conversation_); !status) return screen_.Complain(status.error());
  screen_.Note(fmt::format("{} messages are in {}.", conversation_.messages().size(), ForMessage(file)));
}

void ChatSession::Load(const std::string& file) {
  Result<Conversation> loaded = LoadConversation(file);
  if (!loaded) return screen_.Complain(loaded.error());
  conversation_ = std::move(*loaded);
  screen_.Note(fmt::format("{} messages from {}: the chat goes on from there.", conversation_.messages().size(), ForMessage(file)));
}

}  // namespace cllm
