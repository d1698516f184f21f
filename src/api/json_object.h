// Reading hostile JSON: a request body becomes typed, bounded values or an error that names the field.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/field_recorder.h"
#include "api/known_fields.h"
#include "base/json.h"
#include "base/status.h"
#include "base/utf8.h"

namespace cllm {

// The fields of one request that nobody knows and that were let in. What is shown of them is bounded in number and length, and made
// of characters that can stand in a header, whatever a client sends.
class IgnoredFields {
 public:
  static constexpr std::size_t kMost = 32;
  static constexpr std::size_t kMostLength = 64;
  static constexpr std::size_t kMostNames = 256;

  // Whether a field of this name was let in before, in an object that may hold `others`.
  bool Has(const KnownFields& others, std::string_view name) const;
  // False where there are too many names: looking for what each may have meant takes its time.
  bool Add(const KnownFields& others, std::string_view name, std::string_view path);
  // What is left aside for another reason.
  void AddPath(std::string_view path);
  std::vector<std::string> Take() { return std::move(paths_); }

 private:
  std::map<const KnownField*, std::set<std::string, std::less<>>> names_;  // by the fields beside which they stood
  std::size_t name_count_ = 0;
  std::vector<std::string> paths_;
};

// Reads the fields of one object, remembers the first error and which fields were asked for. An absent field and null are
// the same. Names that are asked for are literals.
//
// It may also be a recording object: then it is empty, and what it is asked for goes into the schema of DescribeFields. So a reader asks
// for its fields whatever others hold, or whatever the Tag says.
class JsonObject {
 public:
  // `json` is an object and outlives the reader. `path` is put before field names in messages: "messages[0].". `ignored` gets
  // the fields that nobody knows, and outlives the reader; nullptr: these are errors.
  explicit JsonObject(const Json& json, std::string path = {}, IgnoredFields* ignored = nullptr);

  // A reader of an object inside of this one, with the same view of unknown fields.
  JsonObject Inner(const Json& json, const std::string& path) const { return JsonObject(json, path_ + path, ignored_); }

  // A recording object, where `ignored` says the same.
  JsonObject(FieldRecorder& recorder, IgnoredFields* ignored);

  bool Has(const char* name);
  // A field that must be there, and several of which one must.
  void Require(const char* name) { Require(name, path_ + name + " is missing"); }
  void Require(const char* name, std::string message);
  void RequireOneOf(std::initializer_list<const char*> names, std::string message);
  std::optional<std::string> String(const char* name);
  std::optional<bool> Bool(const char* name);
  // One of `values`.
  std::optional<std::string> Word(const char* name, std::initializer_list<const char*> values);
  // One of `values`, which tells what else the object has; `absent` where it isn't there, and empty where it is none of them. Where there
  // is no `absent`, it must be there.
  std::string Tag(const char* name, std::initializer_list<const char*> values, const char* absent = "");
  std::optional<std::int64_t> Int(const char* name, std::int64_t least, std::int64_t most);
  std::optional<double> Number(const char* name, double least, double most);
  // A string or an array of at most `most` strings, each of at most `most_bytes`; those that are empty are left out.
  std::optional<std::vector<std::string>> Strings(const char* name, std::size_t most, std::size_t most_bytes);
  // An array of at most `most` integers from 0 to 2^31-1.
  std::optional<std::vector<std::int32_t>> TokenIds(const char* name, std::size_t most);
  // Any value; nullptr where absent.
  const Json* Any(const char* name);
  // The same where the caller looks whether it fits `schema()`.
  template <typename Schema>
  const Json* Any(const char* name, Schema schema) {
    Record(name, schema);
    return Find(name);
  }
  // An object, where it is there, of which `read` reads the fields; `others`: as for Finish.
  void Object(const char* name, const KnownFields& others, const std::function<void(JsonObject&)>& read);
  // The schema of objects inside of this one.
  Json SchemaOf(const std::function<void(JsonObject&)>& read) const;
  // Accepts the field whatever it holds: a hint that changes no answer.
  void Ignore(const char* name) { Any(name); }
  // Leaves aside what stands at `path`, as a field that nobody knows: it is named, or, where these are errors, one with this message.
  void LeaveOut(const std::string& path, std::string message);

  // Fails the object with a message about one of its fields.
  void Reject(const char* name, std::string message);
  // Fails it with the error of another reader.
  void Reject(Error error);
  // The first error; else one for a field that nobody asked for: one of `others` that asks for something, one that is a known
  // name misspelt, and, where unknown fields are errors, any.
  Status Finish(const KnownFields& others = {}) const;

 private:
  const Json* Find(const char* name);
  template <typename Schema>
  void Record(const char* name, Schema schema) const {
    if (recorder_ != nullptr) recorder_->Add(name, schema());
  }
  Status CheckOther(const std::string& name, const Json& value, const KnownFields& others) const;
  template <typename Value, typename Convert>
  std::optional<Value> Read(const char* name, const char* expected, Convert convert);

  bool IsKnown(std::string_view name) const { return std::ranges::find(known_, name) != known_.end(); }

  using Member = Json::object_t::value_type;
  const Json& json_;
  std::vector<const Member*> by_name_;  // only where there are so many that a look through all of them would cost
  std::string path_;
  IgnoredFields* ignored_;
  FieldRecorder* recorder_ = nullptr;    // of a recording object
  std::vector<std::string_view> known_;  // names that were asked for: literals
  std::optional<Error> error_;
};

// The schema of the objects that `read` reads to the end, Finish included. `ignored`: as for JsonObject.
Json DescribeFields(const std::function<void(JsonObject&)>& read, IgnoredFields* ignored);

}  // namespace cllm
