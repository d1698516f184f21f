#include "schema/schema_validator.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "schema/json_value.h"
#include "schema/keyword_table.h"
#include "schema/testing_skipped_cases.h"

namespace cllm {
namespace {

std::string_view ReasonToSkip(const std::string& file, const std::string& group, const std::string& test, std::set<std::string>& used) {
  for (const SkippedCase& skipped : kSkippedCases) {
    if (skipped.file != file) continue;
    if (skipped.description != group && skipped.description != group + "/" + test) continue;
    used.insert(std::string(skipped.file) + ": " + std::string(skipped.description));
    return skipped.reason;
  }
  return {};
}

std::string TextOfFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

int RunSuiteFile(const std::string& name, std::set<std::string>& used) {
  int run = 0;
  const Json groups = Json::parse(TextOfFile(std::filesystem::path(CLLM_SCHEMA_SUITE) / name));
  for (const Json& group : groups) {
    const auto described = group["description"].get<std::string>();
    const Result<SchemaValidator> validator = SchemaValidator::Compile(group["schema"]);
    for (const Json& test : group["tests"]) {
      const auto what = test["description"].get<std::string>();
      if (!ReasonToSkip(name, described, what, used).empty()) continue;
      ++run;
      if (!validator) {
        ADD_FAILURE() << name << ": " << described << " is refused: " << validator.error().message;
        break;
      }
      const Status fits = validator->Validate(test["data"]);
      EXPECT_EQ(fits.has_value(), test["valid"].get<bool>())
          << name << ": " << described << "/" << what << ": " << test["data"].dump() << (fits ? "" : fits.error().message);
    }
  }
  return run;
}

TEST(SchemaSuiteTest, EveryCaseIsRightOrSkippedByName) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(CLLM_SCHEMA_SUITE)) {
    if (entry.is_regular_file()) names.push_back(entry.path().filename());
  }
  for (const char* name : {"bignum", "ecmascript-regex", "float-overflow", "non-bmp-regex", "no-schema", "id", "anchor", "cross-draft",
                           "dynamicRef", "dependencies-compatibility", "format-assertion", "refOfUnknownKeyword", "unknownKeyword"}) {
    names.push_back("optional/" + std::string(name) + ".json");
  }
  for (const char* name : {"date", "time", "date-time", "uuid", "ipv4", "ipv6", "email", "uri", "hostname", "unknown"}) {
    names.push_back("optional/format/" + std::string(name) + ".json");
  }
  std::set<std::string> used;
  int run = 0;
  for (const std::string& name : names) run += RunSuiteFile(name, used);
  EXPECT_GT(run, 1300);
  for (const SkippedCase& skipped : kSkippedCases) {
    EXPECT_TRUE(used.contains(std::string(skipped.file) + ": " + std::string(skipped.description)))
        << skipped.file << ": " << skipped.description << " is skipped and isn't there";
    EXPECT_FALSE(skipped.reason.empty());
  }
}

std::string ErrorOf(std::string_view schema, std::string_view value) {
  const auto validator = SchemaValidator::Compile(Json::parse(schema));
  if (!validator) return "compile: " + validator.error().message;
  const Status fits = validator->Validate(Json::parse(value));
  return fits ? "" : fits.error().message;
}

TEST(SchemaValidatorTest, TheMessageHasThePlaceAndTheKeyword) {
  EXPECT_EQ(ErrorOf(R"({"type":"object"})", "1"), "the whole value does not fit 'type'");
  EXPECT_EQ(ErrorOf(R"({"properties":{"a":{"items":{"minimum":3}}}})", R"({"a":[3,2]})"), "/a/1 does not fit 'minimum'");
  EXPECT_EQ(ErrorOf(R"({"additionalProperties":{"type":"null"}})", R"({"a/b~c":1})"), "/a~1b~0c does not fit 'type'");
  EXPECT_EQ(ErrorOf(R"({"required":["a"]})", "{}"), "the whole value does not fit 'required': a");
  EXPECT_EQ(ErrorOf(R"({"additionalProperties":false})", R"({"x":1})"), "/x does not fit 'additionalProperties'");
  EXPECT_EQ(ErrorOf(R"({"items":{"anyOf":[{"type":"null"},{"minimum":1}]}})", "[null,0]"), "/1 does not fit 'anyOf'");
  EXPECT_EQ(ErrorOf(R"({"oneOf":[true,{"minimum":1}]})", "1"), "the whole value does not fit 'oneOf': more than one branch fits");
}

TEST(SchemaValidatorTest, WhatItDoesNotKnowIsRefusedByName) {
  for (const SchemaKeyword& keyword : SchemaKeywords()) {
    if (keyword.validated != Validated::kRefused) continue;
    const Json schema = {{"items", {{std::string(keyword.name), "x"}}}};
    const auto validator = SchemaValidator::Compile(schema);
    ASSERT_FALSE(validator) << keyword.name;
    EXPECT_EQ(validator.error().message, "/items/" + std::string(keyword.name) + ": this keyword is not supported");
  }
  EXPECT_EQ(ErrorOf(R"({"$ref":"other.json"})", "1").substr(0, 14), "compile: /$ref");
  EXPECT_EQ(ErrorOf(R"({"items":{"$id":"x","items":{"$ref":"#"}}})", "1").substr(0, 8), "compile:");
}

TEST(SchemaValidatorTest, MalformedKeywordsAreRefused) {
  for (const char* schema : {R"({"type":"text"})",
                             R"({"type":[]})",
                             R"({"minLength":-1})",
                             R"({"minLength":1.5})",
                             R"({"minimum":"1"})",
                             R"({"enum":1})",
                             R"({"required":"a"})",
                             R"({"required":[1]})",
                             R"({"properties":[]})",
                             R"({"allOf":[]})",
                             R"({"anyOf":{}})",
                             R"({"items":[true]})",
                             R"({"pattern":1})",
                             R"({"multipleOf":0})",
                             R"({"uniqueItems":1})",
                             R"({"$ref":1})",
                             R"({"$ref":"#/a"})",
                             R"({"not":1})",
                             "1",
                             "null",
                             "[]"}) {
    EXPECT_FALSE(SchemaValidator::Compile(Json::parse(schema))) << schema;
  }
  for (const char* pattern :
       {"(",    "[",    "(?=a)",   "(?!a)", "(?<=a)", "(?i)a", "(a)\\1",  "\\k<a>",      "\\a",  "\\z",  "\\Q", "\\p{Emoji}",
        "\\pL", "\\p{", "a{1001}", "a**",   "\\",     "\\u12", "\\ud83d", "\\u{110000}", "\\c1", "\\01", "[]"}) {
    EXPECT_FALSE(SchemaValidator::Compile({{"pattern", pattern}})) << pattern;
    EXPECT_FALSE(SchemaValidator::Compile({{"patternProperties", {{pattern, true}}}})) << pattern;
  }
}

TEST(SchemaValidatorTest, NumbersAreComparedByValue) {
  EXPECT_EQ(ErrorOf(R"({"type":"integer","const":1})", "1.0"), "");
  EXPECT_EQ(ErrorOf(R"({"enum":[{"a":[1,2.50]}]})", R"({"a":[1.0,25e-1]})"), "");
  EXPECT_NE(ErrorOf(R"({"const":[true]})", "[1]"), "");
  EXPECT_NE(ErrorOf(R"({"maximum":9223372036854775806})", "9223372036854775807"), "");
  EXPECT_EQ(ErrorOf(R"({"maximum":9223372036854775807})", "9223372036854775807"), "");
  EXPECT_NE(ErrorOf(R"({"maximum":9007199254740992.0})", "9007199254740993"), "");
  EXPECT_NE(ErrorOf(R"({"minimum":0})", "-9223372036854775808"), "");
  EXPECT_EQ(ErrorOf(R"({"const":{"a":1,"b":2}})", R"({"b":2,"a":1})"), "");
  EXPECT_NE(ErrorOf(R"({"const":["12"]})", R"(["1","2"])"), "");
}

TEST(SchemaValidatorTest, MultiplesAreThoseOfTheDecimals) {
  const auto is_multiple = [](const char* value, const char* of) { return IsMultipleOf(Json::parse(value), Json::parse(of)); };
  for (const auto& [value, of] : std::vector<std::pair<const char*, const char*>>{{"0.07", "0.01"},
                                                                                  {"19.99", "0.01"},
                                                                                  {"4.35", "0.05"},
                                                                                  {"1e308", "0.5"},
                                                                                  {"0", "7"},
                                                                                  {"-21", "7"},
                                                                                  {"1e3", "0.001"},
                                                                                  {"2.5", "2.5"},
                                                                                  {"18446744073709551614", "2"},
                                                                                  {"-9223372036854775808", "2"},
                                                                                  {"0.0075", "0.0001"}}) {
    EXPECT_TRUE(is_multiple(value, of)) << value << " of " << of;
  }
  for (const auto& [value, of] : std::vector<std::pair<const char*, const char*>>{{"0.075", "0.01"},
                                                                                  {"20", "8"},
                                                                                  {"1", "0.3"},
                                                                                  {"1e308", "0.123456789"},
                                                                                  {"18446744073709551615", "2"},
                                                                                  {"1e-300", "1"},
                                                                                  {"7.5", "7"},
                                                                                  {"3", "0"}}) {
    EXPECT_FALSE(is_multiple(value, of)) << value << " of " << of;
  }
}

TEST(SchemaValidatorTest, LengthsCountCharacters) {
  EXPECT_EQ(ErrorOf(R"({"minLength":2,"maxLength":2})", R"("ä😀")"), "");
  EXPECT_NE(ErrorOf(R"({"maxLength":1})", R"("ab")"), "");
}

TEST(SchemaValidatorTest, PatternsAreThoseOfEcma262) {
  for (const auto& [pattern, text, matches] : std::vector<std::tuple<std::string, std::string, bool>>{{"b", "abc", true},
                                                                                                      {"^b", "abc", false},
                                                                                                      {"^abc$", "abc\n", false},
                                                                                                      {"^.$", "\n", false},
                                                                                                      {"^.$", "\u2028", false},
                                                                                                      {"^[^a]$", "\n", true},
                                                                                                      {"^[[]$", "[", true},
                                                                                                      {"^[^]$", "\n", true},
                                                                                                      {"^a{,2}$", "a{,2}", true},
                                                                                                      {"^a{2}$", "aa", true},
                                                                                                      {"^\\u00e4$", "ä", true},
                                                                                                      {"^\\ud83d\\ude00$", "😀", true},
                                                                                                      {"^\\u{1f600}$", "😀", true},
                                                                                                      {"^(?<x>a)$", "a", true},
                                                                                                      {"^\\x41\\/$", "A/", true},
                                                                                                      {"^[\\b]$", "\b", true},
                                                                                                      {"\\bab\\b", "x ab y", true},
                                                                                                      {"^\\p{Lu}\\P{L}$", "A1", true},
                                                                                                      {"^\\p{Script=Greek}$", "α", true},
                                                                                                      {"^[\\s]$", "\ufeff", true},
                                                                                                      {"^[\\S]$", "\ufeff", false},
                                                                                                      {"^]}$", "]}", true},
                                                                                                      {"^😀?$", "", true},
                                                                                                      {"^\\cJ$", "\n", true},
                                                                                                      {"^[a-]$", "-", true}}) {
    const Json schema = {{"pattern", pattern}};
    const auto validator = SchemaValidator::Compile(schema);
    ASSERT_TRUE(validator) << pattern << ": " << validator.error().message;
    EXPECT_EQ(validator->Validate(text).has_value(), matches) << pattern << " and " << text;
  }
}

// Two properties a level, each of which may fit two branches that go on in the same way.
Json ExponentialSchema() {
  return Json::parse(R"({"$defs":{"t":{"anyOf":[{"type":"object","properties":{"a":{"$ref":"#/$defs/t"},"x":false},"required":["a"]},
    {"type":"object","properties":{"a":{"$ref":"#/$defs/t"},"y":false},"required":["a"]},{"type":"null"}]}},"$ref":"#/$defs/t"})");
}

TEST(SchemaValidatorTest, BranchesThatReferToOneSchemaTakeNoExponentialTime) {
  Json value = 1;
  for (int i = 0; i < 60; ++i) value = {{"a", std::move(value)}};
  const auto validator = SchemaValidator::Compile(ExponentialSchema());
  ASSERT_TRUE(validator);
  EXPECT_EQ(validator->Validate(value).error().message, "the whole value does not fit 'anyOf'");
}

TEST(SchemaValidatorTest, WhatTakesExponentialTimeEndsByItsSteps) {
  Json schema = {{"type", "string"}};  // a number fits none of 2^40 ways
  Json definitions = Json::object();
  for (int i = 0; i < 40; ++i) {
    const Json next = {{"$ref", "#/$defs/d" + std::to_string(i + 1)}};
    definitions["d" + std::to_string(i)] = {{"anyOf", {next, next}}};
  }
  definitions["d40"] = schema;
  schema = {{"$ref", "#/$defs/d0"}, {"$defs", definitions}};
  const auto validator = SchemaValidator::Compile(schema);
  ASSERT_TRUE(validator);
  EXPECT_EQ(validator->Validate(1).error().message, "validating the value against the schema takes too many steps");
  int looks = 0;
  const StopCheck stop = [&]() -> Status {
    if (++looks > 3) return Fail(ErrorCode::kCancelled, "the client left");
    return {};
  };
  EXPECT_EQ(validator->Validate(1, stop).error(), (Error{ErrorCode::kCancelled, "the client left", {}, 0}));
}

TEST(SchemaValidatorTest, CyclesAndDepthEnd) {
  EXPECT_EQ(ErrorOf(R"({"$ref":"#"})", "1"), "validating the value evaluates more than 500 schemas in each other");
  Json deep = true;
  for (int i = 0; i < 600; ++i) deep = {{"not", std::move(deep)}};
  const auto validator = SchemaValidator::Compile(deep);
  ASSERT_TRUE(validator);
  EXPECT_EQ(validator->Validate(1).error().message, "validating the value evaluates more than 500 schemas in each other");
}

TEST(SchemaValidatorTest, HugeSchemasAreRefused) {
  Json many = Json::array();
  for (int i = 0; i < 20'001; ++i) many.push_back(Json::object());
  EXPECT_EQ(SchemaValidator::Compile({{"anyOf", many}}).error().message, "the schema has more than 20000 schemas in it");
  Json patterns = Json::object();
  for (int i = 0; i < 1'001; ++i) patterns["a" + std::to_string(i)] = true;
  EXPECT_FALSE(SchemaValidator::Compile({{"patternProperties", patterns}}));
  Json programs = Json::object();
  for (int i = 0; i < 40; ++i) programs["(?:a{30}){30}" + std::to_string(i) + "[^\\w]{900}"] = true;
  EXPECT_FALSE(SchemaValidator::Compile({{"patternProperties", programs}}));
  EXPECT_FALSE(SchemaValidator::Compile({{"const", std::string(5 << 20, 'x')}}));
}

TEST(SchemaValidatorTest, PatternsThatBacktrackElsewhereAreFast) {
  const auto validator = SchemaValidator::Compile(Json::parse(R"({"pattern":"^(a|a)*(a*)*$"})"));
  ASSERT_TRUE(validator);
  EXPECT_FALSE(validator->Validate(std::string(100'000, 'a') + "b"));
}

TEST(SchemaValidatorTest, ManyItemsAreUniqueInLittleTime) {
  Json items = Json::array();
  for (int i = 0; i < 200'000; ++i) items.push_back({{"a", i}});
  const auto validator = SchemaValidator::Compile(Json::parse(R"({"uniqueItems":true})"));
  EXPECT_TRUE(validator->Validate(items));
  items.push_back({{"a", 77.0}});
  EXPECT_FALSE(validator->Validate(items));
}

}  // namespace
}  // namespace cllm
