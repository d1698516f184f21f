#include "base/json.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace cllm {
namespace {

Error ParseError(std::string_view body) {
  const Result<Json> json = ParseJsonObject(body);
  EXPECT_FALSE(json) << body;
  return json ? Error{} : json.error();
}

TEST(ParseJsonObjectTest, TakesAnObject) {
  EXPECT_EQ(ParseJsonObject(R"({"a": 1, "b": {}})")->size(), 2U);
  EXPECT_TRUE(ParseJsonObject(" {} "));
}

TEST(ParseJsonObjectTest, AnythingElseIsAnErrorOfTheRequest) {
  for (const char* body : {"[]", "1", "\"text\"", "null", "true"}) {
    EXPECT_EQ(ParseError(body), (Error{ErrorCode::kInvalidArgument, "the body must be a JSON object", {}})) << body;
  }
  for (const char* body : {"", "{", "{\"a\":}", "{\"a\":1,}", "{\"a\":1} x", "{'a':1}", "{\"a\":NaN}", "{\"a\":01}", "{\"a\":\"\xFF\"}",
                           "{\"a\":\"\xE4\xBA\"}", "{\"a\":\"\\ud800\"}", "{\"a\":1e400}", "{\"a\":\"\n\"}"}) {
    const Error error = ParseError(body);
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument) << body;
    EXPECT_TRUE(error.message.starts_with("the body is not valid JSON")) << error.message;
    EXPECT_EQ(error.message.find("json.exception"), std::string::npos) << error.message;
  }
}

TEST(ParseJsonObjectTest, ASyntaxErrorNamesItsByte) {
  EXPECT_TRUE(ParseError("{\"a\": x}").message.starts_with("the body is not valid JSON (byte 7): "));
}

TEST(ParseJsonObjectTest, DepthIsBounded) {
  const auto nested = [](int depth) { return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}"; };
  EXPECT_TRUE(ParseJsonObject(nested(kMostJsonDepth)));
  for (const int depth : {kMostJsonDepth + 2, 1'000'000}) {
    EXPECT_EQ(ParseError(nested(depth)).message, "the JSON is nested more than 64 levels deep");
  }
  EXPECT_EQ(ParseError("{\"a\":" + std::string(1'000'000, '[')).message, "the JSON is nested more than 64 levels deep");
}

TEST(ParseJsonObjectTest, TheDepthIsTheOneInTheMessage) {
  const std::string body = "{\"a\":" + std::string(kMostJsonDepth, '[') + std::string(kMostJsonDepth, ']') + "}";
  EXPECT_FALSE(ParseJsonObject(body)) << "65 levels";
}

TEST(ParseJsonObjectTest, MessagesAreShort) {
  EXPECT_LT(ParseError("{\"a\":\"" + std::string(100'000, 'x') + "\xFF\"}").message.size(), 1000U);
  EXPECT_LT(ParseError("{\"a\":" + std::string(100'000, '1') + "x}").message.size(), 1000U);
}

TEST(ParseJsonTest, TakesAnyValueWithinTheSameBounds) {
  for (const char* text : {"[]", "1", "\"text\"", "null", "true", "{}"})
    EXPECT_EQ(*ParseJson(text, DuplicateNames::kAreErrors), Json::parse(text));
  const Result<Json> deep = ParseJson(std::string(kMostJsonDepth + 1, '['), DuplicateNames::kAreErrors);
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().message, "the JSON is nested more than 64 levels deep");
  const Result<Json> bad = ParseJson("x", DuplicateNames::kAreErrors);
  ASSERT_FALSE(bad);
  EXPECT_TRUE(bad.error().message.starts_with("the text is not valid JSON (byte 1): ")) << bad.error().message;
}

TEST(ParseJsonTest, ANameTwiceIsAnErrorWhereItIsToBe) {
  const char* text = R"([{"b":{"a":1,"c":2,"\u0061":3}}])";
  EXPECT_EQ(ParseJson(text, DuplicateNames::kLastCounts)->dump(), R"([{"b":{"c":2,"a":3}}])");
  const Result<Json> refused = ParseJson(text, DuplicateNames::kAreErrors);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "the JSON has an object with the name 'a' twice");
  EXPECT_TRUE(ParseJson(R"([{"a":1},{"a":1}])", DuplicateNames::kAreErrors)) << "in two objects";
}

TEST(JsonTest, AnIntegerIsOneHoweverItIsWritten) {
  const auto integer = [](const char* text) { return AsInteger(Json::parse(text)); };
  EXPECT_EQ(integer("42"), 42);
  EXPECT_EQ(integer("42.0"), 42);
  EXPECT_EQ(integer("4.2e1"), 42);
  EXPECT_EQ(integer("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(integer("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(integer("9007199254740992.0"), 9007199254740992);
  for (const char* text : {"9007199254740994.0", "1e300", "0.5", "18446744073709551615", "\"1\"", "true", "null", "[]"}) {
    EXPECT_FALSE(integer(text)) << text;
  }
  EXPECT_EQ(AsTokenId(7.0), 7);
  EXPECT_FALSE(AsTokenId(-1));
  EXPECT_FALSE(AsTokenId(2147483648));
}

// `count` fields with names of their own.
std::string ObjectOf(std::size_t count) {
  std::string text = "{";
  for (std::size_t i = 0; i < count; ++i) text += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":1";
  return text + "}";
}

std::string Repeated(std::string_view item, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text.append(i > 0 ? "," : "").append(item);
  return text;
}

TEST(ParseJsonObjectTest, FieldsOfOneObjectAreBounded) {
  EXPECT_TRUE(ParseJsonObject(ObjectOf(kMostJsonFields)));
  EXPECT_TRUE(ParseJsonObject("{\"a\": [" + Repeated(ObjectOf(kMostJsonFields), 100) + "]}")) << "of one";
  const char* message = "the JSON has an object with more than 2048 fields";
  EXPECT_EQ(ParseError(ObjectOf(kMostJsonFields + 1)).message, message);
  EXPECT_EQ(ParseError("{\"a\": {\"b\": 1}, \"c\": " + ObjectOf(200'000) + "}").message, message);
}

TEST(ParseJsonObjectTest, ValuesAreBounded) {
  for (const std::string_view item : {"{}", "[0]"}) {
    const std::size_t values = item == "[0]" ? 2 : 1;
    const std::size_t most = (kMostJsonValues - 2) / values;  // beside the list and the object
    EXPECT_TRUE(ParseJsonObject("{\"a\": [" + Repeated(item, most) + "]}")) << item;
    EXPECT_EQ(ParseError("{\"a\": [" + Repeated(item, most + 1) + "]}").message, "the JSON has more than 1048576 values") << item;
  }
}

TEST(ParseJsonObjectTest, OfFieldsWithOneNameTheLastCounts) {
  const Result<Json> json = ParseJsonObject(R"({"a": 1, "b": {"x": 1, "y": 2, "x": [3]}, "a": 2, "c": 3, "a": 4, "": 0, "": 5})");
  ASSERT_TRUE(json);
  EXPECT_EQ(Dump(*json), R"({"b":{"y":2,"x":[3]},"c":3,"a":4,"":5})");
}

TEST(ParseJsonObjectTest, WhatAnObjectHoldsKeepsItsOrder) {
  const std::string text = R"({"z":1,"a":[{"y":null,"b":true},2.5,-3,"x"],"m":{"k":{},"j":[]}})";
  EXPECT_EQ(Dump(*ParseJsonObject(text)), text);
}

TEST(ParseJsonObjectTest, EndsWhenItIsNotWantedAnyMore) {
  int looks = 0;
  const auto gone = [&looks]() -> Status { return ++looks < 3 ? Status() : Fail(ErrorCode::kCancelled, "gone"); };
  const Result<Json> json = ParseJsonObject("{\"a\": [" + Repeated("1", 100'000) + "]}", gone);
  ASSERT_FALSE(json);
  EXPECT_EQ(json.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(looks, 3) << "and nothing was read any further";
}

}  // namespace
}  // namespace cllm
