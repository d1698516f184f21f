#include "http/route_table.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace cllm {
namespace {

std::string_view PathOf(std::string_view asked) {
  const Route* route = FindRoute(asked).route;
  return route == nullptr ? std::string_view("none") : route->path;
}

TEST(RouteTableTest, EachRouteIsFoundAtItsPathAndIsWholeInItself) {
  std::set<std::string_view> paths;
  for (const Route& route : Routes()) {
    EXPECT_TRUE(paths.insert(route.path).second) << route.path;
    EXPECT_EQ(FindRoute(route.path).route, &route) << route.path;
    EXPECT_NE(route.answer, nullptr) << route.path;
    EXPECT_TRUE(!route.logs_itself || route.method == RouteMethod::kPost) << route.path;
  }
  EXPECT_FALSE(Routes().front().description.empty()) << "it can't be another name of the row before it";
}

TEST(RouteTableTest, EscapesAreReadAndCaseCounts) {
  EXPECT_EQ(PathOf("/%68ealth"), "/health");
  EXPECT_EQ(PathOf("/v1%2fmodels"), "/v1/models");
  for (const char* path : {"", "/Health", "/health/", "//health", "/health%", "/health%2", "/%00", "/generate/x", "health"}) {
    EXPECT_EQ(PathOf(path), "none") << path;
  }
}

TEST(RouteTableTest, AParameterIsTheRestOfThePath) {
  const auto id = [](std::string_view path) { return FindRoute(path).parameter; };
  EXPECT_EQ(PathOf("/v1/models/a"), "/v1/models/{id}");
  EXPECT_EQ(PathOf("/v1/models/"), "none");
  EXPECT_EQ(id("/v1/models/a"), "a");
  EXPECT_EQ(id("/v1/models/org/name"), "org/name");
  EXPECT_EQ(id("/models/org%2Fname%20x+y"), "org/name x+y");
  EXPECT_EQ(id("/v1/models/%E8%AF%AD"), "\xE8\xAF\xAD");
  EXPECT_EQ(id("/v1/models"), "");
}

TEST(RouteTableTest, WhereNothingIsTheErrorsAreThoseOfTheNeighbours) {
  for (const char* path : {"/v1/models", "/models", "/models/a/b", "/chat", "/chat/x", "/v1/health", "/v1", "/v1/", "/v1/nothing",
                           "/%761/nothing", "/v1/chat", "/v1/chat/completions/x"}) {
    EXPECT_EQ(ErrorFamilyOf(path), ErrorFamily::kOpenAi) << path;
  }
  for (const char* path : {"", "/", "*", "/nothing", "/v10/models", "/generate", "/generate/v1", "/x/v1/models"}) {
    EXPECT_EQ(ErrorFamilyOf(path), ErrorFamily::kCllm) << path;
  }
}

TEST(RouteTableTest, TheNearestPathEndsLikeTheAskedOneOrIsATypoAway) {
  EXPECT_EQ(NearestPath("/completions"), "/v1/completions");
  EXPECT_EQ(NearestPath("/v1/v1/chat/completions"), "/v1/chat/completions");
  EXPECT_EQ(NearestPath("/v1/generate"), "/generate");
  EXPECT_EQ(NearestPath("/generate/"), "/generate");
  EXPECT_EQ(NearestPath("/helath"), "/health");
  EXPECT_EQ(NearestPath("/Metrics"), "/metrics");
  EXPECT_EQ(NearestPath("/nothing"), "");
  EXPECT_EQ(NearestPath("/"), "");
}

TEST(RouteTableTest, TheDocsHaveEveryEndpoint) {
  const std::string markdown = EndpointsMarkdown();
  for (const std::string& name : EndpointNames()) EXPECT_NE(markdown.find("`" + name + "`"), std::string::npos) << name;
  EXPECT_EQ(EndpointNames().size(), Routes().size());
}

TEST(RouteTableTest, ProbesAloneNeedNoKey) {
  for (const Route& route : Routes())
    EXPECT_EQ(route.needs_key, !route.path.ends_with("health") && !route.path.ends_with("z")) << route.path;
}

TEST(RouteTableTest, DetailsNeedAKeyHoweverTheyAreAskedFor) {
  for (const char* open : {"/health", "/health?level=basic", "/livez", "/readyz?x=1", "/v1/health", "/h%65alth", "/health?"}) {
    EXPECT_FALSE(NeedsKey(open)) << open;
  }
  for (const char* closed :
       {"/", "/nothing", "/metrics", "/health?level=detailed", "/v1/health?a=b&level=detailed", "/health?level=%64etailed",
        "/health?level=basic&level=%64%65%74%61%69%6c%65%64", "/h%65alth?level=detailed", "/HEALTH"}) {
    EXPECT_TRUE(NeedsKey(closed)) << closed;
  }
}

}  // namespace
}  // namespace cllm
