#include "http/cors.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

namespace cllm {
namespace {

constexpr std::string_view kMethods = "POST, OPTIONS";

using Headers = std::map<std::string, std::string>;

Headers AsMap(const HeaderList& list) { return {list.begin(), list.end()}; }
Cors Make(const std::vector<std::string>& origins) {
  auto cors = Cors::Create(origins);
  EXPECT_TRUE(cors) << (cors ? "" : cors.error().message);
  return cors.value_or(Cors());
}

TEST(CorsTest, OffThereIsNoHeader) {
  EXPECT_FALSE(Make({}).enabled());
  EXPECT_TRUE(Make({}).AnswerHeaders("https://a.example").empty());
  EXPECT_TRUE(Make({}).PreflightHeaders("https://a.example", "x", kMethods).empty());
}

TEST(CorsTest, AListNamesTheOriginAndVaries) {
  const Cors cors = Make({"https://a.example", "http://localhost:3000"});
  EXPECT_TRUE(cors.enabled());
  const Headers allowed = AsMap(cors.AnswerHeaders("http://localhost:3000"));
  EXPECT_EQ(allowed.at("Access-Control-Allow-Origin"), "http://localhost:3000");
  EXPECT_EQ(allowed.at("Vary"), "Origin");
  for (const char* other :
       {"", "https://b.example", "http://a.example", "https://a.example:444", "https://a.example.evil.example", "null"}) {
    EXPECT_EQ(AsMap(cors.AnswerHeaders(other)), (Headers{{"Vary", "Origin"}})) << other;
    EXPECT_EQ(AsMap(cors.PreflightHeaders(other, "", kMethods)), (Headers{{"Vary", "Origin"}})) << other;
  }
}

TEST(CorsTest, AStarAllowsAll) {
  const Cors cors = Make({"*"});
  const Headers headers = AsMap(cors.AnswerHeaders("https://a.example"));
  EXPECT_EQ(headers.at("Access-Control-Allow-Origin"), "*");
  EXPECT_FALSE(headers.contains("Vary"));
  EXPECT_FALSE(headers.contains("Access-Control-Allow-Credentials"));
  EXPECT_TRUE(cors.AnswerHeaders("").empty());
}

TEST(CorsTest, APreflightNamesMethodsAndHeaders) {
  const Headers headers = AsMap(Make({"*"}).PreflightHeaders("https://a.example", "", kMethods));
  EXPECT_EQ(headers.at("Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(headers.at("Access-Control-Allow-Methods"), kMethods);
  EXPECT_EQ(headers.at("Access-Control-Allow-Headers"), "Authorization, Content-Type, X-Api-Key");
  EXPECT_TRUE(headers.contains("Access-Control-Max-Age"));
  const auto allowed = [](std::string_view asked) {
    return AsMap(Make({"*"}).PreflightHeaders("https://a.example", asked, kMethods)).at("Access-Control-Allow-Headers");
  };
  EXPECT_EQ(allowed("authorization, x-stainless-os"), "authorization, x-stainless-os");
  EXPECT_EQ(allowed("a\r\nb: c"), "Authorization, Content-Type, X-Api-Key") << "no header may be made of it";
}

TEST(CorsTest, WhatIsNoOriginIsAnError) {
  for (const char* wrong : {"a.example", "https://a.example/", "https://a.example/x", "https://", "://a", "HTTPS://a.example",
                            "https://A.example", "https://*.a.example", "https://a b", "", "**", "https://u@a.example"}) {
    const auto cors = Cors::Create({wrong});
    ASSERT_FALSE(cors) << wrong;
    EXPECT_EQ(cors.error().field, "http.cors_origins");
  }
}

}  // namespace
}  // namespace cllm
