// Calls without an id where llama.cpp's parsers expect one. Inner part of AnswerGrammar and of the frames.
#pragma once

class common_peg_arena;

namespace cllm {

// The library lets a call's id be missing, but not the comma that parts it from its neighbour: from here on both may be. False where no
// call has such an id.
bool LetIdsBeMissing(common_peg_arena& arena);

}  // namespace cllm
