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
  std::set<std::string> names;
  for (const Route& route : Routes()) {
    const std::string name = EndpointNames()[static_cast<std::size_t>(&route - Routes().data())];
    EXPECT_TRUE(names.insert(name).second) << name;
    const RouteMatch match = FindRoute(route.path);
    ASSERT_NE(match.route, nullptr) << name;
    EXPECT_EQ(RouteFor(*match.route, name.substr(0, name.find(' '))), &route) << name;
    EXPECT_EQ(match.route->errors, route.errors) << "an error may come before the method is known";
    EXPECT_EQ(match.route->needs_key, route.needs_key) << name;
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

TEST(RouteTableTest, OfTwoPathsWithAParameterTheOneThatSaysMoreIsMeant) {
  EXPECT_EQ(PathOf("/v1/responses/a"), "/v1/responses/{id}");
  EXPECT_EQ(PathOf("/v1/responses/a/cancel"), "/v1/responses/{id}/cancel");
  EXPECT_EQ(FindRoute("/v1/responses/a/cancel").parameter, "a");
  EXPECT_EQ(FindRoute("/v1/responses/a%2Fb/input_items").parameter, "a/b");
  EXPECT_EQ(FindRoute("/v1/responses/cancel").parameter, "cancel");
  EXPECT_EQ(PathOf("/v1/responses//cancel"), "/v1/responses/{id}");
  EXPECT_EQ(PathOf("/v1/responses/"), "none");
}

TEST(RouteTableTest, APathAllowsTheMethodsOfItsRoutes) {
  const auto allowed = [](std::string_view path) { return AllowedMethods(*FindRoute(path).route); };
  EXPECT_EQ(allowed("/health"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(allowed("/generate"), "POST, OPTIONS");
  EXPECT_EQ(allowed("/v1/responses/a"), "GET, HEAD, DELETE, OPTIONS");
  EXPECT_EQ(AllMethods(), "GET, HEAD, POST, DELETE, OPTIONS");
  const Route& route = *FindRoute("/v1/responses/a").route;
  EXPECT_EQ(RouteFor(route, "POST"), nullptr);
  EXPECT_EQ(RouteFor(route, "HEAD"), nullptr) << "it has become GET by then";
  EXPECT_EQ(RouteFor(route, "DELETE")->method, RouteMethod::kDelete);
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
    EXPECT_EQ(route.needs_key, !route.path.ends_with("health") && !route.path.ends_with("z") && route.path != "/ping") << route.path;
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
