// Reading hostile JSON: a request body becomes typed, bounded values or an error that names the field.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/known_fields.h"
#include "base/status.h"
#include "base/utf8.h"

namespace cllm {

using Json = nlohmann::ordered_json;

inline constexpr int kMostJsonDepth = 64;
// Finding a field of an ordered object costs time by the number of its fields, so reading one costs the square: one object has
// a bound, and the looks at fields of all objects together (a fraction of a second).
inline constexpr int kMostJsonFields = 2048;
inline constexpr std::int64_t kMostJsonLooks = 32'000'000;

// An object from a request body. Bad JSON, bad UTF-8, depth, too many fields in one object and anything but an object are
// errors; where a byte is to blame, the message names its offset.
Result<Json> ParseJsonObject(std::string_view body);

// The JSON as one line of valid UTF-8, whatever its strings hold.
std::string Dump(const Json& json);

// The integer that a JSON number is, however it is written: 42, 42.0, 4.2e1. Nothing for fractions, for what is beyond 64
// bits, and for fractional notation beyond 2^53, where neighbours can't be told apart.
std::optional<std::int64_t> AsInteger(const Json& json);

// A token id: an integer from 0 to 2^31-1.
std::optional<std::int32_t> AsTokenId(const Json& json);

// The fields of one request that nobody knows and that were let in. Bounded in number and length, and made of characters that
// can stand in a header, whatever a client sends.
class IgnoredFields {
 public:
  static constexpr std::size_t kMost = 32;
  static constexpr std::size_t kMostLength = 64;

  void Add(std::string_view path);
  std::vector<std::string> Take() { return std::move(paths_); }

 private:
  std::vector<std::string> paths_;
};

// Reads the fields of one object, remembers the first error and which fields were asked for. An absent field and null are
// the same.
class JsonObject {
 public:
  // `json` is an object and outlives the reader. `path` is put before field names in messages: "messages[0].". `ignored` gets
  // the fields that nobody knows, and outlives the reader; nullptr: these are errors.
  explicit JsonObject(const Json& json, std::string path = {}, IgnoredFields* ignored = nullptr)
      : json_(json), path_(std::move(path)), ignored_(ignored) {}

  // A reader of an object inside of this one, with the same view of unknown fields.
  JsonObject Inner(const Json& json, const std::string& path) const { return JsonObject(json, path_ + path, ignored_); }

  bool Has(const char* name);
  std::optional<std::string> String(const char* name);
  std::optional<bool> Bool(const char* name);
  std::optional<std::int64_t> Int(const char* name, std::int64_t least, std::int64_t most);
  std::optional<double> Number(const char* name, double least, double most);
  // A string or an array of at most `most` strings; none of them empty.
  std::optional<std::vector<std::string>> Strings(const char* name, std::size_t most);
  // An array of at most `most` integers from 0 to 2^31-1.
  std::optional<std::vector<std::int32_t>> TokenIds(const char* name, std::size_t most);
  // Any value; nullptr where absent.
  const Json* Any(const char* name);
  // Accepts the field whatever it holds: a hint that changes no answer.
  void Ignore(const char* name) { known_.insert(name); }

  // Fails the object with a message about one of its fields.
  void Reject(const char* name, std::string message);
  // Fails it with the error of another reader.
  void Reject(Error error);
  // The first error; else one for a field that nobody asked for: one of `others` that asks for something, one that is a known
  // name misspelt, and, where unknown fields are errors, any.
  Status Finish(const KnownFields& others = {}) const;

 private:
  const Json* Find(const char* name);
  Status CheckOther(const std::string& name, const Json& value, const KnownFields& others) const;
  template <typename Value, typename Convert>
  std::optional<Value> Read(const char* name, const char* expected, Convert convert);

  const Json& json_;
  std::string path_;
  IgnoredFields* ignored_;
  std::set<std::string, std::less<>> known_;
  std::optional<Error> error_;
};

}  // namespace cllm
