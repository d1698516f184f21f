// llama.cpp's chat formats that have a name and are no Jinja templates.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "model/marked_text.h"

namespace cllm {

// "chatml", "llama2", …
std::vector<std::string> BuiltinTemplateNames();
bool IsBuiltinTemplate(const std::string& name);

struct BuiltinMessage {
  std::string role;
  std::string content;
};

// What is neither content nor role is trusted.
Result<MarkedText> RenderBuiltin(const std::string& name, const std::vector<BuiltinMessage>& messages, bool add_generation_prompt);

}  // namespace cllm
