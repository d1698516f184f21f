#include "schema/schema_check.h"

#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "schema/keyword_table.h"
#include "schema/schema_validator.h"

namespace cllm {
namespace {

std::string Enforced(std::string_view schema) {
  const auto checked = CheckSchema(Json::parse(schema), SchemaMode::kStrict);
  return checked ? checked->enforced.dump() : "error: " + checked.error().message;
}

struct Relaxed {
  std::string enforced;
  std::vector<std::string> pointers;
  bool operator==(const Relaxed&) const = default;
};
void PrintTo(const Relaxed& relaxed, std::ostream* out) {
  *out << relaxed.enforced;
  for (const std::string& pointer : relaxed.pointers) *out << " " << pointer;
}

Relaxed RelaxedOf(std::string_view schema) {
  const auto checked = CheckSchema(Json::parse(schema), SchemaMode::kRelaxed);
  if (!checked) return {"error: " + checked.error().message, {}};
  return {checked->enforced.dump(), checked->relaxed_pointers};
}

TEST(SchemaCheckTest, WhatIsEnforcedStaysAsItIs) {
  for (
      const char* schema :
      {R"({"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"}},"required":["a","b"],"additionalProperties":false})",
       R"({"type":"object","additionalProperties":{"type":"null"}})",
       R"({"type":"object","patternProperties":{"^x[0-9]{1,3}$":{"type":"boolean"}},"additionalProperties":false})",
       R"({"type":"object","properties":{"a":true},"additionalProperties":false,"maxProperties":1})",
       R"({"type":"array","items":{"type":"string"},"minItems":1,"maxItems":3})",
       R"({"type":"array","prefixItems":[{"type":"string"},{"type":"null"}],"items":false,"minItems":2})",
       R"({"type":"string","minLength":1,"maxLength":5})", R"({"type":"string","pattern":"^[a-z]+(?:-\\d{2})?$"})",
       R"({"type":"string","format":"uuid"})", R"({"type":"integer","minimum":-3,"maximum":9,"multipleOf":3})",
       R"({"type":"integer","multipleOf":7})", R"({"type":"number","exclusiveMinimum":0.25,"maximum":1000000})",
       R"({"anyOf":[{"type":"string"},{"type":"null"}]})", R"({"enum":["a",1,null]})", R"({"const":{"a":[1]}})",
       R"({"type":"object","properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}}})", "true"}) {
    EXPECT_EQ(Enforced(schema), schema);
  }
}

TEST(SchemaCheckTest, AnnotationsAreDropped) {
  Json schema = {{"type", "string"}};
  for (const SchemaKeyword& keyword : SchemaKeywords()) {
    if (keyword.generated == Generated::kAnnotation) schema[std::string(keyword.name)] = "x";
  }
  EXPECT_GT(schema.size(), 15U);
  EXPECT_EQ(Enforced(schema.dump()), R"({"type":"string"})");
  EXPECT_EQ(Enforced(R"({"type":"object","properties":{"title":{"title":"t","type":"null"}}})"),
            R"({"type":"object","properties":{"title":{"type":"null"}}})");
}

TEST(SchemaCheckTest, EachKeywordThatIsNotEnforcedIsNamed) {
  int count = 0;
  for (const SchemaKeyword& keyword : SchemaKeywords()) {
    if (keyword.generated != Generated::kNo) continue;
    ++count;
    const std::string name(keyword.name);
    const Json schema = {{"type", "object"}, {"properties", {{"a/b", {{name, true}}}}}};
    EXPECT_EQ(Enforced(schema.dump()), "error: /properties/a~1b: '" + name + "' is not enforced");
    EXPECT_EQ(RelaxedOf(schema.dump()), (Relaxed{R"({"type":"object","properties":{"a/b":true}})", {"/properties/a~1b/" + name}}));
  }
  EXPECT_GT(count, 15);
  EXPECT_EQ(Enforced(R"({"tpye":"object"})"), "error: the schema: 'tpye' is no keyword that is known");
  EXPECT_EQ(Enforced(R"({"nullable":false,"uniqueItems":false})"), "true");
}

TEST(SchemaCheckTest, KeywordsOfOtherTypesHaveNoEffect) {
  EXPECT_EQ(Enforced(R"({"type":"string","uniqueItems":true,"properties":{"a":{"not":1}},"minimum":1})"), R"({"type":"string"})");
  EXPECT_EQ(Enforced(R"({"type":["string","null"],"minLength":1,"maximum":2})"),
            R"({"anyOf":[{"type":"string","minLength":1},{"type":"null"}]})");
}

TEST(SchemaCheckTest, KeywordsTellAMissingType) {
  EXPECT_EQ(Enforced(R"({"properties":{"a":{"minLength":2}}})"), R"({"type":"object","properties":{"a":{"type":"string","minLength":2}}})");
  EXPECT_EQ(Enforced(R"({"items":{"minimum":1}})"), R"({"type":"array","items":{"type":"number","minimum":1}})");
}

struct Combination {
  const char* schema;
  const char* pointer;  // what is relaxed
  const char* enforced;
};

TEST(SchemaCheckTest, WhatTheCompilerDropsInCombinationIsFound) {
  for (const auto& [schema, pointer, enforced] : std::vector<Combination>{
           {R"({"type":"string","pattern":"^a+$","minLength":2})", "/minLength", R"({"type":"string","pattern":"^a+$"})"},
           {R"({"type":"string","format":"uri","maxLength":2})", "/maxLength", R"({"type":"string","format":"uri"})"},
           {R"({"type":"string","format":"uri","pattern":"a"})", "/pattern", R"({"type":"string","format":"uri"})"},
           {R"({"type":"string","format":"iri"})", "/format", R"({"type":"string"})"},
           {R"({"type":"number","multipleOf":0.5})", "/multipleOf", R"({"type":"number"})"},
           {R"({"type":"number","minimum":0.0000001})", "/minimum", R"({"type":"number"})"},
           {R"({"type":"integer","multipleOf":2000})", "/multipleOf", R"({"type":"integer"})"},
           {R"({"type":"integer","multipleOf":2,"minimum":0})", "/multipleOf", R"({"type":"integer","minimum":0})"},
           {R"({"type":"integer","multipleOf":2,"minimum":0,"maximum":10000})", "/multipleOf",
            R"({"type":"integer","minimum":0,"maximum":10000})"},
           {R"({"type":"integer","maximum":1e17})", "/maximum", R"({"type":"integer"})"},
           {R"({"type":"object","minProperties":2})", "/minProperties", R"({"type":"object"})"},
           {R"({"type":"object","properties":{"a":true},"patternProperties":{"b":true},"additionalProperties":false})",
            "/patternProperties", R"({"type":"object","properties":{"a":true}})"},
           {R"({"type":"object","patternProperties":{"a":true,"b":true}})", "/patternProperties", R"({"type":"object"})"},
           {R"({"type":"object","patternProperties":{"a":true},"required":["a"]})", "/patternProperties",
            R"({"type":"object","properties":{"a":true},"required":["a"]})"},
           {R"({"type":"object","properties":{"a":false}})", "/properties/a", R"({"type":"object","properties":{"a":true}})"},
           {R"({"type":"array","maxItems":1000001})", "/maxItems", R"({"type":"array"})"},
           {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "/oneOf", R"({"anyOf":[{"type":"integer"},{"type":"number"}]})"},
           {R"({"allOf":[{"type":"string","pattern":"a"},{"pattern":"b"}]})", "/allOf/1/pattern", R"({"type":"string","pattern":"a"})"},
           {R"({"enum":[1,18446744073709551615]})", "/enum", "true"}}) {
    const std::string strict = Enforced(schema);
    const std::string keyword = std::string(pointer).substr(std::string(pointer).rfind('/') + 1);
    EXPECT_TRUE(strict.starts_with("error: ")) << schema << " " << strict;
    EXPECT_TRUE(strict.find("'" + keyword + "'") != std::string::npos || strict.find("/properties/a: 'false'") != std::string::npos)
        << strict;
    EXPECT_EQ(RelaxedOf(schema), (Relaxed{enforced, {pointer}})) << schema;
  }
}

TEST(SchemaCheckTest, PatternsThatAGrammarReadsDifferentlyAreFound) {
  for (const char* pattern : {"a^b",    "a$b",    "(^a)", "\\\\", "\"",  "ä",   "a*?",     "(?=a)",     "(?<n>a)", "\\bx",
                              "\\p{L}", "(a)\\1", "[^]",  "[]",   "[[]", "\\n", "\\u0041", "[^\\D\\d]", "a{1001}", "(?:a{100}){100}",
                              "(",      "a)",     "[a",   "a{2",  "}",   "\\"}) {
    const Json schema = {{"type", "string"}, {"pattern", pattern}};
    EXPECT_TRUE(Enforced(schema.dump()).starts_with("error: the schema: 'pattern' is not enforced")) << pattern << Enforced(schema.dump());
  }
  for (const char* pattern :
       {"^a$", "", "^(a|b)+$", "[^a-z]", "\\.\\-\\/", "^[\\w.-]{1,64}@x$", "\\S+", "a|b", "(?:ab){3}", ".*", "x?", "[0-9]{4}-[0-9]{2}"}) {
    const Json schema = {{"type", "string"}, {"pattern", pattern}};
    EXPECT_EQ(Enforced(schema.dump()), schema.dump());
  }
  const Json longest = {{"pattern", std::string(1001, 'a')}};
  EXPECT_EQ(Enforced(longest.dump()), "error: the schema: 'pattern' is not enforced: the pattern is longer than 1000 bytes");
}

TEST(SchemaCheckTest, WhatTheCompilerCannotSayIsSaidInAnotherWay) {
  for (
      const auto& [schema, enforced] : std::vector<std::pair<const char*, const char*>>{
          // Required names are looked for among the properties only.
          {R"({"type":"object","properties":{"a":true},"required":["b"],"additionalProperties":{"type":"null"}})",
           R"({"type":"object","properties":{"a":true,"b":{"type":"null"}},"required":["b"],"additionalProperties":{"type":"null"}})"},
          {R"({"type":"object","properties":{"a":false,"b":true},"additionalProperties":false})",
           R"({"type":"object","properties":{"b":true},"additionalProperties":false})"},
          {R"({"type":"array","prefixItems":[true,{"type":"null"}],"maxItems":1})", R"({"type":"array","prefixItems":[{}],"items":false})"},
          {R"({"type":"integer","minimum":0.5,"exclusiveMaximum":3})", R"({"type":"integer","minimum":1,"maximum":2})"},
          {R"({"type":"string","minLength":2.0})", R"({"type":"string","minLength":2})"},
          {R"({"type":"string","enum":["a",1,"bc"],"maxLength":1})", R"({"enum":["a"]})"},
          {R"({"const":3,"enum":[1,3.0]})", R"({"const":3})"},
          {R"({"type":"string","anyOf":[{"minLength":3},{"type":"null"},{"const":"x"}]})",
           R"({"anyOf":[{"type":"string","minLength":3},{"const":"x"}]})"},
          {R"({"oneOf":[{"const":"a","title":"A"},{"const":"b"}]})", R"({"anyOf":[{"const":"a"},{"const":"b"}]})"},
          {R"({"oneOf":[{"type":"string"},{"enum":[1,2]},{"type":["null","boolean"]}]})",
           R"({"anyOf":[{"type":"string"},{"enum":[1,2]},{"anyOf":[{"type":"boolean"},{"type":"null"}]}]})"},
          {R"({"allOf":[{"$ref":"#/definitions/x"}],"definitions":{"x":{"type":"null"}}})",
           R"({"$ref":"#/$defs/x","$defs":{"x":{"type":"null"}}})"},
          {R"({"allOf":[{"type":["integer","string"]},{"type":"number","minimum":1}],"minimum":2})", R"({"type":"integer","minimum":2})"},
          {R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"allOf":[{"properties":{"a":{"maxLength":3},"b":true},"required":["b"]}]})",
           R"({"type":"object","properties":{"a":{"type":"string","maxLength":3},"b":true},"required":["a","b"],"additionalProperties":true})"},
          {R"({"allOf":[{"properties":{"a":true},"additionalProperties":false},{"properties":{"a":{"type":"null"},"b":true}}]})",
           R"({"type":"object","properties":{"a":{"type":"null"}},"additionalProperties":false})"},
          {R"({"$ref":"#/$defs/x","minLength":2,"$defs":{"x":{"type":"string"}}})", R"({"type":"string","minLength":2})"}}) {
    EXPECT_EQ(Enforced(schema), enforced) << schema;
  }
}

TEST(SchemaCheckTest, ADiscriminatorTellsObjectsApart) {
  const char* schema =
      R"({"oneOf":[{"$ref":"#/$defs/cat"},{"$ref":"#/$defs/dog"},{"type":"null"}],"discriminator":{"propertyName":"kind"},"$defs":{
    "cat":{"type":"object","properties":{"kind":{"const":"cat"}},"required":["kind"]},
    "dog":{"type":"object","properties":{"kind":{"enum":["dog","wolf"]},"name":{"const":1}},"required":["kind","name"]}}})";
  EXPECT_EQ(Json::parse(Enforced(schema))["anyOf"].dump(), R"([{"$ref":"#/$defs/cat"},{"$ref":"#/$defs/dog"},{"type":"null"}])");
  Json same = Json::parse(schema);
  same["$defs"]["dog"]["properties"]["kind"]["enum"][1] = "cat";
  EXPECT_TRUE(Enforced(same.dump()).starts_with("error: the schema: 'oneOf' is enforced only where")) << Enforced(same.dump());
  Json optional = Json::parse(schema);
  optional["$defs"]["dog"]["required"] = {"name"};
  EXPECT_TRUE(Enforced(optional.dump()).starts_with("error: the schema: 'oneOf'"));
}

TEST(SchemaCheckTest, ReferencesAreFollowed) {
  EXPECT_EQ(Enforced(R"({"properties":{"a":{"$ref":"#/x/y%20z/0"},"b":{"$ref":"#/$defs/a~1b"}},"x":1,"$defs":{"a/b":{"type":"null"}}})")
                .substr(0, 6),
            "error:")
      << "an unknown keyword isn't reachable by being referred to";
  EXPECT_EQ(
      Enforced(
          R"({"properties":{"a":{"$ref":"#/$defs/a%7E1b"},"b":{"$ref":"#/properties/a"}},"$defs":{"a/b":{"type":"null"},"unused":{"not":1}}})"),
      R"({"type":"object","properties":{"a":{"$ref":"#/$defs/d"},"b":{"$ref":"#/$defs/a"}},"$defs":{"d":{"type":"null"},"a":{"$ref":"#/$defs/d"}}})");
  for (const char* schema : {R"({"$ref":"#/$defs/x"})", R"({"$ref":"http://a/b"})", R"({"$ref":"#name"})", R"({"$ref":1})",
                             R"({"$ref":"#/$defs/x","$defs":{"x":1}})"}) {
    EXPECT_TRUE(Enforced(schema).starts_with("error: ")) << schema;
    EXPECT_TRUE(RelaxedOf(schema).enforced.starts_with("error: ")) << schema;
  }
}

TEST(SchemaCheckTest, WhatOnlyALeftOutBranchRefersToDoesNoHarm) {
  EXPECT_EQ(
      Enforced(R"({"anyOf":[{"properties":{"a":{"$ref":"#/$defs/x"},"b":false},"required":["b"]},true],"$defs":{"x":{"type":"null"}}})"),
      "true");
}

TEST(SchemaCheckTest, ALargeSchemaWithoutMergingIsNotTooLarge) {
  Json schema = {{"enum", {std::string(300'000, 'x')}}};
  for (int i = 0; i < 40; ++i) schema = {{"type", "object"}, {"properties", {{"a", std::move(schema)}}}};
  EXPECT_TRUE(CheckSchema(schema, SchemaMode::kStrict));
}

TEST(SchemaCheckTest, ACycleThatConsumesNothingIsAnError) {
  for (const char* schema :
       {R"({"$ref":"#"})", R"({"anyOf":[{"type":"null"},{"$ref":"#"}]})",
        R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}})",
        R"({"type":"object","properties":{"x":{"$ref":"#/$defs/a"}},"$defs":{"a":{"oneOf":[{"const":1},{"$ref":"#/$defs/a"}]}}})",
        R"({"allOf":[{"$ref":"#"},{"type":"object"}]})"}) {
    EXPECT_TRUE(RelaxedOf(schema).enforced.starts_with("error: ")) << schema << RelaxedOf(schema).enforced;
  }
}

TEST(SchemaCheckTest, ASchemaWhoseValuesNeverEndIsAnError) {
  for (
      const char* schema :
      {R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})", R"({"type":"array","items":{"$ref":"#"},"minItems":1})",
       R"({"type":"array","prefixItems":[{"$ref":"#"}],"minItems":1})",
       R"({"anyOf":[{"type":"null"},{"$ref":"#/$defs/a"}],"$defs":{"a":{"type":"object","properties":{"b":{"$ref":"#/$defs/b"}},"required":["b"]},
            "b":{"type":"array","items":{"$ref":"#/$defs/a"},"minItems":2}}})"}) {
    const std::string message = RelaxedOf(schema).enforced;
    EXPECT_NE(message.find("has no value that fits it: each would have to hold another one"), std::string::npos) << schema << message;
  }
  for (const char* schema : {R"({"type":"object","properties":{"a":{"$ref":"#"}}})", R"({"type":"array","items":{"$ref":"#"}})",
                             R"({"type":"object","properties":{"a":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["a"]})",
                             R"({"type":"array","prefixItems":[{"type":"null"},{"$ref":"#"}],"minItems":1})",
                             R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/c"},"c":{"type":"null"}}})"}) {
    EXPECT_FALSE(Enforced(schema).starts_with("error")) << Enforced(schema);
  }
}

TEST(SchemaCheckTest, WhatNoValueFitsIsAnError) {
  for (const char* schema :
       {"false", R"({"type":"integer","minimum":3,"maximum":2})", R"({"type":"number","exclusiveMinimum":1,"exclusiveMaximum":1.000001})",
        R"({"type":"string","minLength":2,"maxLength":1})", R"({"type":"string","enum":[1]})", R"({"enum":[]})",
        R"({"type":"array","items":false,"minItems":1})", R"({"type":"object","properties":{"a":false},"required":["a"]})",
        R"({"type":"object","additionalProperties":false,"required":["a"]})", R"({"type":"object","maxProperties":0,"required":["a"]})",
        R"({"type":"integer","multipleOf":10,"minimum":1,"maximum":9})", R"({"allOf":[{"type":"string"},{"type":"null"}]})",
        R"({"anyOf":[false,false]})", R"({"type":"object","additionalProperties":false,"properties":{"a":true},"minProperties":2})"}) {
    EXPECT_EQ(Enforced(schema), "error: the schema: 'schema' has no value that fits it") << schema;
  }
  EXPECT_EQ(Enforced(R"({"anyOf":[false,{"type":"null"}]})"), R"({"type":"null"})");
}

TEST(SchemaCheckTest, MalformedKeywordsAreErrorsInBothModes) {
  for (const char* schema :
       {"1", R"({"type":"text"})", R"({"type":"string","minLength":"1"})", R"({"type":"string","pattern":1})",
        R"({"type":"string","format":1})", R"({"type":"object","properties":[]})", R"({"type":"object","required":"a"})",
        R"({"type":"object","required":[1]})", R"({"type":"array","items":[1]})", R"({"type":"array","prefixItems":{}})", R"({"anyOf":[]})",
        R"({"oneOf":1})", R"({"allOf":1})", R"({"enum":1})", R"({"type":"integer","minimum":"1"})", R"({"type":"integer","multipleOf":0})",
        R"({"type":"number","maximum":null})"}) {
    EXPECT_TRUE(RelaxedOf(schema).enforced.starts_with("error: ")) << schema << RelaxedOf(schema).enforced;
  }
}

TEST(SchemaCheckTest, TheBoundsHaveMessages) {
  const auto message = [](const Json& schema) {
    const auto checked = CheckSchema(schema, SchemaMode::kRelaxed);
    return checked ? "" : checked.error().message;
  };
  Json deep = {{"type", "null"}};
  for (int i = 0; i < 65; ++i) deep = {{"type", "array"}, {"items", std::move(deep)}};
  EXPECT_NE(message(deep).find("is nested more than 64 deep"), std::string::npos) << message(deep);
  Json values = Json::array();
  for (int i = 0; i < 2'001; ++i) values.push_back(i);
  EXPECT_EQ(message({{"enum", values}}), "the schema: 'enum' has more than 2000 values");
  Json many = Json::array();
  for (int i = 0; i < 10'001; ++i) many.push_back(true);
  EXPECT_NE(message({{"anyOf", many}}).find("more than 10000"), std::string::npos) << message({{"anyOf", many}});
  EXPECT_EQ(message({{"const", std::string(2 << 20, 'x')}}), "the schema: 'schema' is larger than 1048576 bytes");
}

TEST(SchemaCheckTest, SchemasThatGrowWhileMergedEnd) {
  // Merging these two schemas asks for merging them again in each property.
  const auto merged = CheckSchema(Json::parse(R"({"$ref":"#/$defs/a","type":"object","$defs":{
    "a":{"allOf":[{"$ref":"#/$defs/b"},{"type":"object","properties":{"l":{"$ref":"#/$defs/a"},"r":{"$ref":"#/$defs/a"}}}]},
    "b":{"type":"object","properties":{"l":{"$ref":"#/$defs/b"},"r":{"$ref":"#/$defs/b"}}}}})"),
                                  SchemaMode::kStrict);
  ASSERT_FALSE(merged);
  EXPECT_TRUE(merged.error().message.find("more than") != std::string::npos ||
              merged.error().message.find("too large") != std::string::npos)
      << merged.error().message;
  Json wide = Json::array();
  for (int i = 0; i < 9'000; ++i) wide.push_back({{"maxLength", i}});
  const Json beside = {{"type", "string"}, {"anyOf", wide}, {"pattern", std::string(900, 'a')}};
  EXPECT_FALSE(CheckSchema(beside, SchemaMode::kRelaxed));
}

TEST(SchemaCheckTest, StopEndsIt) {
  Json many = Json::array();
  for (int i = 0; i < 500; ++i) many.push_back({{"const", i}});
  const StopCheck stop = [] { return Status(Fail(ErrorCode::kCancelled, "the client left")); };
  EXPECT_EQ(CheckSchema({{"anyOf", many}}, SchemaMode::kStrict, stop).error().code, ErrorCode::kCancelled);
}

// Schemas and values by chance.
class RandomJson {
 public:
  explicit RandomJson(std::uint64_t seed) : rng_(seed) {}

  Json Schema(int depth) {
    Json schema = Json::object();
    const std::size_t keywords = Below(4);
    for (std::size_t i = 0; i <= keywords; ++i) AddKeyword(schema, depth);
    return schema;
  }

  Json Value(int depth) {
    switch (Below(depth > 0 ? 7 : 5)) {
      case 0:
        return nullptr;
      case 1:
        return Below(2) == 0;
      case 2:
        return static_cast<std::int64_t>(Below(6)) - 2;
      case 3:
        return 0.5 * static_cast<double>(Below(8));
      case 4:
        return std::string(Below(4), "ab"[Below(2)]);
      case 5: {
        Json list = Json::array();
        for (std::size_t i = Below(4); i > 0; --i) list.push_back(Value(depth - 1));
        return list;
      }
      default: {
        Json object = Json::object();
        for (std::size_t i = Below(4); i > 0; --i) object[Name()] = Value(depth - 1);
        return object;
      }
    }
  }

 private:
  std::size_t Below(std::size_t end) { return static_cast<std::size_t>(rng_() % end); }
  std::string Name() { return std::string(1, static_cast<char>('a' + Below(3))); }
  Json Below1(int depth) { return depth > 0 ? Schema(depth - 1) : Json(Below(4) != 0); }
  Json List(int depth) {
    Json list = Json::array();
    for (std::size_t i = 0; i < 2; ++i) list.push_back(Below1(depth));
    return list;
  }

  void AddKeyword(Json& schema, int depth) {
    static constexpr const char* kTypes[] = {"object", "array", "string", "number", "integer", "null", "boolean"};
    static constexpr const char* kBounds[] = {"minLength",     "maxLength", "minItems", "maxItems",         "minProperties",
                                              "maxProperties", "minimum",   "maximum",  "exclusiveMinimum", "exclusiveMaximum"};
    switch (Below(14)) {
      case 0:
      case 1:
        schema["type"] = kTypes[Below(7)];
        break;
      case 2:
        schema["type"] = {kTypes[Below(7)], kTypes[Below(7)]};
        break;
      case 3:
      case 4:
        schema[kBounds[Below(10)]] = Below(3);
        break;
      case 5:
        schema["enum"] = {Value(1), Value(1), Value(0)};
        break;
      case 6:
        schema["properties"][Name()] = Below1(depth);
        break;
      case 7:
        schema["properties"] = {{"a", Below1(depth)}, {"b", Below1(depth)}};
        break;
      case 8:
        schema["required"] = {Name()};
        break;
      case 9:
        schema["additionalProperties"] = Below1(depth);
        break;
      case 10:
        schema[Below(2) == 0 ? "items" : "additionalProperties"] = Below1(depth);
        break;
      case 11:
        schema["prefixItems"] = List(depth);
        break;
      case 12:
        schema[Below(2) == 0 ? "anyOf" : "oneOf"] = List(depth);
        break;
      default:
        schema["allOf"] = List(depth);
        break;
    }
  }

  std::mt19937_64 rng_;
};

// The check and the validator know nothing of each other; what fits the enforced schema has to fit the one that was asked for.
TEST(SchemaCheckTest, WhatFitsTheEnforcedSchemaFitsTheSchema) {
  int accepted = 0;
  int fitting = 0;
  for (std::uint64_t seed = 1; seed <= 6000; ++seed) {
    RandomJson random(seed);
    const Json schema = random.Schema(2);
    const auto checked = CheckSchema(schema, SchemaMode::kStrict);
    const auto asked = SchemaValidator::Compile(schema);
    ASSERT_TRUE(asked) << schema << asked.error().message;
    if (!checked) continue;
    ++accepted;
    const auto enforced = SchemaValidator::Compile(checked->enforced);
    ASSERT_TRUE(enforced) << schema << enforced.error().message;
    EXPECT_EQ(CheckSchema(checked->enforced, SchemaMode::kStrict)->enforced, checked->enforced) << schema;
    for (int i = 0; i < 30; ++i) {
      const Json value = random.Value(3);
      if (!enforced->Validate(value)) continue;
      ++fitting;
      const Status fits = asked->Validate(value);
      EXPECT_TRUE(fits) << "seed " << seed << ": " << schema << " enforced as " << checked->enforced << " allows " << value << ": "
                        << fits.error().message;
    }
  }
  EXPECT_GT(accepted, 1500);
  EXPECT_GT(fitting, 2000);
}

TEST(KeywordTableTest, TheDocsShowIt) {
  std::ostringstream docs;
  docs << std::ifstream(CLLM_SCHEMA_DOCS).rdbuf();
  EXPECT_NE(docs.str().find(SchemaKeywordsAsMarkdown()), std::string::npos) << SchemaKeywordsAsMarkdown();
}

}  // namespace
}  // namespace cllm
