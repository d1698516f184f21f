#include "base/standard_streams.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include <gtest/gtest.h>

namespace cllm {
namespace {

// In a child, which has streams of its own to close: 0 where all went well.
int ExitCodeOf(int (*child)()) {
  const pid_t pid = fork();
  if (pid == 0) _exit(child());
  int status = -1;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(StandardStreamsTest, ClosedOnesAreTaken) {
  const auto child = [] {
    for (int stream = 0; stream <= 2; ++stream) close(stream);
    OccupyStandardStreams();
    char byte = 'x';
    if (open("/dev/null", O_RDONLY) <= 2) return 1;
    if (read(STDIN_FILENO, &byte, 1) != 0) return 2;
    if (write(STDOUT_FILENO, &byte, 1) >= 0 || write(STDERR_FILENO, &byte, 1) >= 0) return 3;
    return 0;
  };
  EXPECT_EQ(ExitCodeOf(child), 0);
}

TEST(StandardStreamsTest, OpenOnesStayAsTheyAre) {
  const auto child = [] {
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0 || dup2(pipe_ends[1], STDOUT_FILENO) < 0) return 1;
    close(STDIN_FILENO);
    OccupyStandardStreams();
    char byte = 'x';
    if (write(STDOUT_FILENO, &byte, 1) != 1) return 2;
    return read(pipe_ends[0], &byte, 1) == 1 ? 0 : 3;
  };
  EXPECT_EQ(ExitCodeOf(child), 0);
}

}  // namespace
}  // namespace cllm
