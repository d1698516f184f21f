#include "http/joined_pages.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(JoinedPagesTest, AFamilyHasTheFiguresOfAllProcesses) {
  const auto page = [](int value) {
    return "# HELP a Something.\n# TYPE a counter\na " + std::to_string(value) +
           "\n# HELP b Else.\n# TYPE b gauge\nb{x=\"y z\"} 1\nb{model=\"own\"} "
           "2\n";
  };
  JoinedPages pages;
  pages.Add(page(1), "one");
  pages.Add("", "not there yet");
  pages.Add(page(2), "t\"wo");
  EXPECT_EQ(pages.Text(),
            "# HELP a Something.\n# TYPE a counter\na{model=\"one\"} "
            "1\na{model=\"t\\\"wo\"} 2\n"
            "# HELP b Else.\n# TYPE b gauge\nb{model=\"one\",x=\"y z\"} "
            "1\nb{model=\"own\"} 2\n"
            "b{model=\"t\\\"wo\",x=\"y z\"} 1\nb{model=\"own\"} 2\n");
}

}  // namespace
}  // namespace cllm
