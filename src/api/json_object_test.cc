#include "api/json_object.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cllm {
namespace {

// The error after `read` has looked at the object of `body`.
template <typename Read>
Error ReadError(std::string_view body, const Read& read) {
  const Json json = Json::parse(body);
  JsonObject object(json);
  read(object);
  const Status status = object.Finish();
  return status ? Error{} : status.error();
}

// A client must not be able to make the server send its own megabytes back.
TEST(JsonObjectTest, MessagesOfUnknownFieldsAreShort) {
  const std::string body = "{\"" + std::string(100'000, 'x') + "\": 1}";
  const Error error = ReadError(body, [](JsonObject&) {});
  EXPECT_LT(error.message.size() + error.field.size(), 1000U);
}

TEST(JsonObjectTest, ReadsEachType) {
  const Json json = Json::parse(R"({"s": "x", "b": true, "i": -3, "n": 0.5, "whole": 2, "one": "a", "many": ["a", "b"]})");
  JsonObject object(json);
  EXPECT_EQ(object.String("s"), "x");
  EXPECT_EQ(object.Bool("b"), true);
  EXPECT_EQ(object.Int("i", -3, 3), -3);
  EXPECT_EQ(object.Number("n", 0.5, 1), 0.5);
  EXPECT_EQ(object.Number("whole", 0, 2), 2.0);
  EXPECT_EQ(object.Strings("one", 2, 1), (std::vector<std::string>{"a"}));
  EXPECT_EQ(object.Strings("many", 2, 1), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(object.Has("s"));
  EXPECT_EQ(*object.Any("i"), -3);
  EXPECT_TRUE(object.Finish());
}

TEST(JsonObjectTest, AbsentAndNullAreTheSame) {
  const Json json = Json::parse(R"({"null": null})");
  JsonObject object(json);
  for (const char* name : {"null", "absent"}) {
    EXPECT_FALSE(object.Has(name));
    EXPECT_FALSE(object.String(name));
    EXPECT_FALSE(object.Bool(name));
    EXPECT_FALSE(object.Int(name, 0, 1));
    EXPECT_FALSE(object.Number(name, 0, 1));
    EXPECT_FALSE(object.Strings(name, 1, 1));
    EXPECT_EQ(object.Any(name), nullptr);
  }
  EXPECT_TRUE(object.Finish());
}

TEST(JsonObjectTest, IntegersAreWholeAndWithinTheirBounds) {
  const auto error = [](const std::string& value) {
    return ReadError("{\"i\": " + value + "}", [](JsonObject& object) { object.Int("i", -5, 5); }).message;
  };
  for (const char* value : {"-5", "5", "0", "1.0", "1e0", "-5.0", "-0.0"}) EXPECT_EQ(error(value), "") << value;
  for (const char* value : {"-6", "6", "1.5", "6.0", "1e30", "-1e-3", "9223372036854775808", "18446744073709551615", "true"}) {
    EXPECT_TRUE(error(value).starts_with("i must be an integer from -5 to 5, not ")) << value << ": " << error(value);
  }
  EXPECT_EQ(error("\"1\""), "i must be an integer from -5 to 5, not \"1\"");
}

TEST(JsonObjectTest, NumbersAreWithinTheirBounds) {
  const auto error = [](const std::string& value) {
    return ReadError("{\"n\": " + value + "}", [](JsonObject& object) { object.Number("n", 0, 2); }).message;
  };
  for (const char* value : {"0", "2", "-0.0", "1.5"}) EXPECT_EQ(error(value), "") << value;
  EXPECT_EQ(error("-0.001"), "n must be a number from 0 to 2, not -0.001");
  EXPECT_EQ(error("2.5"), "n must be a number from 0 to 2, not 2.5");
  EXPECT_EQ(error("\"1\""), "n must be a number from 0 to 2, not \"1\"");
}

TEST(JsonObjectTest, StringsAreBoundedInNumberAndLength) {
  const auto error = [](const std::string& value) {
    return ReadError("{\"l\": " + value + "}", [](JsonObject& object) { object.Strings("l", 2, 3); }).message;
  };
  for (const char* value : {"[]", "\"abc\"", "[\"abc\", \"abc\"]"}) EXPECT_EQ(error(value), "") << value;
  for (const char* value : {"\"abcd\"", "[\"a\", \"abcd\"]", "[\"a\", 1]", "[\"a\", \"b\", \"c\"]", "5", "{}"}) {
    EXPECT_TRUE(error(value).starts_with("l must be a string of at most 3 bytes, or an array of at most 2 of them, not "))
        << value << ": " << error(value);
  }
}

TEST(JsonObjectTest, StringsThatAreEmptyAskForNothing) {
  const Json json = Json::parse(R"({"one": "", "many": ["", "a"]})");
  JsonObject object(json);
  EXPECT_EQ(object.Strings("one", 2, 3), std::vector<std::string>());
  EXPECT_EQ(object.Strings("many", 2, 3), std::vector<std::string>{"a"});
}

TEST(JsonObjectTest, FieldsOfALargeObjectAreFound) {
  Json json = Json::object();
  for (int i = 0; i < 100; ++i) json["field " + std::to_string(i)] = i;
  json["null"] = nullptr;
  JsonObject object(json);
  EXPECT_EQ(object.Int("field 0", 0, 99), 0);
  EXPECT_EQ(object.Int("field 99", 0, 99), 99);
  EXPECT_FALSE(object.Has("field 100"));
  EXPECT_FALSE(object.Has("null"));
}

TEST(JsonObjectTest, NamesThatNobodyKnowsAreBounded) {
  const auto status_of = [](std::size_t names, std::size_t objects) -> Status {
    IgnoredFields ignored;
    for (std::size_t i = 0; i < objects; ++i) {
      Json json = Json::object();
      for (std::size_t name = 0; name < names; ++name) json[std::string(10, 'x') + std::to_string(name)] = 1;
      if (Status status = JsonObject(json, {}, &ignored).Finish(); !status) return status;
    }
    return {};
  };
  EXPECT_TRUE(status_of(IgnoredFields::kMostNames, 10)) << "the same names again cost nothing";
  const Status status = status_of(IgnoredFields::kMostNames + 1, 1);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "unknown field xxxxxxxxxx256: there are more than 256 names that nobody knows");
}

TEST(JsonObjectTest, MessagesShowWhatWasSent) {
  const auto error = [](const std::string& value) {
    return ReadError("{\"b\": " + value + "}", [](JsonObject& object) { object.Bool("b"); }).message;
  };
  EXPECT_EQ(error("1"), "b must be true or false, not 1");
  EXPECT_EQ(error("{\"a\": 1}"), "b must be true or false, not an object");
  EXPECT_EQ(error("[1]"), "b must be true or false, not an array");
  EXPECT_EQ(error("\"" + std::string(100'000, 'x') + "\""), "b must be true or false, not a long string");
}

TEST(JsonObjectTest, TheFirstErrorStaysAndBeatsUnknownFields) {
  const Error error = ReadError(R"({"unknown": 1, "a": 1, "b": 1})", [](JsonObject& object) {
    object.String("a");
    object.String("b");
    object.Reject("c", "no");
  });
  EXPECT_EQ(error, (Error{ErrorCode::kInvalidArgument, "a must be a string, not 1", "a"}));
}

TEST(JsonObjectTest, AnUnknownFieldIsAnError) {
  const Error error = ReadError(R"({"hint": [1], "temprature": 1})", [](JsonObject& object) { object.Ignore("hint"); });
  EXPECT_EQ(error, (Error{ErrorCode::kInvalidArgument, "unknown field temprature", "temprature"}));
}

TEST(JsonObjectTest, UnknownFieldsAreLeftAsideWhereThatIsWanted) {
  const Json json = Json::parse(R"({"temperature": 1, "wat": 1, "nothing": null, "a b\r\nX: y": {}, "inner": {"deep": 1}})");
  IgnoredFields ignored;
  JsonObject object(json, {}, &ignored);
  object.Number("temperature", 0, 2);
  JsonObject inner = object.Inner(*object.Any("inner"), "inner.");
  EXPECT_TRUE(inner.Finish());
  EXPECT_TRUE(object.Finish());
  EXPECT_EQ(ignored.Take(), (std::vector<std::string>{"inner.deep", "wat", "a?b??X??y"})) << "as a header can carry them";
}

TEST(JsonObjectTest, WhatIsLeftAsideIsBounded) {
  Json json = Json::object();
  for (int i = 0; i < 200; ++i) json[std::to_string(i) + std::string(1000, 'x')] = 1;
  IgnoredFields ignored;
  EXPECT_TRUE(JsonObject(json, {}, &ignored).Finish());
  const std::vector<std::string> paths = ignored.Take();
  EXPECT_EQ(paths.size(), IgnoredFields::kMost);
  for (const std::string& path : paths) EXPECT_EQ(path.size(), IgnoredFields::kMostLength);
}

TEST(JsonObjectTest, AMisspeltFieldIsAnErrorEvenWhereUnknownOnesAreLeftAside) {
  constexpr KnownField kOthers[] = {{"top_a", "[0]"}, {"user", nullptr}};
  const auto error = [&](const char* body) {
    const Json json = Json::parse(body);
    IgnoredFields ignored;
    JsonObject object(json, {}, &ignored);
    object.Number("temperature", 0, 2);
    const Status status = object.Finish(KnownFields(kOthers));
    return status ? "" : status.error().message;
  };
  EXPECT_EQ(error(R"({"temprature": 1})"), "unknown field temprature: did you mean temperature?");
  EXPECT_EQ(error(R"({"tempertaure": 1})"), "unknown field tempertaure: did you mean temperature?");
  EXPECT_EQ(error(R"({"users": 1})"), "unknown field users: did you mean user?");
  EXPECT_EQ(error(R"({"temprature": null})"), "") << "null is absent";
  EXPECT_EQ(error(R"({"temp": 1})"), "");
  EXPECT_EQ(error(R"({"top_a": 0.0})"), "");
  EXPECT_EQ(error(R"({"top_a": 0.5})"), "top_a other than 0 is not supported");
  EXPECT_EQ(error(R"({"user": [1]})"), "");
}

TEST(JsonObjectTest, APathStandsBeforeTheNames) {
  const Json json = Json::parse(R"({"role": 1})");
  JsonObject wrong(json, "messages[0].");
  wrong.String("role");
  EXPECT_EQ(wrong.Finish().error(), (Error{ErrorCode::kInvalidArgument, "messages[0].role must be a string, not 1", "messages[0].role"}));
  JsonObject unknown(json, "messages[0].");
  EXPECT_EQ(unknown.Finish().error().message, "unknown field messages[0].role");
}

}  // namespace
}  // namespace cllm
