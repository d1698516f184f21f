#include "http/openapi.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "engine/fake/fake_engine.h"
#include "http/route_table.h"
#include "service/testing_toys.h"

namespace cllm {
namespace {

class OpenApiTest : public testing::Test {
 protected:
  Json DocumentOf(bool asks_for_keys = false) const { return Json::parse(OpenApiDocument(backend_, asks_for_keys)); }

  static const Json& OperationOf(const Json& document, const Route& route) {
    std::string method(MethodName(route.method));
    for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
    return document.at("paths").at(std::string(route.path)).at(method);
  }

  static ServerFacts Facts() {
    ServerFacts facts;
    facts.version = "1.2.3";
    return facts;
  }

  ToyTextModel model_;
  FakeEngine engine_{{}};
  Service service_{model_, engine_, {}, [] {}};
  Backend backend_{service_, Facts(), RequestDefaults{}};
};

TEST_F(OpenApiTest, EachRouteIsThereAndSaysWhatItReadsAndWrites) {
  const Json document = DocumentOf();
  EXPECT_EQ(document["info"]["version"], "1.2.3");
  std::set<std::string> ids;
  std::size_t operations = 0;
  for (const auto& path : document["paths"].items()) operations += path.value().size();
  EXPECT_EQ(operations, Routes().size());
  for (const Route& route : Routes()) {
    const Json& operation = OperationOf(document, route);
    EXPECT_TRUE(ids.insert(operation["operationId"].get<std::string>()).second) << route.path;
    EXPECT_FALSE(operation["summary"].get<std::string>().empty()) << route.path;
    EXPECT_TRUE(operation["responses"].contains("400")) << route.path;
    const bool is_managed = !route.logs_itself && route.describe(backend_).answer.is_null();
    const bool never_succeeds = is_managed || route.path.ends_with("/cancel");
    EXPECT_EQ(operation["responses"].contains("200"), !never_succeeds) << route.path;
    const bool reads_nothing = never_succeeds || !route.needs_key;  // vLLM's POST /ping
    EXPECT_EQ(operation.contains("requestBody"), route.method == RouteMethod::kPost && !reads_nothing) << route.path;
    if (!route.logs_itself) continue;
    const Json& content = operation["responses"]["200"]["content"];
    EXPECT_NE(content.contains("text/event-stream"), content.contains(kLinesType)) << "a dialect that does not describe itself";
  }
}

TEST_F(OpenApiTest, EachDialectsFieldsAreThere) {
  const Json document = DocumentOf();
  for (const Route& route : Routes()) {
    if (!route.logs_itself) continue;
    const Json& body = OperationOf(document, route)["requestBody"]["content"]["application/json"]["schema"];
    const std::string name = body["$ref"].get<std::string>().substr(std::string("#/components/schemas/").size());
    Json fields = document["components"]["schemas"][name]["properties"];
    if (const auto options = fields.find("options"); options != fields.end()) {
      const Json inner = options->at("properties");  // Ollama's
      fields.update(inner);
    }
    for (const char* field : {"temperature", "stop", "seed", "stream", "timeout"}) EXPECT_TRUE(fields.contains(field)) << name << field;
  }
}

TEST_F(OpenApiTest, WhatIsReferredToIsThere) {
  const Json document = DocumentOf();
  std::size_t references = 0;
  const auto look = [&](const auto& self, const Json& value) -> void {
    if (value.is_object() && value.contains("$ref") && value["$ref"].is_string()) {
      ++references;
      const std::string pointer = value["$ref"].get<std::string>().substr(1);
      EXPECT_TRUE(document.contains(Json::json_pointer(pointer))) << pointer;
    }
    if (!value.is_structured()) return;
    for (const auto& item : value.items()) self(self, item.value());
  };
  look(look, document);
  EXPECT_GT(references, 100U);
}

TEST_F(OpenApiTest, AnAnswerLeadsToWhatCanBeAskedAboutIt) {
  const Json document = DocumentOf();
  EXPECT_EQ(document["paths"]["/v1/responses"]["post"]["responses"]["200"]["links"].size(), 4U);
  EXPECT_FALSE(document["paths"]["/generate"]["post"]["responses"]["200"].contains("links"));
}

TEST_F(OpenApiTest, WhereKeysAreAskedForEachRouteButProbesNeedsOne) {
  const Json document = DocumentOf(true);
  for (const Route& route : Routes()) {
    EXPECT_EQ(!OperationOf(document, route)["security"].empty(), route.needs_key) << route.path;
    EXPECT_TRUE(OperationOf(document, route)["responses"].contains("401")) << route.path;
  }
  EXPECT_FALSE(OperationOf(DocumentOf(false), Routes().front())["responses"].contains("401"));
}

}  // namespace
}  // namespace cllm
