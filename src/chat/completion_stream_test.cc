#include "chat/completion_stream.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

struct Outcome {
  std::string text;
  std::string error;  // of Push or Finish
  CompletionStream stream;
};

Outcome Read(std::string_view bytes, std::size_t size = std::string_view::npos) {
  Outcome outcome;
  Status status;
  while (!bytes.empty() && status) {
    status = outcome.stream.Push(bytes.substr(0, size), [&](std::string_view text) -> Status {
      outcome.text += text;
      return {};
    });
    bytes.remove_prefix(std::min(size, bytes.size()));
  }
  if (status) status = outcome.stream.Finish();
  if (!status) outcome.error = status.error().message;
  return outcome;
}

std::string Delta(const std::string& text) {
  return "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" + text + "\"},\"finish_reason\":null}]}\n\n";
}

const std::string kRole = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n";
const std::string kStop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const std::string kLength = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
const std::string kUsage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n";
const std::string kDone = "data: [DONE]\n\n";

TEST(CompletionStream, AnAnswerInAnyPieces) {
  const std::string bytes = kRole + Delta("Gr\\u00fc") + ": ping\n\n" + Delta("ße \xF0\x9F\x8C\x8D") + kStop + kUsage + kDone;
  for (const std::size_t size : {std::string::npos, std::size_t{1}, std::size_t{7}}) {
    const Outcome outcome = Read(bytes, size);
    EXPECT_EQ(outcome.text, "Grüße 🌍");
    EXPECT_EQ(outcome.error, "");
    EXPECT_TRUE(outcome.stream.done());
    EXPECT_FALSE(outcome.stream.cut());
    EXPECT_EQ(outcome.stream.prompt_tokens(), 7);
    EXPECT_EQ(outcome.stream.generated_tokens(), 3);
  }
}

TEST(CompletionStream, LengthIsACut) {
  EXPECT_TRUE(Read(Delta("a") + kLength + kDone).stream.cut());
  EXPECT_FALSE(Read(Delta("a") + kStop + kDone).stream.prompt_tokens());
}

TEST(CompletionStream, WhatComesBehindDoneDoesNotCount) { EXPECT_EQ(Read(kStop + kDone + Delta("no")).text, ""); }

TEST(CompletionStream, AnEndWithoutDoneIsFineOnceTheReasonIsThere) {
  EXPECT_EQ(Read(Delta("a") + kStop).error, "");
  EXPECT_EQ(Read(Delta("a")).error, "the server ended the connection before the answer was complete");
  EXPECT_EQ(Read("").error, "the server ended the connection before the answer was complete");
}

TEST(CompletionStream, AnErrorInTheStreamKeepsTheTextBefore) {
  const Outcome outcome = Read(Delta("so far") + "data: {\"error\":{\"message\":\"out of\\nmemory\",\"code\":500}}\n\n" + Delta("no"));
  EXPECT_EQ(outcome.text, "so far");
  EXPECT_EQ(outcome.error, "the server says: out of memory");
}

TEST(CompletionStream, WhatIsNoCompletionIsAnError) {
  for (const char* data : {"nonsense", "[]", "{}", "{\"choices\":3}", "{\"choices\":null}", "\"text\"", "{\"choices\":[{]}"}) {
    EXPECT_NE(Read(std::string("data: ") + data + "\n\n" + kDone).error.find("no chat completion"), std::string::npos) << data;
  }
  const std::string deep = "{\"choices\":" + std::string(100, '[') + std::string(100, ']') + "}";
  EXPECT_NE(Read("data: " + deep + "\n\n").error, "");
}

TEST(CompletionStream, StrangeFieldsAreNoText) {
  for (const char* data : {"{\"choices\":[3]}", "{\"choices\":[{\"delta\":3}]}", "{\"choices\":[{\"delta\":{\"content\":3}}]}",
                           "{\"choices\":[{\"finish_reason\":3}]}", "{\"choices\":[],\"usage\":{\"prompt_tokens\":-1}}",
                           "{\"choices\":[],\"usage\":{\"prompt_tokens\":1e30}}", "{\"usage\":{\"prompt_tokens\":\"7\"}}",
                           "{\"choices\":[],\"usage\":{\"prompt_tokens\":18446744073709551615}}",
                           "{\"choices\":[],\"usage\":{\"prompt_tokens\":4294967303}}", "{\"choices\":[],\"error\":null}"}) {
    const Outcome outcome = Read(std::string("data: ") + data + "\n\n" + kDone);
    EXPECT_EQ(outcome.error, "") << data;
    EXPECT_EQ(outcome.text, "");
    EXPECT_FALSE(outcome.stream.prompt_tokens());
  }
}

TEST(CompletionStream, ABodyThatIsNoStreamIsShown) {
  EXPECT_NE(Read("<html>\x1b[2J hello").error.find("<html>\\x1b[2J hello"), std::string::npos);
  EXPECT_NE(Read("{\"error\":\"no such model\"}").error.find(": no such model"), std::string::npos);
}

TEST(ServerErrorText, OfSeveralServers) {
  EXPECT_EQ(ServerErrorText("{\"error\":{\"message\":\"bad key\",\"type\":\"x\"}}"), "bad key");
  EXPECT_EQ(ServerErrorText("{\"success\":false,\"error\":{\"code\":\"x\",\"message\":\"bad key\"}}"), "bad key");
  EXPECT_EQ(ServerErrorText("{\"error\":\"bad key\"}"), "bad key");
  EXPECT_EQ(ServerErrorText("{\"detail\":\"bad key\"}"), "bad key");
  EXPECT_EQ(ServerErrorText("{\"message\":\"bad\\u001b key\"}"), "bad\\x1b key");
  EXPECT_EQ(ServerErrorText("{\"error\":{\"code\":3}}"), "{\"code\":3}");
  EXPECT_EQ(ServerErrorText(" <h1>bad\ngateway</h1>\n"), "<h1>bad gateway</h1>");
  EXPECT_EQ(ServerErrorText("{}"), "{}");
  EXPECT_EQ(ServerErrorText(""), "");
}

}  // namespace
}  // namespace cllm
