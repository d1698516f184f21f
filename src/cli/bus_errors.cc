#include "cli/bus_errors.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include <fmt/format.h>

#include "base/escape.h"

namespace cllm {
namespace {

// A signal handler can reach nothing but what lies at a fixed place.
std::array<char, 4096> g_message;
std::size_t g_message_size = 0;

void OnBusError(int number, siginfo_t* info, void*) {
  if (info->si_code != BUS_ADRERR) {  // not a page without a file behind it: a bug, to be seen as one
    signal(number, SIG_DFL);
    return;  // the instruction runs, and fails, again
  }
  if (write(STDERR_FILENO, g_message.data(), g_message_size) < 0) _exit(2);
  _exit(1);
}

}  // namespace

void ExplainBusErrors(const std::string& model_path) {
  const std::string message = fmt::format(
      "cllm: the model {} cannot be read any more (it was shortened, overwritten or its disk failed): stopping. Replace a "
      "model by renaming the new file over it.\n",
      Escaped(model_path));
  g_message_size = std::min(message.size(), g_message.size());
  std::copy_n(message.begin(), g_message_size, g_message.begin());
  struct sigaction action{};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace cllm
