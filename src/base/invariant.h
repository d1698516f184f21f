// For rules that hold unless the program itself is wrong. What comes from outside is checked with Status instead.
//
// They are compiled into every build, since every build is tested: a rule that only some builds look at is looked at by none.
#pragma once

namespace cllm {

// Ends the process with a message on stderr.
[[noreturn]] void BreakInvariant(const char* rule);

// The same where `holds` is false. `rule` says what should hold: "a slot has one owner". Costs a branch.
inline void CheckInvariant(bool holds, const char* rule) {
  if (!holds) [[unlikely]]
    BreakInvariant(rule);
}

}  // namespace cllm
