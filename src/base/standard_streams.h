// Descriptors 0 to 2 of a process whose parent closed some of them.
#pragma once

namespace cllm {

// Opens those of standard input, output and error that are closed, so that no file or socket gets their numbers and is then written to as a
// terminal. Input is empty; writing is an error, as before. Call it first of all.
void OccupyStandardStreams();

}  // namespace cllm
