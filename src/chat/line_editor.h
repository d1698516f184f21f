// Lines from a terminal, edited with libedit's keys and with a history.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/interrupts.h"
#include "base/status.h"
#include "chat/history_file.h"
#include "chat/line_source.h"

namespace cllm {

class LineEditor : public LineSource {
 public:
  // On standard input and output. `interrupts` outlives it. It makes the process's locale one with UTF-8, which libedit
  // needs to know where characters end. Without `history` nothing is kept over the end.
  static Result<std::unique_ptr<LineEditor>> Create(Interrupts& interrupts, std::optional<HistoryFile> history);
  ~LineEditor() override;

  Line Read(const std::string& prompt) override;

  // Why the history cannot be kept, told once.
  std::optional<Error> TakeHistoryProblem();

 private:
  struct Libedit;
  LineEditor(std::unique_ptr<Libedit> libedit, std::optional<HistoryFile> history);
  void LoadHistory();
  void Remember(const std::string& line);

  std::unique_ptr<Libedit> libedit_;
  std::optional<HistoryFile> history_;
  std::optional<Error> history_problem_;
  std::string last_remembered_;
};

}  // namespace cllm
