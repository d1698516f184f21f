#include "model/builtin_template.h"

#include <llama.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include <fmt/format.h>

namespace cllm {
namespace {

// Stands for a content. No format has it in its own text, and nothing in it is white space that one might cut off.
std::string Placeholder(std::size_t index) { return fmt::format("\x02{}\x03", index); }

Result<std::string> Apply(const std::string& name, const std::vector<BuiltinMessage>& messages, bool add_generation_prompt) {
  std::vector<llama_chat_message> chat;
  std::size_t size = 1024;
  for (const BuiltinMessage& message : messages) {
    chat.push_back({message.role.c_str(), message.content.c_str()});
    size += 2 * (message.role.size() + message.content.size()) + 64;
  }
  std::string text(size, '\0');
  const auto run = [&] {
    return llama_chat_apply_template(name.c_str(), chat.data(), chat.size(), add_generation_prompt, text.data(),
                                     static_cast<std::int32_t>(text.size()));
  };
  std::int32_t written = run();
  if (written > static_cast<std::int32_t>(text.size())) {
    text.resize(static_cast<std::size_t>(written));
    written = run();
  }
  if (written < 0) return InvalidArgument(fmt::format("the chat template {} cannot format these messages", name), "messages");
  text.resize(static_cast<std::size_t>(written));
  return text;
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// Marks `text`, which is `skeleton` with each placeholder replaced by its content, as it is or trimmed: formats trim some roles'
// contents and not others'. What stands around contents is trusted. Nothing where the two don't fit.
std::optional<MarkedText> Align(std::string_view skeleton, const std::vector<BuiltinMessage>& messages, const std::string& text) {
  MarkedText marked{.text = text, .trusted = {}};
  const std::string_view whole = text;
  std::size_t at = 0;
  std::size_t next = skeleton.find('\x02');
  if (!whole.starts_with(skeleton.substr(0, next))) return std::nullopt;
  for (std::size_t from = 0;;) {
    const std::size_t literal = std::min(next, skeleton.size()) - from;
    if (literal > 0) marked.trusted.push_back({at, at + literal});
    at += literal;
    if (next == std::string_view::npos) break;
    const std::size_t end = skeleton.find('\x03', next);
    const std::string& content = messages[std::stoul(std::string(skeleton.substr(next + 1, end - next - 1)))].content;
    from = end + 1;
    next = skeleton.find('\x02', from);
    const std::string following(skeleton.substr(from, next == std::string_view::npos ? next : next - from));
    const std::string_view rest = whole.substr(at);
    if (rest.starts_with(content + following)) {
      at += content.size();
    } else if (rest.starts_with(std::string(Trimmed(content)) + following)) {
      at += Trimmed(content).size();
    } else {
      return std::nullopt;
    }
  }
  return at == text.size() ? std::optional(std::move(marked)) : std::nullopt;
}

}  // namespace

std::vector<std::string> BuiltinTemplateNames() {
  std::vector<const char*> names(static_cast<std::size_t>(llama_chat_builtin_templates(nullptr, 0)));
  llama_chat_builtin_templates(names.data(), names.size());
  return {names.begin(), names.end()};
}

bool IsBuiltinTemplate(const std::string& name) {
  const std::vector<std::string> names = BuiltinTemplateNames();
  return std::ranges::find(names, name) != names.end();
}

Result<MarkedText> RenderBuiltin(const std::string& name, const std::vector<BuiltinMessage>& messages, bool add_generation_prompt) {
  if (std::ranges::any_of(messages, [](const BuiltinMessage& message) { return message.content.find('\0') != std::string::npos; })) {
    return InvalidArgument(fmt::format("the chat template {} takes no zero byte in a message", name), "messages");
  }
  const Result<std::string> text = Apply(name, messages, add_generation_prompt);
  if (!text) return std::unexpected(text.error());
  std::vector<BuiltinMessage> places = messages;
  for (std::size_t i = 0; i < places.size(); ++i) places[i].content = Placeholder(i);
  const Result<std::string> skeleton = Apply(name, places, add_generation_prompt);
  if (!skeleton) return std::unexpected(skeleton.error());
  // Where a format does something else to a content, nothing is known to be its own.
  return Align(*skeleton, messages, *text).value_or(MarkedText{.text = *text, .trusted = {}});
}

}  // namespace cllm
