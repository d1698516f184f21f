// Reading hostile JSON: a request body becomes typed, bounded values or an error that names the field.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "base/utf8.h"

namespace cllm {

using Json = nlohmann::ordered_json;

inline constexpr int kMostJsonDepth = 64;

// An object from a request body. Bad JSON, bad UTF-8, depth and anything but an object are errors; where a byte is to
// blame, the message names its offset.
Result<Json> ParseJsonObject(std::string_view body);

// The JSON as one line of valid UTF-8, whatever its strings hold.
std::string Dump(const Json& json);

// Reads the fields of one object, remembers the first error and which fields were asked for. An absent field and null are
// the same.
class JsonObject {
 public:
  // `json` is an object and outlives the reader. `path` is put before field names in messages: "messages[0].".
  explicit JsonObject(const Json& json, std::string path = {}) : json_(json), path_(std::move(path)) {}

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
  // The first error; else one for a field that nobody asked for.
  Status Finish() const;

 private:
  const Json* Find(const char* name);
  template <typename Value, typename Convert>
  std::optional<Value> Read(const char* name, const char* expected, Convert convert);

  const Json& json_;
  std::string path_;
  std::set<std::string, std::less<>> known_;
  std::optional<Error> error_;
};

}  // namespace cllm
