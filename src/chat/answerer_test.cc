#include "chat/answerer.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(SpeedText, HasNoRateWhereNoTimePassed) {
  EXPECT_EQ(SpeedText({.prompt_tokens = 4, .generated_tokens = 3, .prompt_s = 0.5, .answer_s = 0}),
            "prompt 4 tokens, 8.0 tokens/s; answer 3 tokens; 0.50 s");
  EXPECT_EQ(SpeedText({.prompt_tokens = 4, .generated_tokens = 1, .prompt_s = 0.5, .answer_s = 1}),
            "prompt 4 tokens, 8.0 tokens/s; answer 1 tokens; 1.50 s");
}

TEST(IsContextError, IsWhatAServerSaysOfARequest) {
  const char* text = "the context has no room";
  EXPECT_TRUE(IsContextError({.code = ErrorCode::kInvalidArgument, .message = text, .field = {}}));
  EXPECT_TRUE(IsContextError({.code = ErrorCode::kInternal, .message = text, .field = {}})) << "some servers say 500";
  EXPECT_FALSE(IsContextError({.code = ErrorCode::kInvalidArgument, .message = "the key is wrong", .field = {}}));
  EXPECT_FALSE(IsContextError({.code = ErrorCode::kUnavailable, .message = "http://host/context/v1: refused", .field = {}}));
}

}  // namespace
}  // namespace cllm
