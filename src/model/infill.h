// Prompts for the text in a gap.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop_check.h"
#include "model/tokenizer.h"

namespace cllm {

// A text from elsewhere in the project.
struct GapFile {
  std::string name;
  std::string text;
};

// The answer fills the gap between two texts.
struct GapPrompt {
  std::string prefix = {};
  std::string suffix = {};
  std::string middle = {};          // what the answer goes on with
  bool add_special_tokens = true;   // the token that the model wants before each text
  std::vector<GapFile> files = {};  // come before
  bool names_files = false;         // where the model has tokens for that, project and file are named, as llama-server names them
};

// What is in the texts is text: no control tokens. An error where the model knows no gaps.
Result<std::vector<std::int32_t>> TokenizeGap(const Tokenizer& tokenizer, const GapPrompt& gap, const StopCheck& stop = {});

}  // namespace cllm
