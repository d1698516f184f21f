// Short ways to write JSON schemas.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace cllm::words {

using Members = std::vector<std::pair<const char*, Json>>;

inline Json Null() { return {{"type", "null"}}; }
inline Json Bool() { return {{"type", "boolean"}}; }
inline Json Integer() { return {{"type", "integer"}}; }
inline Json Number() { return {{"type", "number"}}; }
inline Json String() { return {{"type", "string"}}; }
inline Json AnyObject() { return {{"type", "object"}}; }
inline Json Const(Json value) { return Json{{"const", std::move(value)}}; }
inline Json Integer(std::int64_t least, std::int64_t most) { return {{"type", "integer"}, {"minimum", least}, {"maximum", most}}; }
inline Json Number(double least, double most) { return {{"type", "number"}, {"minimum", least}, {"maximum", most}}; }
// Of so many bytes. The schema counts characters: it lets some in that are too long.
Json Text(std::size_t least, std::size_t most);
Json Matching(std::string pattern);
Json Enum(std::initializer_list<const char*> values);
Json AnyOf(std::initializer_list<Json> schemas);
Json ListOf(Json items);
Json ListOf(Json items, std::size_t least, std::size_t most);
Json TokenId();
// What `schema` lets in, and null.
Json OrNull(Json schema);
// An object that has each of `required`, may have `optional`, and nothing else.
Json Record(const Members& required, const Members& optional = {});

}  // namespace cllm::words
