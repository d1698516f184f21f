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

}  // namespace
}  // namespace cllm
