#include "config/man_page.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "config/testing_commands.h"

namespace cllm {
namespace {

class ManPageTest : public testing::Test {
 protected:
  bool Has(const std::string& part) const { return page_.find(part) != std::string::npos; }

  TestingCommands commands_;
  std::string page_ = RenderManPage(commands_.Describe(), "1.2.3", "does - things");
};

TEST_F(ManPageTest, HasTheSectionsOfAPage) {
  EXPECT_TRUE(page_.starts_with(".TH CLLM 1 \"\" \"cllm 1.2.3\"")) << page_;
  for (const char* section : {"NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "SETTINGS", "FILES", "ENVIRONMENT", "EXIT STATUS"}) {
    EXPECT_TRUE(Has(std::string(".SH ") + section + "\n")) << section;
  }
  EXPECT_TRUE(Has(".SH NAME\ncllm \\- does \\- things\n"));
}

TEST_F(ManPageTest, CommandsWithTheirFlagsAndPlaces) {
  EXPECT_TRUE(Has(".SS \\fBcllm serve\\fR [\\fIOPTION\\fR]... [\\fIMODEL\\fR]\n")) << page_;
  EXPECT_TRUE(Has(".SS \\fBcllm bench engine\\fR [\\fIOPTION\\fR]... [\\fIFILE\\fR]...\n")) << page_;
  EXPECT_TRUE(Has(".SS \\fBcllm completion\\fR [\\fIOPTION\\fR]... \\fISHELL\\fR\n")) << page_;
  EXPECT_TRUE(Has(".TP\n\\fB\\-\\-config\\fR \\fIFILE\\fR\nIt\\(aqs the file [or not]: a path.\n")) << page_;
  EXPECT_FALSE(Has("probe") || Has("secret"));
}

TEST_F(ManPageTest, SaysWhatCtrlCReturns) { EXPECT_TRUE(Has(".TP\n\\fB130\\fR\nCtrl\\-C ended a pull or \\fBcllm run\\fR.\n")) << page_; }

TEST_F(ManPageTest, EachSettingOnce) {
  const std::string port =
      "\\fB\\-p\\fR, \\fB\\-\\-port\\fR \\fIN\\fR\nPort to listen on.\n\\fBserver.port\\fR: integer from 0 to 65535; default: 8080.\n";
  EXPECT_TRUE(Has(port)) << page_;
  EXPECT_EQ(page_.find(port, page_.find(port) + 1), std::string::npos);
  EXPECT_TRUE(Has("\\fB\\-\\-no\\-use\\-mmap\\fR"));
}

// A line that begins with a dot is a request to roff.
TEST_F(ManPageTest, NoTextBecomesARequest) {
  EXPECT_TRUE(Has("\\fB\\-\\-json\\fR\n\\&.json, not a table.\n")) << page_;
  std::istringstream lines(page_);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_FALSE(line.empty());
    EXPECT_FALSE(line.starts_with('\'')) << line;
    if (line.starts_with('.')) {
      EXPECT_TRUE(line.starts_with(".TH") || line.starts_with(".SH") || line.starts_with(".SS") || line.starts_with(".TP") ||
                  line.starts_with(".PP") || line.starts_with(".nf") || line.starts_with(".fi") || line == ".nh" || line == ".ad l")
          << line;
    }
  }
}

}  // namespace
}  // namespace cllm
