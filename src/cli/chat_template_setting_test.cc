#include "cli/chat_template_setting.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace cllm {
namespace {

ModelOptions With(const std::string& text, const std::string& file = {}) {
  ModelOptions options;
  options.chat_template = text;
  options.chat_template_file = file;
  return options;
}

TEST(ChatTemplateSetting, IsATextOrANameOfLlamaCpp) {
  EXPECT_EQ(ChatTemplateSetting(With("")).value(), "");
  EXPECT_EQ(ChatTemplateSetting(With("llama2")).value(), "llama2");
  EXPECT_EQ(ChatTemplateSetting(With("{{ messages[0].content }}")).value(), "{{ messages[0].content }}");
  const auto unknown = ChatTemplateSetting(With("lama2"));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().field, "model.chat_template");
  EXPECT_NE(unknown.error().message.find("llama2"), std::string::npos);
}

TEST(ChatTemplateSetting, ReadsAFile) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "chat_template_setting_test.jinja";
  std::ofstream(path) << "{{ 1 }}\n";
  EXPECT_EQ(ChatTemplateSetting(With("", path)).value(), "{{ 1 }}\n");
  EXPECT_FALSE(ChatTemplateSetting(With("chatml", path)));
  std::filesystem::remove(path);
  EXPECT_EQ(ChatTemplateSetting(With("", path)).error().field, "model.chat_template_file");
  EXPECT_FALSE(ChatTemplateSetting(With("", testing::TempDir())));
}

}  // namespace
}  // namespace cllm
