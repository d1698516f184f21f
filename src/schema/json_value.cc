#include "schema/json_value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>

namespace cllm {
namespace {

constexpr int kMostCanonicalDepth = 256;

// digits * 10^exponent, with no zero at the end of its digits.
struct Decimal {
  bool is_negative = false;
  std::uint64_t digits = 0;
  int exponent = 0;
};

Decimal WithoutZeros(Decimal decimal) {
  if (decimal.digits == 0) return {};
  while (decimal.digits % 10 == 0) {
    decimal.digits /= 10;
    ++decimal.exponent;
  }
  return decimal;
}

// The shortest decimal that is read as this double: at most 17 digits.
Decimal DecimalOfDouble(double value) {
  std::array<char, 64> text{};
  const auto written = std::to_chars(text.data(), text.data() + text.size(), std::abs(value), std::chars_format::scientific);
  Decimal decimal{.is_negative = std::signbit(value)};
  int decimals = 0;
  const char* at = text.data();
  for (bool is_fraction = false; at != written.ptr && *at != 'e'; ++at) {
    if (*at == '.') {
      is_fraction = true;
      continue;
    }
    decimal.digits = 10 * decimal.digits + static_cast<std::uint64_t>(*at - '0');
    decimals += is_fraction ? 1 : 0;
  }
  if (at != written.ptr) {
    at += at[1] == '+' ? 2 : 1;
    std::from_chars(at, written.ptr, decimal.exponent);
  }
  decimal.exponent -= decimals;
  return WithoutZeros(decimal);
}

Decimal DecimalOf(const Json& number) {
  if (number.is_number_unsigned()) return WithoutZeros({false, number.get<std::uint64_t>(), 0});
  if (!number.is_number_integer()) return DecimalOfDouble(number.get<double>());
  const auto value = number.get<std::int64_t>();
  return WithoutZeros({value < 0, value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value), 0});
}

// 64-bit integers and doubles both fit into it without loss where it has 64 bits of mantissa, as on x86 and ARM.
long double AsLongDouble(const Json& number) {
  if (number.is_number_unsigned()) return static_cast<long double>(number.get<std::uint64_t>());
  if (number.is_number_integer()) return static_cast<long double>(number.get<std::int64_t>());
  return static_cast<long double>(number.get<double>());
}

void AppendText(std::string& out, std::string_view text) { fmt::format_to(std::back_inserter(out), "{}:{}", text.size(), text); }

bool AppendCanonical(std::string& out, const Json& value, int depth) {
  if (depth > kMostCanonicalDepth) return false;
  if (value.is_string()) {
    out += 's';
    AppendText(out, value.get_ref<const std::string&>());
  } else if (value.is_number()) {
    const Decimal decimal = DecimalOf(value);
    fmt::format_to(std::back_inserter(out), "#{}{}e{};", decimal.is_negative ? "-" : "", decimal.digits, decimal.exponent);
  } else if (value.is_array()) {
    out += '[';
    for (const Json& item : value) {
      if (!AppendCanonical(out, item, depth + 1)) return false;
    }
    out += ']';
  } else if (value.is_object()) {
    std::vector<const Json::object_t::value_type*> members;
    for (const auto& member : value.get_ref<const Json::object_t&>()) members.push_back(&member);
    std::ranges::sort(members, {}, [](const auto* member) -> const std::string& { return member->first; });
    out += '{';
    for (const auto* member : members) {
      AppendText(out, member->first);
      if (!AppendCanonical(out, member->second, depth + 1)) return false;
    }
    out += '}';
  } else {
    out += value.is_null() ? 'n' : value.get<bool>() ? 't' : 'f';
  }
  return true;
}

}  // namespace

TypeSet TypeOfValue(const Json& value) {
  if (value.is_null()) return kNullType;
  if (value.is_boolean()) return kBooleanType;
  if (value.is_string()) return kStringType;
  if (value.is_array()) return kArrayType;
  if (value.is_object()) return kObjectType;
  if (value.is_number_integer()) return kIntegerType;
  const auto number = value.get<double>();
  return std::isfinite(number) && number == std::trunc(number) ? kIntegerType : kFractionType;
}

int CompareNumbers(const Json& a, const Json& b) {
  const long double left = AsLongDouble(a);
  const long double right = AsLongDouble(b);
  return left < right ? -1 : left > right ? 1 : 0;
}

bool IsMultipleOf(const Json& value, const Json& divisor) {
  const Decimal of = DecimalOf(divisor);
  const Decimal number = DecimalOf(value);
  if (of.digits == 0 || of.is_negative) return false;
  if (number.digits == 0) return true;
  using Wide = unsigned __int128;
  int shift = number.exponent - of.exponent;
  if (shift < 0) {  // more decimals than the divisor has: its digits would have to end with as many zeros
    Wide scaled = of.digits;
    for (; shift < 0; ++shift) {
      if (scaled > number.digits) return false;
      scaled *= 10;
    }
    return number.digits % scaled == 0;
  }
  Wide rest = number.digits % of.digits;
  for (; shift > 0 && rest != 0; --shift) rest = rest * 10 % of.digits;  // doubles have fewer than 700 of them
  return rest == 0;
}

std::string CanonicalText(const Json& value) {
  std::string text;
  return AppendCanonical(text, value, 0) ? text : std::string();
}

std::size_t CountCharacters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string PointerBelow(std::string_view pointer, std::string_view token) {
  std::string below(pointer);
  below += '/';
  for (const char c : token) {
    if (c == '~') {
      below += "~0";
    } else if (c == '/') {
      below += "~1";
    } else {
      below += c;
    }
  }
  return below;
}

}  // namespace cllm
