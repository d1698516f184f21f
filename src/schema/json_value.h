// JSON values as JSON Schema compares them: numbers by value, objects regardless of order.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "schema/keyword_table.h"

namespace cllm {

// The types of a value: a number without fraction is an integer however it is written.
TypeSet TypeOfValue(const Json& value);

// Less than 0, 0 or more than 0, exact for 64-bit integers beside floating point.
int CompareNumbers(const Json& a, const Json& b);

// Whether `value` is a multiple of `divisor` as the decimals are written: 0.0075 is one of 0.0001, whatever binary fractions they become.
// A double counts as the shortest decimal that is read as it. False where the divisor isn't positive.
bool IsMultipleOf(const Json& value, const Json& divisor);

// A text that is the same for equal values and for no others. Empty where the value is nested too deeply (256 levels).
std::string CanonicalText(const Json& value);

// How many characters a UTF-8 string has.
std::size_t CountCharacters(std::string_view text);

// One more token of a JSON Pointer (RFC 6901).
std::string PointerBelow(std::string_view pointer, std::string_view token);

}  // namespace cllm
