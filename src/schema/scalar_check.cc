// Strings and numbers: which of their keywords the grammar compiler keeps together.
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "schema/ecma_pattern.h"
#include "schema/formats.h"
#include "schema/json_value.h"
#include "schema/schema_walk.h"

namespace cllm {
namespace {

constexpr std::int64_t kMostDivisor = 1024;               // the compiler's
constexpr std::int64_t kMostRangeOfMultiples = 9'999;     // its ranges may be 10,000 wide
constexpr double kMostExactInteger = 9007199254740992.0;  // 2^53
constexpr double kGridOfFractions = 1e6;                  // the compiler's bounds have six decimals

struct IntegerRange {
  std::optional<std::int64_t> least, most;
};

// A bound as an integer, rounded into the range. Nothing where it is too large for the grammar, which has been said then.
std::optional<std::int64_t> IntegerBound(SchemaWalk& walk, const Json& value, const char* keyword, const std::string& pointer,
                                         bool is_least) {
  if (!value.is_number()) {
    walk.Fail(pointer, keyword, "must be a number");
    return std::nullopt;
  }
  const auto number = value.get<double>();
  if (!(std::abs(number) < kMostExactInteger)) {
    walk.Find({pointer, keyword, "is not enforced from 2^53 on"});
    return std::nullopt;
  }
  return static_cast<std::int64_t>(is_least ? std::ceil(number) : std::floor(number));
}

IntegerRange RangeOfIntegers(SchemaWalk& walk, const Json& keywords, const std::string& pointer) {
  IntegerRange range;
  const auto tighten = [&](const char* keyword, bool is_least, bool is_exclusive) {
    const auto found = keywords.find(keyword);
    if (found == keywords.end()) return;
    auto bound = IntegerBound(walk, *found, keyword, pointer, is_least);
    if (!bound) return;
    if (is_exclusive && CompareNumbers(*bound, *found) == 0) *bound += is_least ? 1 : -1;
    auto& end = is_least ? range.least : range.most;
    if (!end || (is_least ? *bound > *end : *bound < *end)) end = bound;
  };
  tighten("minimum", true, false);
  tighten("exclusiveMinimum", true, true);
  tighten("maximum", false, false);
  tighten("exclusiveMaximum", false, true);
  return range;
}

// The divisor as the compiler takes it; nothing where there is none or it can't be kept, which has been said then.
std::optional<std::int64_t> Divisor(SchemaWalk& walk, const Json& value, const IntegerRange& range, const std::string& pointer) {
  if (!value.is_number() || CompareNumbers(value, 0) <= 0) {
    walk.Fail(pointer, "multipleOf", "must be a number above 0");
    return std::nullopt;
  }
  if (IsMultipleOf(1, value)) return std::nullopt;  // every integer is one
  const auto divisor = AsInteger(value);
  const bool is_ranged = range.least || range.most;
  if (!divisor || *divisor > kMostDivisor) {
    walk.Find({pointer, "multipleOf", fmt::format("is enforced for integers from 1 to {} only", kMostDivisor)});
  } else if (is_ranged && (!range.least || !range.most || *range.most - *range.least > kMostRangeOfMultiples)) {
    walk.Find({pointer, "multipleOf", "is enforced without bounds, or with two that are less than 10,000 apart"});
  } else {
    return divisor;
  }
  return std::nullopt;
}

Json CheckedInteger(SchemaWalk& walk, const Json& keywords, const std::string& pointer) {
  Json checked = {{"type", "integer"}};
  const IntegerRange range = RangeOfIntegers(walk, keywords, pointer);
  if (range.least && range.most && *range.least > *range.most) return false;
  if (range.least) checked["minimum"] = *range.least;
  if (range.most) checked["maximum"] = *range.most;
  const auto found = keywords.find("multipleOf");
  if (found == keywords.end()) return checked;
  const auto divisor = Divisor(walk, *found, range, pointer);
  if (!divisor) return checked;
  if (range.least) {
    const std::int64_t below = *range.least % *divisor;
    const std::int64_t first = *range.least + (below > 0 ? *divisor - below : -below);
    if (first > *range.most) return false;
  }
  checked["multipleOf"] = *divisor;
  return checked;
}

}  // namespace

std::optional<std::int64_t> CountOf(SchemaWalk& walk, const Json& keywords, const char* keyword, const std::string& pointer) {
  const auto found = keywords.find(keyword);
  if (found == keywords.end()) return std::nullopt;
  if (!found->is_number() || TypeOfValue(*found) != kIntegerType || CompareNumbers(*found, 0) < 0) {
    walk.Fail(pointer, keyword, "must be an integer from 0");
    return std::nullopt;
  }
  const auto count = AsInteger(*found);
  if (count && *count <= kMostSchemaCount) return count;
  walk.Find({pointer, keyword, fmt::format("is not enforced above {}", kMostSchemaCount)});
  return std::nullopt;
}

Json CheckedNumber(SchemaWalk& walk, const Json& keywords, const std::string& pointer, bool is_integer) {
  if (is_integer) return CheckedInteger(walk, keywords, pointer);
  Json checked = {{"type", "number"}};
  // In steps of the grid, so that it can be told whether one lies between the bounds.
  double least = -std::numeric_limits<double>::infinity();
  double most = -least;
  for (const char* keyword : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
    const auto found = keywords.find(keyword);
    if (found == keywords.end()) continue;
    if (!found->is_number()) return walk.Fail(pointer, keyword, "must be a number"), true;
    const auto value = found->get<double>();
    const double steps = std::round(value * kGridOfFractions);
    if (!(std::abs(steps) < kMostExactInteger) || steps / kGridOfFractions != value) {
      walk.Find({pointer, keyword, "is enforced with at most 6 decimals and 15 digits only"});
      continue;
    }
    const std::string_view name = keyword;
    const double inwards = name.starts_with("exclusive") ? 1 : 0;
    if (name == "minimum" || name == "exclusiveMinimum") {
      least = std::max(least, steps + inwards);
    } else {
      most = std::min(most, steps - inwards);
    }
    checked[keyword] = *found;
  }
  if (least > most) return false;
  const auto divisor = keywords.find("multipleOf");
  if (divisor != keywords.end()) walk.Find({pointer, "multipleOf", "is enforced for integers only"});
  return checked;
}

namespace {

// Formats of which the grammar compiler knows the form alone: 30 February, 41.009.1.1. These have fewer values than the formats (no 29
// February, no leap seconds), and nothing but such values.
std::string ExactPatternOf(std::string_view format) {
  const std::string date =
      "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))";
  const std::string time = R"(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))";
  const std::string byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  if (format == "date") return date;
  if (format == "time") return time;
  if (format == "date-time") return date + "T" + time;
  if (format == "ipv4") return byte + "([.]" + byte + "){3}";
  return {};
}

}  // namespace

Json CheckedString(SchemaWalk& walk, const Json& keywords, const std::string& pointer) {
  Json checked = {{"type", "string"}};
  for (const char* keyword : {"format", "pattern"}) {
    if (keywords.contains(keyword) && !keywords[keyword].is_string()) return walk.Fail(pointer, keyword, "must be a string"), true;
  }
  std::string_view taken;  // by what the string's form is given already
  if (const auto format = keywords.find("format"); format != keywords.end()) {
    if (StringFormatOf(format->get_ref<const std::string&>())) {
      if (const std::string pattern = ExactPatternOf(format->get_ref<const std::string&>()); !pattern.empty()) {
        checked["pattern"] = pattern;
      } else {
        checked["format"] = *format;
      }
      taken = "format";
    } else {
      walk.Find({pointer, "format", "is not enforced with this value"});
    }
  }
  if (const auto pattern = keywords.find("pattern"); pattern != keywords.end()) {
    const auto& text = pattern->get_ref<const std::string&>();
    if (const Result<std::string> readable = PatternForRe2(text); !readable) {
      walk.Find({pointer, "pattern", fmt::format("is not enforced: {}", readable.error().message)});
    } else if (const auto reason = WhyNotGenerated(text)) {
      walk.Find({pointer, "pattern", fmt::format("is not enforced: it {}", *reason)});
    } else if (!taken.empty()) {
      walk.Find({pointer, "pattern", "is not enforced beside 'format'"});
    } else {
      checked["pattern"] = *pattern;
      taken = "pattern";
    }
  }
  const auto least = CountOf(walk, keywords, "minLength", pointer);
  const auto most = CountOf(walk, keywords, "maxLength", pointer);
  if (least && most && *least > *most) return false;
  for (const auto& [keyword, count] : {std::pair("minLength", least), std::pair("maxLength", most)}) {
    if (!count || (keyword == std::string_view("minLength") && *count == 0)) continue;
    if (taken.empty()) {
      checked[keyword] = *count;
    } else {
      walk.Find({pointer, keyword, fmt::format("is not enforced beside '{}'", taken)});
    }
  }
  return checked;
}

}  // namespace cllm
