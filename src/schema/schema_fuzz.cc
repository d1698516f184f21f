// libFuzzer target: a schema and a value, with a line between them. No reader throws or takes long; what is enforced of a schema can be
// checked again, compiles, and allows no value that the schema refuses.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/testing_fuzz.h"
#include "base/utf8.h"
#include "schema/schema_check.h"
#include "schema/schema_validator.h"

namespace cllm {
namespace {

// Ends work by its steps: what takes longer is dear by the step.
StopCheck FewLooks(int& looks) {
  looks = 0;
  return [&looks]() -> Status {
    if (++looks > 16) return Fail(ErrorCode::kCancelled, "enough");
    return {};
  };
}

bool IsMisfit(const Status& status) { return !status && status.error().message.find("does not fit") != std::string::npos; }

void CheckMessage(const Error& error) { Require(!error.message.empty() && error.message.size() < 1000 && IsValidUtf8(error.message)); }

void CheckOne(const Json& schema, const Json& value, std::size_t size) {
  int looks = 0;
  Result<SchemaValidator> validator = InvalidArgument("");
  RequireCheap(size, [&] { validator = SchemaValidator::Compile(schema); });
  Status fits = InvalidArgument("");
  if (validator) {
    RequireCheap(size, [&] { fits = validator->Validate(value, FewLooks(looks)); });
    if (!fits) CheckMessage(fits.error());
  } else {
    CheckMessage(validator.error());
  }
  Result<CheckedSchema> strict = InvalidArgument("");
  RequireCheap(size, [&] { strict = CheckSchema(schema, SchemaMode::kStrict); });
  Result<CheckedSchema> relaxed = InvalidArgument("");
  RequireCheap(size, [&] { relaxed = CheckSchema(schema, SchemaMode::kRelaxed); });
  if (!strict) return CheckMessage(strict.error());
  Require(relaxed && relaxed->relaxed_pointers.empty() && relaxed->enforced == strict->enforced);
  const Result<SchemaValidator> enforced = SchemaValidator::Compile(strict->enforced);
  if (!enforced) return CheckMessage(enforced.error());  // too much memory for patterns, say
  if (validator && enforced->Validate(value, FewLooks(looks))) Require(!IsMisfit(fits));
}

}  // namespace
}  // namespace cllm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  if (line == std::string_view::npos) return 0;
  const Result<Json> schema = ParseJson(text.substr(0, line), DuplicateNames::kLastCounts);
  const Result<Json> value = ParseJson(text.substr(line + 1), DuplicateNames::kAreErrors);
  if (schema && value) CheckOne(*schema, *value, size);
  return 0;
}
