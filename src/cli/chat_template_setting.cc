#include "cli/chat_template_setting.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/builtin_template.h"

namespace cllm {
namespace {

bool IsTemplateText(const std::string& text) {
  return text.find("{{") != std::string::npos || text.find("{%") != std::string::npos || text.find('\n') != std::string::npos;
}

Result<std::string> ReadTemplateFile(const std::string& path) {
  constexpr std::uintmax_t kMostBytes = 1 << 20;
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return InvalidArgument(fmt::format("cannot read the chat template {}: {}", path, error.message()), "model.chat_template_file");
  if (size == 0 || size > kMostBytes) {
    return InvalidArgument(fmt::format("the chat template {} has {} bytes, it may have 1 to {}", path, size, kMostBytes),
                           "model.chat_template_file");
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || text.str().empty()) return InvalidArgument("cannot read the chat template " + path, "model.chat_template_file");
  return text.str();
}

}  // namespace

Result<std::string> ChatTemplateSetting(const ModelOptions& options) {
  if (!options.chat_template.empty() && !options.chat_template_file.empty()) {
    return InvalidArgument("model.chat_template and model.chat_template_file are both set: give one of them", "model.chat_template");
  }
  if (!options.chat_template_file.empty()) return ReadTemplateFile(options.chat_template_file);
  const std::string& given = options.chat_template;
  if (given.empty() || IsTemplateText(given) || IsBuiltinTemplate(given)) return given;
  return InvalidArgument(fmt::format("model.chat_template is \"{}\", which is neither a Jinja template nor one of {}", given,
                                     fmt::join(BuiltinTemplateNames(), ", ")),
                         "model.chat_template");
}

}  // namespace cllm
