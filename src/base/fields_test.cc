#include "base/fields.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

struct None {};
struct Plain {
  int a;
  double b = 2;
};
struct Nested {
  Plain plain;
  std::vector<std::pair<int, float>> pairs = {};
  std::string text;
  std::shared_ptr<int> pointer;
  std::chrono::steady_clock::time_point time;
};

static_assert(FieldCount<None>() == 0);
static_assert(FieldCount<Plain>() == 2);
static_assert(FieldCount<Nested>() == 5);

TEST(FieldsTest, AreCountedWhileItIsCompiled) { EXPECT_EQ(FieldCount<Nested>(), 5U); }

}  // namespace
}  // namespace cllm
