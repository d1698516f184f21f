#include "api/field_recorder.h"

#include <gtest/gtest.h>

#include "api/json_object.h"

namespace cllm {
namespace {

Json Properties(const char* text) { return Json::parse(text); }

TEST(FieldRecorderTest, AReaderSaysWhatItAsksFor) {
  const Json schema = DescribeFields(
      [](JsonObject& object) {
        object.Require("name");
        EXPECT_EQ(object.String("name"), std::nullopt);
        EXPECT_EQ(object.Int("count", 1, 9), std::nullopt);
        EXPECT_EQ(object.Number("share", 0, 1), std::nullopt);
        EXPECT_EQ(object.Word("word", {"a", "b"}), std::nullopt);
        EXPECT_EQ(object.Bool("flag"), std::nullopt);
        EXPECT_EQ(object.Any("any"), nullptr);
        object.Object("inner", {}, [](JsonObject& inner) { inner.Bool("deep"); });
        EXPECT_TRUE(object.Finish()) << "nothing is there that could be wrong";
      },
      nullptr);
  EXPECT_EQ(schema, Json::parse(R"({"type": "object", "properties": {
    "name": {"type": "string"}, "count": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
    "share": {"type": ["number", "null"], "minimum": 0.0, "maximum": 1.0}, "word": {"enum": ["a", "b", null]},
    "flag": {"type": ["boolean", "null"]}, "any": {},
    "inner": {"type": ["object", "null"], "properties": {"deep": {"type": ["boolean", "null"]}}, "additionalProperties": false}},
    "required": ["name"], "additionalProperties": false})"))
      << schema.dump(2);
}

TEST(FieldRecorderTest, EachKindOfAnObjectIsReadOnce) {
  IgnoredFields ignored;
  const Json schema = DescribeFields(
      [](JsonObject& object) {
        const std::string type = object.Tag("type", {"text", "image"}, "text");
        if (type == "image") object.Int("width", 0, 5);
        EXPECT_TRUE(object.Finish());
      },
      &ignored);
  EXPECT_EQ(schema, Json::parse(R"({"anyOf": [
    {"type": "object", "properties": {"type": {"enum": ["text", null]}}},
    {"type": "object", "properties": {"type": {"const": "image"}, "width": {"type": ["integer", "null"], "minimum": 0, "maximum": 5}},
     "required": ["type"]}]})"))
      << schema.dump(2);
}

TEST(FieldRecorderTest, OneOfSeveralFieldsMustBeThere) {
  IgnoredFields ignored;
  const Json schema = DescribeFields([](JsonObject& object) { object.RequireOneOf({"a", "b"}, "neither"); }, &ignored);
  EXPECT_EQ(schema["anyOf"].size(), 2U);
  const Json none = Json::object();
  JsonObject object(none);
  object.RequireOneOf({"a", "b"}, "neither");
  EXPECT_EQ(object.Finish().error().message, "neither");
}

TEST(FieldRecorderTest, TheFirstThatSaysAnythingOfAFieldCounts) {
  FieldRecorder recorder;
  recorder.Add("a", Json::object());
  recorder.Add("a", {{"type", "string"}});
  recorder.Add("a", {{"type", "number"}});
  EXPECT_EQ(recorder.Schema()["properties"], Properties(R"({"a": {"type": ["string", "null"]}})"));
}

TEST(FieldRecorderTest, FieldsOfPeersAreTheirNamesByWhatTheyMayHold) {
  constexpr KnownField kOthers[] = {{"a", "[0]"}, {"b", nullptr}, {"c", "[0]"}, {"mine", "[]"}};
  FieldRecorder recorder;
  recorder.Add("mine", {{"type", "string"}});
  recorder.Finish(KnownFields(kOthers), false);
  const Json patterns = recorder.Schema()["patternProperties"];
  EXPECT_EQ(patterns.size(), 2U) << patterns.dump();
  EXPECT_EQ(patterns["^(a|c)$"]["enum"], Properties("[0, null]"));
  EXPECT_FALSE(patterns["^(b)$"].contains("enum"));
}

}  // namespace
}  // namespace cllm
