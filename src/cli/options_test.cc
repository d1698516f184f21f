#include "cli/options.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <variant>

namespace cllm {
namespace {

class OptionsTest : public testing::Test {
 protected:
  OptionsTest() { DeclareOptions(options_, table_); }

  ServeOptions options_;
  OptionTable table_;
};

TEST_F(OptionsTest, EachHasAFieldOfItsOwn) {
  std::map<const void*, std::string> keys;
  for (const ConfigOption& option : table_.options()) {
    const void* field = std::visit([](auto* target) -> const void* { return target; }, option.target);
    const auto [other, is_new] = keys.emplace(field, option.key);
    EXPECT_TRUE(is_new) << option.key << " sets the field of " << other->second;
  }
}

// Where an option means the same, its flag of llama-server is a spelling of ours.
TEST_F(OptionsTest, KnowsTheFlagsOfLlamaServer) {
  for (const char* flag : {"-m",
                           "--model",
                           "-c",
                           "--ctx-size",
                           "-t",
                           "--threads",
                           "-b",
                           "--batch-size",
                           "-np",
                           "--parallel",
                           "--chat-template",
                           "--chat-template-file",
                           "-ngl",
                           "--gpu-layers",
                           "--n-gpu-layers",
                           "--mmap",
                           "--no-mmap",
                           "--mlock",
                           "-fa",
                           "--flash-attn",
                           "-sm",
                           "--split-mode",
                           "-mg",
                           "--main-gpu",
                           "-ts",
                           "--tensor-split",
                           "--rope-scaling",
                           "--rope-freq-base",
                           "--rope-freq-scale",
                           "--host",
                           "--port",
                           "--api-key",
                           "--api-key-file",
                           "--log-file"}) {
    EXPECT_NE(table_.FindFlag(flag).option, nullptr) << flag;
  }
  EXPECT_TRUE(table_.FindFlag("--no-mmap").negative);
}

}  // namespace
}  // namespace cllm
