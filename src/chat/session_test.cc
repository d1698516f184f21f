#include "chat/session.h"

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "chat/conversation_file.h"
#include "chat/testing_chat.h"
#include "chat/testing_folder.h"

namespace cllm {
namespace {

using Strings = std::vector<std::string>;

class ChatSessionTest : public testing::Test, protected TestingFolder {
 protected:
  // Types the lines and runs the chat to its end.
  void Run(std::initializer_list<std::string> lines) {
    for (const std::string& line : lines) lines_.Type(line);
    Run();
  }
  void Run() {
    Screen screen({.fd = out_.fd(), .terminal = true, .color = false}, {.fd = err_.fd(), .terminal = true, .color = false});
    ChatSession(options_, answerer_, lines_, screen).Run();
  }
  bool Shows(const std::string& text) const { return out_.text().find(text) != std::string::npos; }
  bool Complains(const std::string& text) const { return err_.text().find(text) != std::string::npos; }

  ChatOptions options_;
  ScriptedLines lines_;
  ToyAnswerer answerer_;
  Capture out_;
  Capture err_;
};

TEST_F(ChatSessionTest, QuestionsCarryWhatWasSaidBefore) {
  options_.system = "s";
  Run({"one", "", "  ", "two"});
  EXPECT_EQ(answerer_.asked, (Strings{"system:s|user:one|", "system:s|user:one|assistant:answer 1|user:two|"}));
  EXPECT_TRUE(Shows("answer 1\nanswer 2\n")) << out_.text();
  EXPECT_EQ(err_.text(), "");
}

TEST_F(ChatSessionTest, ByeEndsAndSoDoesTheEndOfTheLines) {
  Run({"/bye", "one"});
  EXPECT_EQ(lines_.script.size(), 1U);
  EXPECT_TRUE(answerer_.asked.empty());
}

TEST_F(ChatSessionTest, SeveralLinesAreOneQuestionWithAPromptOfTheirOwn) {
  Run({"\"\"\"one", "two\"\"\"", "a\\", "b"});
  EXPECT_EQ(answerer_.asked.front(), "user:one\ntwo|");
  EXPECT_EQ(lines_.prompts, (Strings{">>> ", "... ", ">>> ", "... ", ">>> "}));
}

TEST_F(ChatSessionTest, ClearForgetsAllButTheSystemText) {
  Run({"/system be brief", "one", "/clear", "two", "/system \"\"", "three"});
  EXPECT_EQ(answerer_.asked,
            (Strings{"system:be brief|user:one|", "system:be brief|user:two|", "user:two|assistant:answer 2|user:three|"}));
}

TEST_F(ChatSessionTest, SystemAloneShowsItHarmlessly) {
  Run({"/system", "/system one \x1b[2J", "/system"});
  EXPECT_TRUE(Shows("There is no system text."));
  EXPECT_TRUE(Shows("one \\x1b[2J\n"));
}

TEST_F(ChatSessionTest, SettingsReachTheAnswerer) {
  Run({"/set seed 42", "one", "/set seed default", "two", "/set temperature 9", "three", "/set sed 1", "/set"});
  EXPECT_EQ(answerer_.fields, (Strings{"{\"seed\":42}", "{}", "{}"}));
  EXPECT_TRUE(Complains("temperature must be a number from 0 to 2, not 9"));
  EXPECT_TRUE(Complains("no setting sed; the nearest is seed"));
  EXPECT_TRUE(Shows("seed 42\n"));
  EXPECT_TRUE(Shows("repeat_last_n")) << "all of them";
}

TEST_F(ChatSessionTest, HelpNamesEveryCommand) {
  Run({"/help"});
  for (const ChatCommand::Known& known : ChatCommand::All()) EXPECT_TRUE(Shows(std::string(known.name))) << known.name;
}

TEST_F(ChatSessionTest, AnUnknownCommandIsNoQuestion) {
  Run({"/claer"});
  EXPECT_TRUE(Complains("cllm: there is no command /claer; the nearest is /clear"));
  EXPECT_TRUE(answerer_.asked.empty());
}

TEST_F(ChatSessionTest, AStoppedAnswerStaysAsFarAsItCame) {
  answerer_.replies.push_back({.pieces = {"so", " far"}, .end = AnswerSummary{.interrupted = true}});
  Run({"one", "two"});
  EXPECT_EQ(answerer_.asked.back(), "user:one|assistant:so far|user:two|");
  EXPECT_TRUE(Shows("so far\nStopped.\n")) << out_.text();
}

TEST_F(ChatSessionTest, AnAnswerStoppedBeforeItsFirstWordLeavesNoQuestion) {
  answerer_.replies.push_back({.pieces = {}, .end = AnswerSummary{.interrupted = true}});
  Run({"one", "two"});
  EXPECT_EQ(answerer_.asked.back(), "user:two|");
  EXPECT_TRUE(Shows("\nStopped.\n"));
}

TEST_F(ChatSessionTest, AnAnswerWithoutAWordLeavesNoQuestion) {
  answerer_.replies.push_back({.pieces = {""}});
  Run({"one", "two"});
  EXPECT_EQ(answerer_.asked.back(), "user:two|");
}

TEST_F(ChatSessionTest, AnAnswerThatCannotBeWrittenIsNoAnswer) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  Screen screen({.fd = full}, {.fd = err_.fd()});
  for (const char* line : {"one", "two"}) lines_.Type(line);
  ChatSession(options_, answerer_, lines_, screen).Run();
  close(full);
  EXPECT_TRUE(Complains("cllm: the answer cannot be written: No space left on device\n")) << err_.text();
  EXPECT_EQ(answerer_.asked.back(), "user:two|");
}

TEST_F(ChatSessionTest, AnErrorIsShownAndTheChatGoesOnWithoutTheQuestion) {
  answerer_.replies.push_back({.pieces = {"half"}, .end = Fail(ErrorCode::kUnavailable, "gone\x1b[2J")});
  Run({"one", "two"});
  EXPECT_EQ(answerer_.asked.back(), "user:two|");
  EXPECT_TRUE(Complains("cllm: gone\\x1b[2J\n"));
  EXPECT_TRUE(Shows("half\n"));
  EXPECT_TRUE(Shows("not a part of the conversation"));
}

TEST_F(ChatSessionTest, AFullContextSaysWhatToDo) {
  answerer_.replies.push_back({.pieces = {}, .end = Fail(ErrorCode::kContextLength, "more than the context of 64 tokens.", "messages")});
  answerer_.replies.push_back({.pieces = {"a"}, .end = AnswerSummary{.cut = true, .generated_tokens = 1}});
  Run({"one", "two"});
  EXPECT_TRUE(Complains("more than the context of 64 tokens: take a longer one, or /clear"));
  EXPECT_TRUE(Shows("The answer was cut, the context is full: take a longer one, or /clear."));
}

TEST_F(ChatSessionTest, ACutNamesItsReason) {
  ChatSettings settings;
  AnswerSummary summary{.cut = true, .generated_tokens = 5};
  EXPECT_EQ(CutNote(summary, settings, "grow"), "The answer was cut, the context is full: grow.");
  ASSERT_TRUE(settings.Set("max_tokens", "5"));
  EXPECT_EQ(CutNote(summary, settings, "grow"), "The answer was cut at max_tokens, 5.");
  summary.generated_tokens = 4;
  EXPECT_EQ(CutNote(summary, settings, "grow"), "The answer was cut before max_tokens, the context is full: grow.");
  summary.generated_tokens = {};
  EXPECT_EQ(CutNote(summary, settings, "grow"), "The answer was cut at max_tokens, 5.");
}

TEST_F(ChatSessionTest, CtrlCAtAnEmptyPromptHintsAndElseForgetsTheLine) {
  lines_.Interrupt("");
  lines_.Interrupt("typed");
  lines_.Type("\"\"\"begun");
  lines_.Interrupt("");
  lines_.Type("one");
  Run();
  const std::string shown = out_.text();
  const std::string hint = "Ctrl-D or /bye ends the chat.";
  EXPECT_NE(shown.find(hint), std::string::npos);
  EXPECT_EQ(shown.find(hint), shown.rfind(hint)) << "only at the empty prompt";
  EXPECT_EQ(answerer_.asked, Strings{"user:one|"});
}

TEST_F(ChatSessionTest, VerboseReportsOnStandardError) {
  options_.verbose = true;
  answerer_.replies.push_back(
      {.pieces = {"a"}, .end = AnswerSummary{.prompt_tokens = 100, .generated_tokens = 11, .prompt_s = 0.5, .answer_s = 2}});
  Run({"one"});
  EXPECT_TRUE(Complains("prompt 100 tokens, 200.0 tokens/s; answer 11 tokens, 5.0 tokens/s; 2.50 s\n")) << err_.text();
}

TEST_F(ChatSessionTest, WhatOthersWroteDoesNotReachTheTerminalRaw) {
  answerer_.replies.push_back({.pieces = {"a\x1b", "[2J\xC2\x9B"}});
  Run({"one"});
  EXPECT_EQ(out_.text().find('\x1b'), std::string::npos);
  EXPECT_TRUE(Shows("a\\x1b[2J\\x9b"));
  EXPECT_EQ(answerer_.asked.size(), 1U);
}

TEST_F(ChatSessionTest, SavedAndLoaded) {
  const std::string file = Path("a.json");
  Run({"/system s", "one", "/save " + file, "two", "/load " + file, "three", "/load " + Path("none"), "/save"});
  EXPECT_EQ(answerer_.asked.back(), "system:s|user:one|assistant:answer 1|user:three|");
  EXPECT_TRUE(Shows("3 messages are in " + file));
  EXPECT_TRUE(Shows("3 messages from " + file));
  EXPECT_TRUE(Complains("there is no such file"));
  EXPECT_TRUE(Complains("/save needs an argument"));
}

TEST_F(ChatSessionTest, AFileThatCannotBeLoadedChangesNothing) {
  Run({"one", "/load " + Path("none"), "two"});
  EXPECT_EQ(answerer_.asked.back(), "user:one|assistant:answer 1|user:two|");
}

TEST_F(ChatSessionTest, NoColourWithoutATerminalThatHasIt) {
  Run({"one"});
  EXPECT_EQ(out_.text().find('\x1b'), std::string::npos);
  Screen screen({.fd = out_.fd(), .terminal = true, .color = true}, {.fd = err_.fd()});
  screen.Note("dim");
  EXPECT_TRUE(Shows("\x1b[2mdim\x1b[0m\n"));
}

}  // namespace
}  // namespace cllm
