#include "model/chat_template.h"

#include <chat.h>

#include <fmt/format.h>

namespace cllm {

struct ChatTemplate::Engine {
  common_chat_templates_ptr templates;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Engine> engine)
    : engine_(std::move(engine)), source_(common_chat_templates_source(engine_->templates.get())) {}

ChatTemplate::~ChatTemplate() = default;

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::FromModel(const Model& model) {
  try {
    auto engine = std::make_unique<Engine>();
    engine->templates = common_chat_templates_init(model.handle(), "");
    return std::unique_ptr<ChatTemplate>(new ChatTemplate(std::move(engine)));
  } catch (const std::exception& error) {
    return InvalidArgument(fmt::format("the model's chat template cannot be read: {}", error.what()));
  }
}

Result<std::string> ChatTemplate::Render(const std::vector<ChatMessage>& messages,
                                         const std::map<std::string, std::string>& arguments) const {
  try {
    common_chat_templates_inputs inputs;
    inputs.add_generation_prompt = true;
    inputs.use_jinja = true;
    inputs.chat_template_kwargs = arguments;
    if (const auto thinking = arguments.find("enable_thinking"); thinking != arguments.end()) {
      inputs.enable_thinking = thinking->second != "false";
    }
    for (const ChatMessage& message : messages) {
      common_chat_msg rendered;
      rendered.role = message.role;
      rendered.content = message.content;
      inputs.messages.push_back(std::move(rendered));
    }
    return common_chat_templates_apply(engine_->templates.get(), inputs).prompt;
  } catch (const std::exception& error) {
    // Templates refuse what their model was not trained on, such as two user messages in a row.
    return InvalidArgument(fmt::format("the model's chat template refuses these messages: {}", error.what()), "messages");
  }
}

}  // namespace cllm
