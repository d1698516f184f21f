// A chat without a terminal and without a model, for tests.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "chat/answerer.h"
#include "chat/line_source.h"
#include "chat/screen.h"

namespace cllm {

// Gives the lines of a script, then the end.
class ScriptedLines : public LineSource {
 public:
  Line Read(const std::string& prompt) override {
    prompts.push_back(prompt);
    if (script.empty()) return {.kind = Line::Kind::kEnd, .text = {}};
    Line line = std::move(script.front());
    script.pop_front();
    return line;
  }

  void Type(const std::string& text) { script.push_back({.kind = Line::Kind::kText, .text = text}); }
  void Interrupt(const std::string& typed) { script.push_back({.kind = Line::Kind::kInterrupted, .text = typed}); }

  std::deque<Line> script;
  std::vector<std::string> prompts;
};

// Answers as it is told and remembers what it was asked.
class ToyAnswerer : public Answerer {
 public:
  struct Reply {
    std::vector<std::string> pieces;
    Result<AnswerSummary> end = AnswerSummary();
  };

  std::string Name() const override { return "toy\x1b[2J"; }
  std::string LongerContextAdvice() const override { return "take a longer one"; }
  Result<AnswerSummary> Ask(const std::vector<ChatMessage>& messages, const ChatSettings& settings, const OnText& on_text) override {
    std::string shown;
    for (const ChatMessage& message : messages) shown += message.role + ":" + message.content + "|";
    asked.push_back(shown);
    fields.push_back(Dump(settings.fields()));
    Reply reply{.pieces = {"answer " + std::to_string(asked.size())}};
    if (!replies.empty()) {
      reply = replies.front();
      replies.pop_front();
    }
    for (const std::string& piece : reply.pieces) {
      if (Status status = on_text(piece); !status) return std::unexpected(status.error());
    }
    return reply.end;
  }

  std::deque<Reply> replies;  // then "answer N"
  std::vector<std::string> asked;
  std::vector<std::string> fields;
};

// A file in memory where a screen writes.
class Capture {
 public:
  Capture() : fd_(memfd_create("capture", MFD_CLOEXEC)) {}
  ~Capture() { close(fd_); }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  int fd() const { return fd_; }
  std::string text() const {
    std::string text(static_cast<std::size_t>(lseek(fd_, 0, SEEK_END)), '\0');
    if (pread(fd_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) return "cannot be read";
    return text;
  }

 private:
  int fd_;
};

}  // namespace cllm
