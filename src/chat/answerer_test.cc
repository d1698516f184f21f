#include "chat/answerer.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(IsContextError, IsWhatAServerSaysOfARequest) {
  const char* text = "the context has no room";
  EXPECT_TRUE(IsContextError({.code = ErrorCode::kInvalidArgument, .message = text, .field = {}}));
  EXPECT_TRUE(IsContextError({.code = ErrorCode::kInternal, .message = text, .field = {}})) << "some servers say 500";
  EXPECT_FALSE(IsContextError({.code = ErrorCode::kInvalidArgument, .message = "the key is wrong", .field = {}}));
  EXPECT_FALSE(IsContextError({.code = ErrorCode::kUnavailable, .message = "http://host/context/v1: refused", .field = {}}));
}

}  // namespace
}  // namespace cllm
