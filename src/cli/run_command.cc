// `cllm run`: a chat in the terminal, or one answer for a pipe, from a model in this process or from a server.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/interrupts.h"
#include "chat/line_editor.h"
#include "chat/local_answerer.h"
#include "chat/one_shot.h"
#include "chat/remote_answerer.h"
#include "chat/session.h"
#include "cli/commands.h"
#include "cli/models.h"
#include "cli/program.h"
#include "cli/served_model.h"

namespace cllm {
namespace {

// A chat has nobody to be fair to: its user ends what takes too long.
constexpr double kNoTimeoutS = 1e6;
// How long the end of the program waits for the engine to put an answer that was stopped away.
constexpr std::chrono::milliseconds kLastStep(100);

struct RunArguments {
  std::string model;
  std::string prompt;         // PROMPT
  std::string prompt_option;  // --prompt
  std::string server_url;
  ChatOptions chat;
  std::map<std::string, std::optional<std::string>> settings;  // by the name of the setting
};

// Whether standard input is a file, a pipe, a socket or a device. Where the program was started with it closed, its number
// belongs to the first event loop that a library made, which is none of them.
bool StandardInputIsOpen() {
  struct stat facts{};
  return fstat(STDIN_FILENO, &facts) == 0 && (facts.st_mode & S_IFMT) != 0;
}

struct Input {
  bool open = StandardInputIsOpen();
  bool terminal = isatty(STDIN_FILENO) == 1;
};

// What is asked once; nothing where there is a chat.
struct Task {
  std::optional<std::string> question;
};

Status TakeSettings(RunArguments& arguments) {
  for (const auto& [name, text] : arguments.settings) {
    if (!text) continue;
    if (const Status status = arguments.chat.settings.Set(name, *text); !status) return status;
  }
  return {};
}

// The key for a server: --api-key, else CLLM_API_KEY. The configuration file's keys are of this machine's own server and
// go to no other.
std::string KeyForServer(const ServeOptions& options, const OptionTable& table) {
  const ValueSource::Kind kind = table.Find("server.api_keys")->source.kind;
  const bool is_meant = kind == ValueSource::Kind::kCommandLine || kind == ValueSource::Kind::kEnvironment;
  return is_meant && !options.http.api_keys.empty() ? options.http.api_keys.front() : std::string();
}

// Settings of the engine say nothing to a server that runs already.
Status CheckRemote(const RunArguments& arguments, const OptionTable& table) {
  for (const ConfigOption& option : table.options()) {
    if (option.source.kind != ValueSource::Kind::kCommandLine || option.key.starts_with("logging.")) continue;
    if (option.key == "server.api_keys") continue;
    return InvalidArgument(fmt::format("{} is set where the model runs: it has no effect beside --server-url", option.source.name));
  }
  if (arguments.prompt.empty() && arguments.model.find(' ') != std::string::npos) {
    return InvalidArgument("the first argument names the model, also beside --server-url: give the question with --prompt");
  }
  return {};
}

// Changes what was not set by the user to what suits one chat.
void SuitOneChat(ServeOptions& options, const OptionTable& table) {
  const auto is_default = [&](const char* key) { return table.Find(key)->source.kind == ValueSource::Kind::kDefault; };
  if (is_default("logging.level")) options.log.level = "warn";
  if (is_default("scheduler.request_timeout")) options.scheduler.request_timeout = kNoTimeoutS;
  options.llama_cpp.n_seq_max = 1;
}

// A terminal on both sides and no question is a chat. Input that is no terminal is a part of the question.
Result<Task> TaskOf(const RunArguments& arguments, Input in, const Screen& screen, Interrupts& interrupts) {
  const std::string& prompt = arguments.prompt.empty() ? arguments.prompt_option : arguments.prompt;
  if (in.terminal && prompt.empty() && screen.out().terminal) return Task{};
  std::string input;
  if (in.open && (!in.terminal || prompt.empty())) {
    if (in.terminal) std::fputs("cllm: type the prompt, and end it with Ctrl-D\n", stderr);
    auto read = ReadInput(STDIN_FILENO, interrupts);
    if (!read) return std::unexpected(read.error());
    input = std::move(*read);
  }
  auto question = OneShotQuestion(prompt, input);
  if (!question) return std::unexpected(question.error());
  return Task{.question = std::move(*question)};
}

std::optional<HistoryFile> History() { return HistoryFile(CacheFolder() / "history"); }

int Chat(const RunArguments& arguments, Answerer& answerer, Interrupts& interrupts, Screen& screen) {
  auto lines = LineEditor::Create(interrupts, History());
  if (!lines) return Complain(lines.error());
  if (const auto problem = (*lines)->TakeHistoryProblem()) screen.Complain(*problem);
  ChatSession(arguments.chat, answerer, **lines, screen).Run();
  return 0;
}

int AnswerTask(const RunArguments& arguments, const Task& task, Answerer& answerer, Interrupts& interrupts, Screen& screen) {
  if (task.question) return AnswerOnce(*task.question, arguments.chat, answerer, screen);
  return Chat(arguments, answerer, interrupts, screen);
}

int CodeOf(const Error& error) { return error.code == ErrorCode::kCancelled ? kInterruptedExitCode : Complain(error); }

int RunRemote(const RunArguments& arguments, const std::string& api_key, const Task& task, Interrupts& interrupts, Screen& screen) {
  auto answerer = RemoteAnswerer::Connect({.server_url = arguments.server_url, .model = arguments.model, .api_key = api_key}, interrupts);
  if (!answerer) return CodeOf(answerer.error());
  return AnswerTask(arguments, task, **answerer, interrupts, screen);
}

int RunLocal(const RunArguments& arguments, const ServeOptions& options, const Task& task, Interrupts& interrupts, Screen& screen) {
  auto loading = EndOnInterrupt::Create(interrupts);
  if (!loading) return Complain(loading.error());
  const auto model = ServedModel::Create(options, [] {});
  if (!model) return Complain(model.error());
  Service& service = (*model)->service();
  loading->reset();
  if (const Status can_answer = service.CheckGenerates(); !can_answer) return Complain(can_answer.error());
  LocalAnswerer answerer(std::filesystem::path(options.model.path).stem().string(), service, options.defaults, interrupts);
  const int code = AnswerTask(arguments, task, answerer, interrupts, screen);
  // A step of a large model takes long and cannot be stopped; nothing is lost by leaving it.
  if (!service.WaitUntilIdle(std::chrono::steady_clock::now() + kLastStep)) std::_Exit(code);
  return code;
}

int RunChat(Program& program, RunArguments& arguments) {
  const Input input;
  std::signal(SIGPIPE, SIG_IGN);
  if (const Status status = program.LoadSettings(); !status) return Complain(status.error());
  if (const Status status = TakeSettings(arguments); !status) return Complain(status.error());
  if (!arguments.prompt.empty() && !arguments.prompt_option.empty()) {
    return Complain({ErrorCode::kInvalidArgument, "PROMPT and --prompt are the same: give one of them", {}});
  }
  const bool remote = !arguments.server_url.empty();
  const Status status = remote ? CheckRemote(arguments, program.table()) : program.ResolveModel(arguments.model);
  if (!status) return Complain(status.error());
  SuitOneChat(program.options(), program.table());
  if (const Status log = ConfigureLog(program.options().log); !log) return Complain(log.error());
  const char* no_color = std::getenv("NO_COLOR");
  Screen screen = Screen::OfProcess(no_color == nullptr || *no_color == '\0');
  auto interrupts = Interrupts::Create();
  if (!interrupts) return Complain(interrupts.error());
  const Result<Task> task = TaskOf(arguments, input, screen, **interrupts);
  if (!task) return CodeOf(task.error());
  if (!remote) return RunLocal(arguments, program.options(), *task, **interrupts, screen);
  return RunRemote(arguments, KeyForServer(program.options(), program.table()), *task, **interrupts, screen);
}

std::string FlagOf(std::string name) {
  std::ranges::replace(name, '_', '-');
  return "--" + name;
}

}  // namespace

void AddRunCommand(Program& program) {
  auto arguments = std::make_shared<RunArguments>();
  CLI::App* run = program.AddCommand(program.root(), "run", "Chat with a model in the terminal, or answer once.",
                                     [&program, arguments] { return RunChat(program, *arguments); });
  run->add_option("MODEL", arguments->model, "GGUF file; with --server-url a name that the server knows, or nothing.");
  run->add_option("PROMPT", arguments->prompt, "Answer this and end. Text on standard input goes below it.");
  run->add_option("--prompt", arguments->prompt_option, "The same as PROMPT, where no MODEL is given.");
  run->add_option("--server-url", arguments->server_url, "Ask this server (OpenAI's API) instead of loading a model.");
  run->add_option("--system", arguments->chat.system, "Text that tells the model how to answer.");
  run->add_flag("--verbose", arguments->chat.verbose, "Show tokens and tokens per second after each answer.");
  for (const ChatSettings::Known& known : ChatSettings::All()) {
    run->add_option(FlagOf(known.name), arguments->settings[known.name], known.help);
  }
  program.UseSettings(*run);
}

}  // namespace cllm
