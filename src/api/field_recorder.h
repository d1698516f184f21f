// What the readers of one kind of object ask for, as a JSON schema. Readers are run over an object that only writes down what it is
// asked (see DescribeFields), so that what validates requests describes them too.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "api/known_fields.h"
#include "base/json.h"

namespace cllm {

class FieldRecorder {
 public:
  // Where a field tells kinds of the object apart (see JsonObject::Tag), it has the `kind`th of its values.
  explicit FieldRecorder(std::size_t kind = 0) : kind_(kind) {}

  // Of several schemas for one name the first counts that says anything.
  void Add(std::string_view name, Json schema);
  void Require(std::string_view name) { required_.emplace_back(name); }
  void RequireOneOf(std::initializer_list<const char*> names) { one_of_.assign(names.begin(), names.end()); }
  // The value of this run.
  std::string Tag(std::string_view name, std::span<const char* const> values, std::string_view absent);
  // What the object may hold beside.
  void Finish(const KnownFields& others, bool is_closed);

  // How many kinds there are; 0 where no field tells.
  std::size_t kinds() const { return kinds_; }
  Json Schema() const;

 private:
  bool IsRequired(std::string_view name) const;

  std::size_t kind_;
  std::size_t kinds_ = 0;
  Json properties_ = Json::object();
  std::vector<std::string> required_;
  std::vector<std::string> one_of_;
  KnownFields others_;
  bool is_closed_ = false;
};

}  // namespace cllm
