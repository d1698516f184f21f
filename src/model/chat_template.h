// Chat messages → prompt text, by the template that the GGUF file carries.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/model.h"

namespace cllm {

struct ChatMessage {
  std::string role;  // system | developer | user | assistant | tool
  std::string content;
  std::string reasoning_content = {};  // what an assistant thought before; empty: nothing
  std::string name = {};               // of who speaks; may be empty
};

// Adapter to llama.cpp's template engine. Render is thread safe.
class ChatTemplate {
 public:
  // A file without a template gets ChatML. `model` outlives the template.
  static Result<std::unique_ptr<ChatTemplate>> FromModel(const Model& model);
  ~ChatTemplate();

  // The prompt, ready for the assistant's answer. It holds no BOS that Tokenize(add_special) adds again.
  // `arguments` reach the template as variables, each value as JSON text: {"enable_thinking", "false"}.
  Result<std::string> Render(const std::vector<ChatMessage>& messages, const std::map<std::string, std::string>& arguments = {}) const;

  const std::string& source() const { return source_; }

 private:
  struct Engine;
  explicit ChatTemplate(std::unique_ptr<Engine> engine);

  std::unique_ptr<Engine> engine_;
  std::string source_;
};

}  // namespace cllm
