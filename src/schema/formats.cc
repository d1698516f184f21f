#include "schema/formats.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace cllm {
namespace {

constexpr bool IsDigitChar(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsHexChar(char c) { return IsDigitChar(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
constexpr bool IsAlphaNumeric(char c) { return IsDigitChar(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Reads from the beginning of a text.
class TextReader {
 public:
  explicit TextReader(std::string_view text) : rest_(text) {}

  bool AtEnd() const { return rest_.empty(); }
  bool Take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool TakeLetter(char c) { return Take(c) || Take(static_cast<char>(c - 'a' + 'A')); }
  // A number of exactly so many digits.
  std::optional<int> Number(int digits) {
    int value = 0;
    for (int i = 0; i < digits; ++i) {
      if (rest_.empty() || !IsDigitChar(rest_.front())) return std::nullopt;
      value = 10 * value + (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    return value;
  }
  std::string_view TakeWhile(bool (*holds)(char)) {
    const auto end = std::ranges::find_if_not(rest_, holds);
    const std::string_view taken(rest_.begin(), end);
    rest_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view rest_;
};

// RFC 3339, full-date.
bool ReadDate(TextReader& reader) {
  constexpr std::array kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const auto year = reader.Number(4);
  if (!year || !reader.Take('-')) return false;
  const auto month = reader.Number(2);
  if (!month || *month < 1 || *month > 12 || !reader.Take('-')) return false;
  const bool is_leap = (*year % 4 == 0 && *year % 100 != 0) || *year % 400 == 0;
  const auto day = reader.Number(2);
  return day && *day >= 1 && *day <= kDays[static_cast<std::size_t>(*month - 1)] + (*month == 2 && is_leap ? 1 : 0);
}

// "hh:mm" in minutes.
std::optional<int> ReadMinutes(TextReader& reader) {
  const auto hour = reader.Number(2);
  if (!hour || *hour > 23 || !reader.Take(':')) return std::nullopt;
  const auto minute = reader.Number(2);
  return minute && *minute <= 59 ? std::optional(60 * *hour + *minute) : std::nullopt;
}

// RFC 3339, full-time. A leap second ends a day of UTC.
bool ReadTime(TextReader& reader) {
  const auto minutes = ReadMinutes(reader);
  if (!minutes || !reader.Take(':')) return false;
  const auto second = reader.Number(2);
  if (!second || *second > 60) return false;
  if (reader.Take('.') && reader.TakeWhile(IsDigitChar).empty()) return false;
  int offset = 0;
  if (!reader.TakeLetter('z')) {
    const bool is_east = reader.Take('+');
    if (!is_east && !reader.Take('-')) return false;
    const auto away = ReadMinutes(reader);
    if (!away) return false;
    offset = is_east ? *away : -*away;
  }
  constexpr int kDay = 24 * 60;
  return *second < 60 || (*minutes - offset + kDay) % kDay == kDay - 1;
}

bool IsDateTime(std::string_view text) {
  TextReader reader(text);
  return ReadDate(reader) && reader.TakeLetter('t') && ReadTime(reader) && reader.AtEnd();
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (is_dash ? text[i] != '-' : !IsHexChar(text[i])) return false;
  }
  return true;
}

// RFC 2673, section 3.2: no zeros at the beginning of a number.
bool IsIpv4(std::string_view text) {
  TextReader reader(text);
  for (int part = 0; part < 4; ++part) {
    if (part > 0 && !reader.Take('.')) return false;
    const std::string_view digits = reader.TakeWhile(IsDigitChar);
    if (digits.empty() || digits.size() > 3 || (digits.size() > 1 && digits[0] == '0')) return false;
    if (digits.size() == 3 && digits > "255") return false;
  }
  return reader.AtEnd();
}

// RFC 4291, section 2.2.
bool IsIpv6(std::string_view text) {
  int groups = 0;
  bool is_shortened = false;
  if (text.starts_with(':') && !text.starts_with("::")) return false;
  while (!text.empty()) {
    if (text.starts_with("::")) {
      if (std::exchange(is_shortened, true)) return false;
      text.remove_prefix(2);
      if (text.empty()) break;
    } else if (groups > 0) {
      if (!text.starts_with(':')) return false;
      text.remove_prefix(1);
    }
    const std::size_t length = std::min(text.find(':'), text.size());
    const std::string_view group = text.substr(0, length);
    if (length == text.size() && group.find('.') != std::string_view::npos) {
      if (!IsIpv4(group)) return false;
      groups += 2;
      break;
    }
    if (group.empty() || group.size() > 4 || !std::ranges::all_of(group, IsHexChar)) return false;
    ++groups;
    text.remove_prefix(length);
  }
  return is_shortened ? groups < 8 : groups == 8;
}

// RFC 1123, section 2.1. Internationalised labels are only looked at as ASCII.
bool IsHostname(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('.', begin), text.size());
    const std::string_view label = text.substr(begin, end - begin);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    if (!std::ranges::all_of(label, [](char c) { return IsAlphaNumeric(c) || c == '-'; })) return false;
    // Dashes at the third and fourth place are those of an encoding, of which there is one.
    if (label.size() >= 4 && label[2] == '-' && label[3] == '-' && !((label[0] | 0x20) == 'x' && (label[1] | 0x20) == 'n')) return false;
    begin = end + 1;
  }
  return true;
}

bool IsAtomText(char c) { return IsAlphaNumeric(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos; }

// The part before the @: dots between atoms, or a quoted string (RFC 5321, section 4.1.2).
bool IsLocalPart(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '"') return false;
      if (text[i] == '\\') ++i;
      if (i == text.size() || text[i] < ' ' || text[i] > '~') return false;
    }
    return true;
  }
  if (text.empty() || text.front() == '.' || text.back() == '.' || text.find("..") != std::string_view::npos) return false;
  return std::ranges::all_of(text, [](char c) { return c == '.' || IsAtomText(c); });
}

bool IsEmail(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos || !IsLocalPart(text.substr(0, at))) return false;
  std::string_view domain = text.substr(at + 1);
  if (!domain.starts_with('[') || !domain.ends_with(']')) return IsHostname(domain);
  domain = domain.substr(1, domain.size() - 2);
  return domain.starts_with("IPv6:") ? IsIpv6(domain.substr(5)) : IsIpv4(domain);
}

// Characters of RFC 3986 in a part of a URI: unreserved, sub-delims, percent-encoded, and what else the part allows.
bool IsUriText(std::string_view text, std::string_view also) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || !IsHexChar(text[i + 1]) || !IsHexChar(text[i + 2])) return false;
      i += 2;
    } else if (!IsAlphaNumeric(c) && std::string_view("-._~!$&'()*+,;=").find(c) == std::string_view::npos &&
               also.find(c) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

bool IsAuthority(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at != std::string_view::npos) {
    if (!IsUriText(text.substr(0, at), ":")) return false;
    text.remove_prefix(at + 1);
  }
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || !IsIpv6(text.substr(1, end - 1))) return false;
    port = text.substr(end + 1);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    if (!IsUriText(text.substr(0, colon), "")) return false;
    port = text.substr(colon);
  }
  if (port.empty()) return true;
  return port.front() == ':' && std::ranges::all_of(port.substr(1), IsDigitChar);
}

bool IsUri(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == 0 || colon == std::string_view::npos || IsDigitChar(text[0]) || !IsAlphaNumeric(text[0])) return false;
  const auto is_scheme = [](char c) { return IsAlphaNumeric(c) || c == '+' || c == '-' || c == '.'; };
  if (!std::ranges::all_of(text.substr(0, colon), is_scheme)) return false;
  text.remove_prefix(colon + 1);
  if (const std::size_t hash = text.find('#'); hash != std::string_view::npos) {
    if (!IsUriText(text.substr(hash + 1), ":@/?")) return false;
    text = text.substr(0, hash);
  }
  if (const std::size_t question = text.find('?'); question != std::string_view::npos) {
    if (!IsUriText(text.substr(question + 1), ":@/?")) return false;
    text = text.substr(0, question);
  }
  if (text.starts_with("//")) {
    const std::size_t end = std::min(text.find('/', 2), text.size());
    if (!IsAuthority(text.substr(2, end - 2))) return false;
    text.remove_prefix(end);
  }
  return IsUriText(text, ":@/");
}

constexpr auto kFormatNames = std::to_array<std::pair<std::string_view, StringFormat>>({{"date", StringFormat::kDate},
                                                                                        {"time", StringFormat::kTime},
                                                                                        {"date-time", StringFormat::kDateTime},
                                                                                        {"uuid", StringFormat::kUuid},
                                                                                        {"ipv4", StringFormat::kIpv4},
                                                                                        {"ipv6", StringFormat::kIpv6},
                                                                                        {"email", StringFormat::kEmail},
                                                                                        {"uri", StringFormat::kUri},
                                                                                        {"hostname", StringFormat::kHostname}});

}  // namespace

std::optional<StringFormat> StringFormatOf(std::string_view name) {
  for (const auto& [known, format] : kFormatNames) {
    if (known == name) return format;
  }
  return std::nullopt;
}

bool HasFormat(std::string_view text, StringFormat format) {
  TextReader reader(text);
  switch (format) {
    case StringFormat::kDate:
      return ReadDate(reader) && reader.AtEnd();
    case StringFormat::kTime:
      return ReadTime(reader) && reader.AtEnd();
    case StringFormat::kDateTime:
      return IsDateTime(text);
    case StringFormat::kUuid:
      return IsUuid(text);
    case StringFormat::kIpv4:
      return IsIpv4(text);
    case StringFormat::kIpv6:
      return IsIpv6(text);
    case StringFormat::kEmail:
      return IsEmail(text);
    case StringFormat::kUri:
      return IsUri(text);
    case StringFormat::kHostname:
      return IsHostname(text);
  }
  std::unreachable();
}

}  // namespace cllm
