#include "hub/hugging_face.h"

#include <gtest/gtest.h>

#include "hub/testing_hub.h"

namespace cllm {
namespace {

TEST(HuggingFace, Tree) {
  const std::string sum(64, 'a');
  const auto files = ParseRepoTree(R"([{"type":"directory","path":"x"},
      {"type":"file","path":"x/m.gguf","size":7,"oid":"b","lfs":{"oid":")" +
                                   sum + R"(","size":7}},
      {"type":"file","path":"README.md","size":-1,"lfs":{"oid":"short"}}, 3, {"type":"file"}])");
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 3U);
  EXPECT_EQ((*files)[0].path, "x/m.gguf");
  EXPECT_EQ((*files)[0].size, 7);
  EXPECT_EQ((*files)[0].sha256, sum);
  EXPECT_EQ((*files)[1].size, -1);
  EXPECT_EQ((*files)[1].sha256, "");
}

TEST(HuggingFace, OtherAnswersAreErrors) {
  for (const char* text : {"", "<html>", "{}", "null", "[", "\xff"}) EXPECT_FALSE(ParseRepoTree(text)) << text;
}

TEST(HuggingFace, NextPages) {
  EXPECT_EQ(NextPage(R"(<https://h/a?cursor=x%3D>; rel="next")"), "https://h/a?cursor=x%3D");
  EXPECT_EQ(NextPage(R"(<https://h/first>; rel="first", <https://h/2>; rel=next)"), "https://h/2");
  for (const char* link : {"", "<", "<https://h/a", "https://h/a; rel=\"next\"", R"(<https://h/a>; rel="prev")", ">;rel=next<"}) {
    EXPECT_EQ(NextPage(link), "") << link;
  }
}

TEST(HuggingFace, PagesAreFollowedAsRedirectsAre) {
  const auto list = [](const std::string& next) {
    TestingTransport transport([&](const HttpRequest& request) -> TestingAnswer {
      if (!request.url.text.ends_with("/main?recursive=true")) return {.body = R"([{"type":"file","path":"m.gguf"}])"};
      return {.headers = {{"link", "<" + next + ">; rel=\"next\""}}, .body = "[]"};
    });
    TestingPatience patience;
    TestingObserver observer;
    Downloader downloader(transport, patience, observer, {});
    const auto files = HuggingFace::Create("https://h", "hf_abc")->List(downloader, "o/r", false);
    if (!files) return std::pair(files.error().message, std::string());
    return std::pair(files->at(0).path, RequestHeader(transport.requests.back(), "Authorization"));
  };
  EXPECT_EQ(list("https://h/2"), std::pair(std::string("m.gguf"), std::string("Bearer hf_abc")));
  EXPECT_EQ(list("/2"), list("https://h/2")) << "relative";
  EXPECT_EQ(list("https://elsewhere/2").second, "") << "nobody else hears the token";
  EXPECT_NE(list("http://h/2").first.find("without https"), std::string::npos);
  EXPECT_NE(list("https://h/api/models/o/r/tree/main?recursive=true").first.find("does not end"), std::string::npos);
}

TEST(HuggingFace, EndpointsAndTokens) {
  EXPECT_TRUE(HuggingFace::Create("https://mirror/hf/", "hf_abc"));
  EXPECT_FALSE(HuggingFace::Create("mirror", ""));
  EXPECT_FALSE(HuggingFace::Create("https://mirror/?x", ""));
  EXPECT_FALSE(HuggingFace::Create("https://mirror", "hf_abc\r\nX: y"));
  const auto hub = HuggingFace::Create("https://mirror/hf//", "hf_abc");
  EXPECT_EQ(hub->FileUrl("o/r", "a/m+1.gguf")->text, "https://mirror/hf/o/r/resolve/main/a/m%2B1.gguf");
  EXPECT_EQ(hub->TokenFor(*ParseUrl("https://mirror/x")), "hf_abc");
  EXPECT_EQ(hub->TokenFor(*ParseUrl("https://other/x")), "");
  EXPECT_EQ(hub->TokenFor(*ParseUrl("http://mirror/x")), "");
}

TEST(HuggingFace, ListAsksWithTheToken) {
  const auto hub = HuggingFace::Create("https://mirror", "hf_abc");
  TestingTransport transport([](const HttpRequest&) -> TestingAnswer { return {.body = "[]"}; });
  TestingPatience patience;
  TestingObserver observer;
  Downloader downloader(transport, patience, observer, {});
  ASSERT_TRUE(hub->List(downloader, "o/r", true));
  EXPECT_EQ(transport.requests[0].url.text, "https://mirror/api/models/o/r/tree/main?recursive=true");
  EXPECT_EQ(RequestHeader(transport.requests[0], "Authorization"), "Bearer hf_abc");
}

TEST(HuggingFace, RefusalsSayWhatToDo) {
  const auto without = HuggingFace::Create("https://mirror", "");
  const auto with = HuggingFace::Create("https://mirror", "hf_abc");
  const auto message = [](const HuggingFace& hub, int status) {
    return hub.Explain({.error = {ErrorCode::kUnavailable, "X answered", {}}, .http_status = status}, "o/r").message;
  };
  for (const int status : {401, 403}) {
    EXPECT_NE(message(*without, status).find("accept its terms at https://mirror/o/r, make a token there and set HF_TOKEN"),
              std::string::npos);
    EXPECT_NE(message(*with, status).find("HF_TOKEN is set, but gives no access"), std::string::npos);
    EXPECT_EQ(message(*with, status).find("hf_abc"), std::string::npos);
  }
  EXPECT_NE(message(*with, 404).find("Is hf:o/r spelt right?"), std::string::npos);
  EXPECT_EQ(message(*with, 500), "X answered");
}

}  // namespace
}  // namespace cllm
