#include "http/access_log.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/log.h"

namespace cllm {
namespace {

class AccessLogTest : public testing::Test {
 protected:
  AccessLogTest() {
    std::filesystem::remove(path_);
    EXPECT_TRUE(ConfigureLog({.file = path_}));
  }
  ~AccessLogTest() override {
    EXPECT_TRUE(ConfigureLog({}));
    std::filesystem::remove(path_);
  }
  // The line of the log without its time; empty where there is none.
  std::string Logged(const RequestRecord& record) {
    LogRequest(record);
    std::ifstream file(path_);
    std::string line;
    std::string last;
    while (std::getline(file, line)) last = line;
    std::filesystem::resize_file(path_, 0);
    return last.empty() ? last : last.substr(last.find("request"));
  }
  std::string path_ = testing::TempDir() + "access_log_test_" + std::to_string(getpid()) + ".log";
};

RequestRecord Record() {
  RequestRecord record;
  record.method = "POST";
  record.path = "/generate";
  record.remote = "127.0.0.1:4000";
  record.status = 200;
  record.total_s = 0.5;
  return record;
}

TEST_F(AccessLogTest, AnAnswerHasItsIdTokensAndTimings) {
  RequestRecord record = Record();
  record.id = "abc";
  record.request_id = "from a client";
  record.generation =
      GenerationEnd{.status = {}, .prompt_tokens = 5, .generated_tokens = 16, .queue_time_s = 0.001, .first_token_time_s = 0.02};
  EXPECT_EQ(Logged(record),
            "request id=abc request_id=\"from a client\" remote=127.0.0.1:4000 method=POST path=/generate status=200 outcome=finished "
            "prompt_tokens=5 "
            "generated_tokens=16 queue_ms=1.0000 first_token_ms=20.0000 total_ms=500.0000");
}

TEST_F(AccessLogTest, ARefusalHasItsCode) {
  RequestRecord record = Record();
  record.status = 429;
  record.error = ErrorCode::kQueueFull;
  EXPECT_EQ(Logged(record),
            "request remote=127.0.0.1:4000 method=POST path=/generate status=429 outcome=refused code=queue_full "
            "total_ms=500.0000");
}

TEST_F(AccessLogTest, OutcomesByError) {
  EXPECT_EQ(OutcomeName(std::nullopt), "finished");
  EXPECT_EQ(OutcomeName(ErrorCode::kCancelled), "cancelled");
  EXPECT_EQ(OutcomeName(ErrorCode::kTimedOut), "timed_out");
  EXPECT_EQ(OutcomeName(ErrorCode::kInternal), "failed");
  for (const ErrorCode code : {ErrorCode::kInvalidArgument, ErrorCode::kUnauthorized, ErrorCode::kNotFound, ErrorCode::kMethodNotAllowed,
                               ErrorCode::kTooLarge, ErrorCode::kQueueFull, ErrorCode::kUnavailable}) {
    EXPECT_EQ(OutcomeName(code), "refused");
  }
}

TEST_F(AccessLogTest, WhatClientsSendStaysOnItsLineAndShort) {
  RequestRecord record = Record();
  record.path = "/x\nrequest status=200 " + std::string(10'000, 'y');
  const std::string line = Logged(record);
  EXPECT_NE(line.find("path=\"/x\\nrequest status=200 yyy"), std::string::npos) << line;
  EXPECT_LT(line.size(), 400u);
}

TEST_F(AccessLogTest, BodiesAppearOnlyWhereGivenAndProbesNotAtAll) {
  RequestRecord record = Record();
  record.body = "{\"prompt\": \"secret\"}";
  EXPECT_NE(Logged(record).find("body=\"{\\\"prompt"), std::string::npos);
  record.body.clear();
  record.is_probe = true;
  EXPECT_EQ(Logged(record), "");
  record.error = ErrorCode::kUnavailable;
  EXPECT_NE(Logged(record), "");
}

}  // namespace
}  // namespace cllm
