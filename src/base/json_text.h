// What is asked of JSON that stays text. Without the JSON library's types: llama.cpp's headers bring a release of it of their own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cllm {

// The text as a JSON string. Bytes that are no UTF-8 become U+FFFD.
std::string QuotedAsJson(std::string_view text);

// Whether it is one JSON value; takes no stack by its nesting.
bool IsJson(std::string_view text);

// The part of a JSON schema that says which values are strings, objects and so on: all that reading a model's tool calls needs.
// References are followed. Bounded in size, however the schema refers to itself; "{}" where it is none.
std::string ShapeOfSchema(std::string_view schema);

// The properties of an object's schema, in its order; nothing where it has none.
struct SchemaArgument {
  std::string name = {};
  bool is_required = false;
  bool operator==(const SchemaArgument&) const = default;
};
std::vector<SchemaArgument> ArgumentsOfSchema(std::string_view schema);

}  // namespace cllm
