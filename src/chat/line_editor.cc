#include "chat/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cwchar>
#include <string_view>
#include <utility>

#include "base/utf8.h"

namespace cllm {
namespace {

// In the C locale, which containers often have, libedit would take each byte for a character.
void UseUtf8Locale() {
  std::setlocale(LC_CTYPE, "");
  if (std::string_view(nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
}

}  // namespace

struct LineEditor::Libedit {
  Interrupts& interrupts;
  EditLine* editor = nullptr;
  History* history = nullptr;
  std::string prompt;
  bool interrupted = false;

  explicit Libedit(Interrupts& the_interrupts) : interrupts(the_interrupts) {}
  Libedit(const Libedit&) = delete;
  Libedit& operator=(const Libedit&) = delete;
  ~Libedit() {
    if (editor != nullptr) el_end(editor);
    if (history != nullptr) history_end(history);
  }

  static Libedit& Of(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<Libedit*>(self);
  }

  void SetUp() {
    HistEvent event;
    CallHistory(event, H_SETSIZE, static_cast<int>(HistoryFile::kMostLines));
    CallHistory(event, H_SETUNIQUE, 1);
    el_set(editor, EL_CLIENTDATA, this);
    el_set(editor, EL_PROMPT, +[](EditLine* el) { return Of(el).prompt.data(); });
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_HIST, &::history, history);
    el_set(editor, EL_GETCFN, +[](EditLine* el, wchar_t* character) { return Of(el).ReadCharacter(character); });
    el_set(editor, EL_SIGNAL, 1);  // the terminal is put in order for Ctrl-Z, a new size and the end
    el_source(editor, nullptr);    // the user's own keys
  }

  template <typename... Arguments>
  void CallHistory(HistEvent& event, int operation, Arguments... arguments) {
    ::history(history, &event, operation, arguments...);
  }

  // libedit's own reader would go on reading after SIGINT. 1, 0 at the end, -1 for an interrupt or an error.
  int ReadCharacter(wchar_t* character) {
    std::mbstate_t state{};
    while (true) {
      if (!interrupts.WaitReadable(STDIN_FILENO)) {
        interrupted = true;
        return -1;
      }
      char byte = 0;
      const ssize_t count = read(STDIN_FILENO, &byte, 1);
      if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (count <= 0) return static_cast<int>(count);
      const std::size_t length = std::mbrtowc(character, &byte, 1, &state);
      if (length == static_cast<std::size_t>(-2)) continue;
      if (length != static_cast<std::size_t>(-1)) return 1;
      *character = L'\uFFFD';
      return 1;
    }
  }
};

LineEditor::LineEditor(std::unique_ptr<Libedit> libedit, std::optional<HistoryFile> history)
    : libedit_(std::move(libedit)), history_(std::move(history)) {}

LineEditor::~LineEditor() = default;

Result<std::unique_ptr<LineEditor>> LineEditor::Create(Interrupts& interrupts, std::optional<HistoryFile> history) {
  UseUtf8Locale();
  auto libedit = std::make_unique<Libedit>(interrupts);
  libedit->history = history_init();
  libedit->editor = el_init("cllm", stdin, stdout, stderr);
  if (libedit->history == nullptr || libedit->editor == nullptr) {
    return Fail(ErrorCode::kInternal, "the line editor cannot be set up");
  }
  libedit->SetUp();
  std::unique_ptr<LineEditor> editor(new LineEditor(std::move(libedit), std::move(history)));
  editor->LoadHistory();
  return editor;
}

void LineEditor::LoadHistory() {
  if (!history_) return;
  const auto lines = history_->Load();
  if (!lines) {
    history_problem_ = lines.error();
    history_.reset();
    return;
  }
  HistEvent event;
  for (const std::string& line : *lines) libedit_->CallHistory(event, H_ENTER, line.c_str());
}

void LineEditor::Remember(const std::string& line) {
  if (line.find_first_not_of(" \t") == std::string::npos || line == last_remembered_) return;
  last_remembered_ = line;
  HistEvent event;
  libedit_->CallHistory(event, H_ENTER, line.c_str());
  if (!history_) return;
  if (const Status status = history_->Append(line); !status) {
    history_problem_ = status.error();
    history_.reset();
  }
}

std::optional<Error> LineEditor::TakeHistoryProblem() { return std::exchange(history_problem_, std::nullopt); }

Line LineEditor::Read(const std::string& prompt) {
  libedit_->prompt = prompt;
  libedit_->interrupted = false;
  int count = 0;
  // libedit shows the prompt first and takes the terminal over when it reads: what is typed in between would be echoed twice.
  el_set(libedit_->editor, EL_PREP_TERM, 1);
  const char* typed = el_gets(libedit_->editor, &count);
  if (libedit_->interrupted) {
    const LineInfo* info = el_line(libedit_->editor);
    Line line{.kind = Line::Kind::kInterrupted, .text = {info->buffer, info->lastchar}};
    el_reset(libedit_->editor);
    return line;
  }
  if (typed == nullptr || count <= 0) return {.kind = Line::Kind::kEnd, .text = {}};
  std::string text(typed, static_cast<std::size_t>(count));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  Utf8Assembler assembler;
  std::string valid = assembler.Push(text) + assembler.Finish();
  Remember(valid);
  return {.kind = Line::Kind::kText, .text = std::move(valid)};
}

}  // namespace cllm
