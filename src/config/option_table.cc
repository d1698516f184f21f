#include "config/option_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/nearest_word.h"
#include "base/utf8.h"
#include "config/text.h"

namespace cllm {
namespace {

[[noreturn]] void ProgrammingError(const std::string& message) {
  std::fprintf(stderr, "option table: %s\n", message.c_str());
  std::abort();
}

std::string_view Parent(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

// Whether `path` lies below `section`.
bool IsBelow(std::string_view path, std::string_view section) {
  return path.size() > section.size() && path.starts_with(section) && path[section.size()] == '.';
}

bool IsName(std::string_view segment) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789_";
  return !segment.empty() && segment.find_first_not_of(kAllowed) == std::string_view::npos;
}

bool IsFlag(std::string_view flag) {
  const std::string_view name = flag.starts_with("--") ? flag.substr(2) : flag.substr(flag.starts_with('-') ? 1 : 0);
  return flag.starts_with('-') && !name.empty() && name[0] != '-' && name.find('=') == std::string_view::npos;
}

std::string FlagNamed(std::string_view name) {
  std::string flag = "--" + std::string(name);
  std::ranges::replace(flag, '_', '-');
  std::ranges::replace(flag, '.', '-');
  return flag;
}

// The shortest text that reads back as the same number, always recognisable as one with a fraction: "60.0".
std::string DoubleText(double value) {
  const std::string text = fmt::format("{}", value);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

std::optional<std::int64_t> ParseInt(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  // YAML 1.1 takes 010 for eight and YAML 1.2 for ten, so neither is guessed.
  if (digits.size() > 1 && digits[0] == '0') return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> ParseDouble(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string BoundsText(bool bounded_below, bool bounded_above, const std::string& min, const std::string& max) {
  if (bounded_below && bounded_above) return fmt::format(" from {} to {}", min, max);
  if (bounded_below) return fmt::format(" of at least {}", min);
  if (bounded_above) return fmt::format(" of at most {}", max);
  return "";
}

std::string IntExpectation(const ConfigOption& option) {
  const bool narrow = std::holds_alternative<int*>(option.target);
  const std::int64_t lowest = narrow ? std::numeric_limits<int>::min() : std::numeric_limits<std::int64_t>::min();
  const std::int64_t highest = narrow ? std::numeric_limits<int>::max() : std::numeric_limits<std::int64_t>::max();
  std::string text = "integer" + BoundsText(option.int_min > lowest, option.int_max < highest, fmt::to_string(option.int_min),
                                            fmt::to_string(option.int_max));
  if (!option.unit.empty()) text += ", in " + option.unit;
  for (const NamedValue& named : option.value_names) text += ", or " + named.first;
  return text;
}

std::string DoubleExpectation(const ConfigOption& option) {
  using Limits = std::numeric_limits<double>;
  const std::string noun = option.type == OptionType::kDoubleList ? "list of numbers" : "number";
  const std::string text = noun + BoundsText(option.double_min > Limits::lowest(), option.double_max < Limits::max(),
                                             DoubleText(option.double_min), DoubleText(option.double_max));
  return option.unit.empty() ? text : text + ", in " + option.unit;
}

// How far an unknown key is from a known one, in half edits: over the whole path, or over the name alone where it may
// stand in the wrong section, for which half an edit is charged.
std::size_t KeyDistance(std::string_view unknown, std::string_view known) {
  const std::size_t whole = 2 * EditDistance(unknown, known);
  const std::size_t name = 2 * EditDistance(config::LastSegment(unknown), config::LastSegment(known));
  return std::min(whole, name + (Parent(unknown) == Parent(known) ? 0 : 1));
}

}  // namespace

std::string ValueSource::Text() const {
  switch (kind) {
    case Kind::kDefault:
      return "default";
    case Kind::kFile:
      return fmt::format("{}:{}", config::OneLine(name), line);
    case Kind::kEnvironment:
      return fmt::format("the environment ({})", name);
    case Kind::kCommandLine:
      return "the command line";
  }
  std::unreachable();
}

std::string ValueSource::MessagePrefix(std::string_view key) const {
  switch (kind) {
    case Kind::kDefault:
      return fmt::format("{}: ", key);
    case Kind::kFile:
      return fmt::format("{}: {}: ", Text(), key);
    case Kind::kEnvironment:
    case Kind::kCommandLine:
      return fmt::format("{} ({}): ", config::OneLine(name), key);
  }
  std::unreachable();
}

std::string ConfigOption::Expectation() const {
  switch (type) {
    case OptionType::kInt:
      return IntExpectation(*this);
    case OptionType::kDouble:
    case OptionType::kDoubleList:
      return DoubleExpectation(*this);
    case OptionType::kBool:
      return "true or false";
    case OptionType::kString:
      return "text";
    case OptionType::kStringList:
      return "list of texts that are not empty";
    case OptionType::kEnum:
      return fmt::format("one of {}", fmt::join(choices, ", "));
  }
  std::unreachable();
}

std::string ConfigOption::ValueText() const {
  switch (type) {
    case OptionType::kInt: {
      const std::int64_t value = std::holds_alternative<int*>(target) ? *std::get<int*>(target) : *std::get<std::int64_t*>(target);
      const auto named = std::ranges::find(value_names, value, &NamedValue::second);
      return named != value_names.end() ? named->first : fmt::to_string(value);
    }
    case OptionType::kDouble:
      return DoubleText(*std::get<double*>(target));
    case OptionType::kBool:
      return *std::get<bool*>(target) ? "true" : "false";
    case OptionType::kString:
      return config::Quoted(*std::get<std::string*>(target));
    case OptionType::kEnum: {
      const std::string& choice = *std::get<std::string*>(target);
      return config::ReadsAsNonText(choice) ? config::Quoted(choice) : choice;
    }
    case OptionType::kDoubleList: {
      std::vector<std::string> items;
      for (const double item : *std::get<std::vector<double>*>(target)) items.push_back(DoubleText(item));
      return fmt::format("[{}]", fmt::join(items, ", "));
    }
    case OptionType::kStringList: {
      const auto& texts = *std::get<std::vector<std::string>*>(target);
      if (secret && !texts.empty()) return "<hidden>";
      std::vector<std::string> items;
      for (const std::string& item : texts) items.push_back(config::Quoted(item));
      return fmt::format("[{}]", fmt::join(items, ", "));
    }
  }
  std::unreachable();
}

std::vector<std::string> ConfigOption::NegativeFlags() const {
  std::vector<std::string> negative;
  if (type != OptionType::kBool) return negative;
  for (const std::string& flag : flags) {
    if (flag.starts_with("--")) negative.push_back("--no-" + flag.substr(2));
  }
  return negative;
}

bool ConfigOption::HasValueName(std::string_view word) const {
  return std::ranges::find(value_names, word, &NamedValue::first) != value_names.end();
}

void OptionTable::Section(std::string path, std::string title) {
  const std::string_view parent = Parent(path);
  if (!IsName(config::LastSegment(path))) ProgrammingError(fmt::format("bad section path \"{}\"", path));
  if (IsSection(path)) ProgrammingError(fmt::format("section {} is declared twice", path));
  if (Find(path) != nullptr) ProgrammingError(fmt::format("section {} is an option already", path));
  if (!parent.empty()) {
    const std::string_view previous = sections_.empty() ? std::string_view() : sections_.back().path;
    if (previous != parent && !IsBelow(previous, parent)) {
      ProgrammingError(fmt::format("section {} must follow {} and its other inner sections", path, parent));
    }
  }
  sections_.push_back({std::move(path), std::move(title)});
}

void OptionTable::Declare(ConfigOption option, std::vector<std::string> extra_flags) {
  if (sections_.empty() || Parent(option.key) != sections_.back().path || !IsName(config::LastSegment(option.key))) {
    ProgrammingError(fmt::format("option {} is outside the section declared last", option.key));
  }
  if (Find(option.key) != nullptr) ProgrammingError(fmt::format("option {} is declared twice", option.key));
  option.section = sections_.size() - 1;

  // Of two keys with the same name in their sections the second one's flag has the section in it.
  option.flags = {FlagNamed(config::LastSegment(option.key))};
  if (FindFlag(option.flags.front()).option != nullptr) option.flags = {FlagNamed(option.key)};
  const auto is_short = [](const std::string& flag) { return !flag.starts_with("--"); };
  std::ranges::stable_partition(extra_flags, is_short);
  const auto first_long = std::ranges::find_if_not(extra_flags, is_short);
  option.flags.insert(option.flags.begin(), extra_flags.begin(), first_long);
  option.flags.insert(option.flags.end(), first_long, extra_flags.end());

  std::vector<std::string> all = option.flags;
  std::ranges::copy(option.NegativeFlags(), std::back_inserter(all));
  for (const std::string& flag : all) {
    if (!IsFlag(flag)) ProgrammingError(fmt::format("option {} has a bad flag \"{}\"", option.key, flag));
    if (const ConfigOption* other = FindFlag(flag).option) {
      ProgrammingError(fmt::format("flag {} of {} belongs to {} already", flag, option.key, other->key));
    }
    if (std::ranges::count(all, flag) > 1) {
      ProgrammingError(fmt::format("option {} has the flag {} twice", option.key, flag));
    }
  }
  option.default_text = option.ValueText();
  options_.push_back(std::move(option));
}

void OptionTable::Int(std::string key, int* target, IntSpec spec) {
  spec.min = std::max<std::int64_t>(spec.min, std::numeric_limits<int>::min());
  spec.max = std::min<std::int64_t>(spec.max, std::numeric_limits<int>::max());
  for (const NamedValue& named : spec.value_names) {
    if (!std::in_range<int>(named.second)) ProgrammingError(fmt::format("{}: {} is no int", key, named.first));
  }
  DeclareInt(std::move(key), target, *target, std::move(spec));
}

void OptionTable::Int(std::string key, std::int64_t* target, IntSpec spec) { DeclareInt(std::move(key), target, *target, std::move(spec)); }

void OptionTable::DeclareInt(std::string key, OptionTarget target, std::int64_t value, IntSpec spec) {
  const bool named = std::ranges::find(spec.value_names, value, &NamedValue::second) != spec.value_names.end();
  if (!named && (value < spec.min || value > spec.max)) {
    ProgrammingError(fmt::format("the default of {} is outside its bounds", key));
  }
  ConfigOption option{.key = std::move(key),
                      .type = OptionType::kInt,
                      .help = std::move(spec.help),
                      .unit = std::move(spec.unit),
                      .placeholder = "N",
                      .value_names = std::move(spec.value_names),
                      .int_min = spec.min,
                      .int_max = spec.max,
                      .target = target};
  Declare(std::move(option), std::move(spec.flags));
}

void OptionTable::Double(std::string key, double* target, DoubleSpec spec) {
  if (!(*target >= spec.min && *target <= spec.max)) {
    ProgrammingError(fmt::format("the default of {} is outside its bounds", key));
  }
  ConfigOption option{.key = std::move(key),
                      .type = OptionType::kDouble,
                      .help = std::move(spec.help),
                      .unit = std::move(spec.unit),
                      .placeholder = "X",
                      .double_min = spec.min,
                      .double_max = spec.max,
                      .target = target};
  Declare(std::move(option), std::move(spec.flags));
}

void OptionTable::Bool(std::string key, bool* target, BoolSpec spec) {
  ConfigOption option{.key = std::move(key), .type = OptionType::kBool, .help = std::move(spec.help), .target = target};
  Declare(std::move(option), std::move(spec.flags));
}

void OptionTable::String(std::string key, std::string* target, StringSpec spec) {
  ConfigOption option{.key = std::move(key),
                      .type = OptionType::kString,
                      .help = std::move(spec.help),
                      .placeholder = std::move(spec.placeholder),
                      .target = target};
  Declare(std::move(option), std::move(spec.flags));
}

void OptionTable::Enum(std::string key, std::string* target, EnumSpec spec) {
  if (std::ranges::find(spec.choices, *target) == spec.choices.end()) {
    ProgrammingError(fmt::format("the default of {} is none of its choices", key));
  }
  ConfigOption option{.key = std::move(key),
                      .type = OptionType::kEnum,
                      .help = std::move(spec.help),
                      .placeholder = fmt::format("{}", fmt::join(spec.choices, "|")),
                      .choices = std::move(spec.choices),
                      .target = target};
  Declare(std::move(option), std::move(spec.flags));
}

void OptionTable::DoubleList(std::string key, std::vector<double>* target, DoubleSpec spec) {
  for (const double item : *target) {
    if (!(item >= spec.min && item <= spec.max)) {
      ProgrammingError(fmt::format("the default of {} is outside its bounds", key));
    }
  }
  ConfigOption option{.key = std::move(key),
                      .type = OptionType::kDoubleList,
                      .help = std::move(spec.help),
                      .unit = std::move(spec.unit),
                      .placeholder = "X,Y,...",
                      .double_min = spec.min,
                      .double_max = spec.max,
                      .target = target};
  Declare(std::move(option), std::move(spec.flags));
}

void OptionTable::StringList(std::string key, std::vector<std::string>* target, StringListSpec spec) {
  ConfigOption option{.key = std::move(key),
                      .type = OptionType::kStringList,
                      .help = std::move(spec.help),
                      .placeholder = std::move(spec.placeholder),
                      .secret = spec.secret,
                      .target = target};
  Declare(std::move(option), std::move(spec.flags));
}

Status OptionTable::Set(std::string_view key, std::string_view text, const ValueSource& source) {
  ConfigOption* option = FindMutable(key);
  if (option == nullptr) return UnknownKey(key, Candidates::kOptions, source);
  switch (option->type) {
    case OptionType::kInt:
      return SetInt(*option, text, source);
    case OptionType::kDouble:
      return SetDouble(*option, text, source);
    case OptionType::kBool:
      return SetBool(*option, text, source);
    case OptionType::kString:
    case OptionType::kEnum:
      return SetText(*option, text, source);
    case OptionType::kDoubleList:
    case OptionType::kStringList: {
      std::vector<std::string> items;
      for (std::size_t at = 0; !text.empty() && at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        items.emplace_back(text.substr(at, end - at));
        at = end + 1;
      }
      return SetList(key, items, source);
    }
  }
  std::unreachable();
}

Status OptionTable::SetList(std::string_view key, std::span<const std::string> items, const ValueSource& source) {
  ConfigOption* option = FindMutable(key);
  if (option == nullptr) return UnknownKey(key, Candidates::kOptions, source);
  if (!option->is_list()) return WrongValue(*option, "a list", source);
  if (option->type == OptionType::kStringList) return SetTexts(*option, items, source);
  std::vector<double> values;
  for (const std::string& item : items) {
    const std::optional<double> value = ParseDouble(item);
    if (!value || *value < option->double_min || *value > option->double_max) {
      return WrongValue(*option, "the item " + config::QuotedForMessage(item), source);
    }
    values.push_back(*value);
  }
  *std::get<std::vector<double>*>(option->target) = std::move(values);
  option->source = source;
  return {};
}

Status OptionTable::SetInt(ConfigOption& option, std::string_view text, const ValueSource& source) {
  const auto named = std::ranges::find(option.value_names, text, &NamedValue::first);
  const bool is_named = named != option.value_names.end();
  const std::optional<std::int64_t> value = is_named ? named->second : ParseInt(text);
  if (!value || (!is_named && (*value < option.int_min || *value > option.int_max))) {
    return WrongValue(option, config::QuotedForMessage(text), source);
  }
  if (int** narrow = std::get_if<int*>(&option.target)) {
    **narrow = static_cast<int>(*value);
  } else {
    *std::get<std::int64_t*>(option.target) = *value;
  }
  option.source = source;
  return {};
}

Status OptionTable::SetDouble(ConfigOption& option, std::string_view text, const ValueSource& source) {
  const std::optional<double> value = ParseDouble(text);
  if (!value || *value < option.double_min || *value > option.double_max) {
    return WrongValue(option, config::QuotedForMessage(text), source);
  }
  *std::get<double*>(option.target) = *value;
  option.source = source;
  return {};
}

Status OptionTable::SetBool(ConfigOption& option, std::string_view text, const ValueSource& source) {
  const std::string word = config::LowerAscii(text);
  const bool is_true = word == "true" || word == "yes" || word == "on";
  const bool is_false = word == "false" || word == "no" || word == "off";
  if (!is_true && !is_false) return WrongValue(option, config::QuotedForMessage(text), source);
  *std::get<bool*>(option.target) = is_true;
  option.source = source;
  return {};
}

Status OptionTable::SetText(ConfigOption& option, std::string_view text, const ValueSource& source) {
  // Text ends up in JSON answers and in C interfaces, which take neither broken UTF-8 nor zero bytes.
  if (!IsValidUtf8(text) || text.contains('\0')) {
    return WrongValue(option, config::QuotedForMessage(text) + ", which is not valid UTF-8 text", source);
  }
  if (option.type == OptionType::kEnum && std::ranges::find(option.choices, text) == option.choices.end()) {
    return WrongValue(option, config::QuotedForMessage(text), source);
  }
  *std::get<std::string*>(option.target) = text;
  option.source = source;
  return {};
}

Status OptionTable::SetTexts(ConfigOption& option, std::span<const std::string> items, const ValueSource& source) {
  for (const std::string& item : items) {
    if (item.empty()) return WrongValue(option, "an empty item", source);
    if (!IsValidUtf8(item) || item.contains('\0')) {
      return WrongValue(option, "the item " + config::QuotedForMessage(item) + ", which is not valid UTF-8 text", source);
    }
  }
  std::get<std::vector<std::string>*>(option.target)->assign(items.begin(), items.end());
  option.source = source;
  return {};
}

std::unexpected<Error> OptionTable::WrongValue(const ConfigOption& option, std::string_view given, const ValueSource& source) const {
  return InvalidArgument(fmt::format("{}expected {}, got {}", source.MessagePrefix(option.key), option.Expectation(),
                                     option.secret ? "something else (not shown: it may be a secret)" : given),
                         option.key);
}

std::unexpected<Error> OptionTable::UnknownKey(std::string_view key, Candidates candidates, const ValueSource& source) const {
  std::vector<std::string_view> known;
  if (candidates != Candidates::kSections) {
    for (const ConfigOption& option : options_) known.push_back(option.key);
  }
  if (candidates != Candidates::kOptions) {
    for (const OptionSection& section : sections_) known.push_back(section.path);
  }
  std::string message = source.kind == ValueSource::Kind::kFile ? source.Text() + ": " : "";
  message += "unknown key " + config::QuotedForMessage(key);
  const auto nearest = NearestWord(known, [&](std::string_view one) { return KeyDistance(key, one); });
  if (nearest) message += fmt::format("; the nearest known key is \"{}\"", *nearest);
  return InvalidArgument(std::move(message), std::string(key));
}

const ConfigOption* OptionTable::Find(std::string_view key) const {
  const auto found = std::ranges::find(options_, key, &ConfigOption::key);
  return found == options_.end() ? nullptr : &*found;
}

ConfigOption* OptionTable::FindMutable(std::string_view key) {
  const auto found = std::ranges::find(options_, key, &ConfigOption::key);
  return found == options_.end() ? nullptr : &*found;
}

bool OptionTable::IsSection(std::string_view path) const {
  return std::ranges::find(sections_, path, &OptionSection::path) != sections_.end();
}

OptionTable::FlagMatch OptionTable::FindFlag(std::string_view flag) const {
  for (const ConfigOption& option : options_) {
    if (std::ranges::find(option.flags, flag) != option.flags.end()) return {&option, false};
    const std::vector<std::string> negative = option.NegativeFlags();
    if (std::ranges::find(negative, flag) != negative.end()) return {&option, true};
  }
  return {};
}

}  // namespace cllm
