#include "config/completion.h"

#include <gtest/gtest.h>

#include <string>

#include "config/testing_commands.h"

namespace cllm {
namespace {

// What the scripts do in a shell is tested from outside (tests/e2e/test_completion.py); here is what they must hold.
class CompletionTest : public testing::Test {
 protected:
  static bool Has(const std::string& script, const std::string& part) { return script.find(part) != std::string::npos; }
  TestingCommands commands_;
  CommandInfo root_ = commands_.Describe();
};

TEST_F(CompletionTest, Bash) {
  const std::string script = RenderBashCompletion(root_);
  EXPECT_TRUE(Has(script, "\n    -p|--port) takes=text ;;\n")) << script;
  EXPECT_TRUE(Has(script, "\n    --type) takes=words words='auto llama_cpp off' ;;\n")) << script;
  EXPECT_TRUE(Has(script, "'cllm serve'|'cllm bench'|'cllm bench engine'|'cllm completion') command+=")) << script;
  EXPECT_TRUE(Has(script, "        0) place=file place_words='tiny small' ;;\n")) << script;
  EXPECT_TRUE(Has(script, "        *) place=file place_words='' ;;\n")) << "each word of a place that is repeated";
  EXPECT_FALSE(Has(script, "probe") || Has(script, "--secret"));
}

// The table is large: commands share it.
TEST_F(CompletionTest, TheTableIsWrittenOnce) {
  for (const std::string& script : {RenderBashCompletion(root_), RenderZshCompletion(root_), RenderFishCompletion(root_)}) {
    const std::string flag = script.starts_with("#compdef") ? "--max-batch-size=" : "max-batch-size";
    const std::size_t first = script.find(flag);
    ASSERT_NE(first, std::string::npos) << script;
    // bash names it among the flags and where its value is looked at.
    const std::size_t second = script.find(flag, first + 1);
    EXPECT_TRUE(second == std::string::npos || script.find(flag, second + 1) == std::string::npos) << script;
  }
}

TEST_F(CompletionTest, ZshEscapesWhatItsSpecificationsUse) {
  const std::string script = RenderZshCompletion(root_);
  EXPECT_TRUE(Has(script, "'(--config)--config=[It'\\''s the file \\[or not\\]\\: a path]:FILE:_files'")) << script;
  EXPECT_TRUE(Has(script, "'1:MODEL:{_files; compadd -- tiny small}'")) << script;
  EXPECT_TRUE(Has(script, "'*:FILE:_files'")) << script;
  EXPECT_TRUE(Has(script, "serve) _cllm_serve && ret=0 ;;")) << script;
}

TEST_F(CompletionTest, FishKnowsTheCommandsOfEachFlag) {
  const std::string script = RenderFishCompletion(root_);
  EXPECT_TRUE(Has(script, "complete -c cllm -n '__cllm_at \"cllm serve\" \"cllm bench engine\"' -s p -l port -x -d ")) << script;
  EXPECT_TRUE(Has(script, "complete -c cllm -n '__cllm_at \"cllm serve\"' -l config -r -F -d 'It\\'s the file [or not]: a path'"))
      << script;
  EXPECT_TRUE(Has(script, " -o ngl ")) << script;
  EXPECT_TRUE(Has(script, "complete -c cllm -n '__cllm_behind any \"cllm bench engine\"' -F\n")) << script;
  EXPECT_TRUE(Has(script, "        case 'cllm serve'\n            set flags --config $__cllm_table_0\n")) << script;
  EXPECT_TRUE(Has(script, "complete -c cllm -n '__cllm_behind 0 \"cllm\"' -a serve -d 'Serve a model'")) << script;
}

}  // namespace
}  // namespace cllm
