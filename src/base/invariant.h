// For rules that hold unless the program itself is wrong. What comes from outside is checked with Status instead.
#pragma once

namespace cllm {

// Ends the process with a message on stderr where `holds` is false. `rule` says what should hold: "a slot has one owner".
void CheckInvariant(bool holds, const char* rule);

}  // namespace cllm
