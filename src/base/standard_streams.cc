#include "base/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

namespace cllm {

void OccupyStandardStreams() {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    if (fcntl(stream, F_GETFD) >= 0) continue;
    // The lowest number that is free is this one. Of output, too, for reading: what can't arrive must not seem to.
    open("/dev/null", O_RDONLY);
  }
}

}  // namespace cllm
