// What the parts of the check share: the books of one walk through a schema.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "schema/reference.h"
#include "schema/schema_check.h"

namespace cllm {

class SchemaWalk {
 public:
  SchemaWalk(const Json& root, SchemaMode mode, const StopCheck& stop) : root_(root), mode_(mode), stop_(stop) {}

  const Json& root() const { return root_; }
  bool has_failed() const { return error_.has_value(); }
  const Error& error() const { return *error_; }
  std::vector<std::string> TakeRelaxed() { return std::move(relaxed_); }

  // One more schema, at a depth. False where the walk is over.
  bool Enter(const std::string& pointer, int depth);
  // What is copied while schemas are merged, so that no few bytes become many. False where the walk is over.
  bool Copy(const std::string& pointer, const Json& schema);
  // A keyword that isn't enforced.
  void Find(SchemaFinding finding);
  // What is an error in both modes.
  void Fail(const std::string& pointer, std::string_view keyword, std::string_view message);
  // The target; where there is none, the walk has failed.
  std::optional<SchemaTarget> Resolve(const Json& reference, const std::string& pointer);

  // The name below $defs of what lies at a pointer, which is put on the list where it is new.
  std::string DefinitionOf(const SchemaTarget& target);
  struct Definition {
    std::string name;
    SchemaTarget target;
  };
  // The next that was named and not taken yet.
  std::optional<Definition> TakeDefinition();

 private:
  const Json& root_;
  SchemaMode mode_;
  const StopCheck& stop_;
  int nodes_ = 0;
  std::size_t copied_ = 0;
  std::optional<Error> error_;
  std::vector<std::string> relaxed_;
  std::unordered_map<std::string, std::string> name_of_;  // by pointer
  std::unordered_map<std::string, bool> names_;
  std::vector<Definition> definitions_;
  std::size_t taken_ = 0;
};

// About how many bytes the JSON takes as text.
std::size_t WeightOf(const Json& json);

// Nodes of one type; keywords of other types say nothing about it. Json(false) where no value fits.
Json CheckedString(SchemaWalk& walk, const Json& keywords, const std::string& pointer);
Json CheckedNumber(SchemaWalk& walk, const Json& keywords, const std::string& pointer, bool is_integer);

// A count such as minLength's, within its bounds; where it is none, the walk has failed. Nothing where the keyword isn't there.
std::optional<std::int64_t> CountOf(SchemaWalk& walk, const Json& keywords, const char* keyword, const std::string& pointer);

// Whether no value fits two of the schemas, by what their own keywords say.
bool AreDisjoint(SchemaWalk& walk, const Json& branches);

// A schema, of those that can be referred to, each of whose values would have to hold another one of them, and so on without an end. In
// time linear in the schema; long chains of references against the order of $defs can hide one.
std::optional<std::string> EndlessSchema(const Json& enforced);

// Whether references lead from one to the next and back without consuming anything: where one does.
std::optional<std::string> EmptyCycle(const Json& enforced);

}  // namespace cllm
