#include "api/json_object.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace cllm {
namespace {

struct TooDeep {};
struct TooManyFields {};

// Ends the parsing where an object is too deep or has too many fields.
class ShapeCheck {
 public:
  bool operator()(int depth, Json::parse_event_t event) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        if (depth >= kMostJsonDepth) throw TooDeep();
        fields_[static_cast<std::size_t>(depth) + 1] = 0;
        break;
      case Json::parse_event_t::key:
        looks_ += fields_[static_cast<std::size_t>(depth)];
        if (++fields_[static_cast<std::size_t>(depth)] > kMostJsonFields || looks_ > kMostJsonLooks) throw TooManyFields();
        break;
      default:
        break;
    }
    return true;
  }

 private:
  std::array<int, kMostJsonDepth + 1> fields_{};  // so far, of the object that is open at each depth
  std::int64_t looks_ = 0;                        // at earlier fields, for all fields so far
};

// "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error …" without its brackets.
std::string Plain(const std::string& what) {
  const auto end = what.find("] ");
  return end == std::string::npos ? what : what.substr(end + 2);
}

std::string Shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  if (value.is_string() && value.get_ref<const std::string&>().size() > 60) return "a long string";
  return Shortened(Dump(value));
}

// An object without the fields that are null, which are absent.
Json WithoutNulls(const Json& value) {
  if (!value.is_object()) return value;
  Json rest = Json::object();
  for (const auto& item : value.items()) {
    if (!item.value().is_null()) rest[item.key()] = item.value();
  }
  return rest;
}

// "tools is not supported", or which values are: "mirostat other than 0 is not supported".
Status CheckKnownField(const KnownField& field, const std::string& path, const Json& value) {
  if (field.nothing == nullptr) return {};
  const Json nothing = Json::parse(field.nothing);
  if (std::ranges::find(nothing, WithoutNulls(value)) != nothing.end()) return {};
  std::string message = path;
  // Empty lists and the like say nothing about what is supported.
  const auto is_worth_naming = [](const Json& item) { return !item.empty() && item != "" && item != "none" && item != false; };
  std::string supported;
  for (const Json& item : nothing) {
    if (is_worth_naming(item)) supported += (supported.empty() ? "" : " or ") + Dump(item);
  }
  if (!supported.empty()) message += " other than " + supported;
  message += " is not supported";
  if (field.instead != nullptr) message += fmt::format("; use {} instead", field.instead);
  return InvalidArgument(std::move(message), path);
}

}  // namespace

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Result<Json> ParseJsonObject(std::string_view body) {
  Json json;
  try {
    ShapeCheck check;
    json = Json::parse(body, [&check](int depth, Json::parse_event_t event, Json&) { return check(depth, event); });
  } catch (const TooManyFields&) {
    return InvalidArgument(
        fmt::format("the JSON has too many fields: an object may have {}, and not many may be so large", kMostJsonFields));
  } catch (const TooDeep&) {
    return InvalidArgument(fmt::format("the JSON is nested more than {} levels deep", kMostJsonDepth));
  } catch (const Json::parse_error& error) {
    return InvalidArgument(fmt::format("the body is not valid JSON (byte {}): {}", error.byte, Shortened(Plain(error.what()))));
  } catch (const Json::exception& error) {
    return InvalidArgument(fmt::format("the body is not valid JSON: {}", Shortened(Plain(error.what()))));
  }
  if (!json.is_object()) return InvalidArgument("the body must be a JSON object");
  return json;
}

std::optional<std::int64_t> AsInteger(const Json& json) {
  if (json.is_number_unsigned()) {
    const auto value = json.get<std::uint64_t>();
    return value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) ? std::optional(static_cast<std::int64_t>(value))
                                                                                         : std::nullopt;
  }
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (!json.is_number_float()) return std::nullopt;
  constexpr double kMostExact = 9007199254740992.0;  // 2^53
  const auto value = json.get<double>();
  if (!(std::abs(value) <= kMostExact) || value != std::trunc(value)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

std::optional<std::int32_t> AsTokenId(const Json& json) {
  const auto value = AsInteger(json);
  if (!value || *value < 0 || *value > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  return static_cast<std::int32_t>(*value);
}

void IgnoredFields::Add(std::string_view path) {
  if (paths_.size() >= kMost) return;
  std::string shown(path.substr(0, kMostLength));
  const auto is_plain = [](char c) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_letter || (c >= '0' && c <= '9') || std::string_view("_-.[]").find(c) != std::string_view::npos;
  };
  std::ranges::replace_if(shown, [&](char c) { return !is_plain(c); }, '?');
  paths_.push_back(std::move(shown));
}

const Json* JsonObject::Find(const char* name) {
  known_.insert(name);
  const auto found = json_.find(name);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

template <typename Value, typename Convert>
std::optional<Value> JsonObject::Read(const char* name, const char* expected, Convert convert) {
  const Json* json = Find(name);
  if (json == nullptr) return std::nullopt;
  std::optional<Value> value = convert(*json);
  if (!value) Reject(name, fmt::format("{}{} must be {}, not {}", path_, name, expected, Shown(*json)));
  return value;
}

bool JsonObject::Has(const char* name) { return Find(name) != nullptr; }

const Json* JsonObject::Any(const char* name) { return Find(name); }

std::optional<std::string> JsonObject::String(const char* name) {
  return Read<std::string>(name, "a string", [](const Json& json) -> std::optional<std::string> {
    if (!json.is_string()) return std::nullopt;
    return json.get<std::string>();
  });
}

std::optional<bool> JsonObject::Bool(const char* name) {
  return Read<bool>(name, "true or false", [](const Json& json) -> std::optional<bool> {
    if (!json.is_boolean()) return std::nullopt;
    return json.get<bool>();
  });
}

std::optional<std::int64_t> JsonObject::Int(const char* name, std::int64_t least, std::int64_t most) {
  const std::string expected = fmt::format("an integer from {} to {}", least, most);
  return Read<std::int64_t>(name, expected.c_str(), [&](const Json& json) -> std::optional<std::int64_t> {
    const auto value = AsInteger(json);
    if (!value || *value < least || *value > most) return std::nullopt;
    return value;
  });
}

std::optional<double> JsonObject::Number(const char* name, double least, double most) {
  const std::string expected = fmt::format("a number from {} to {}", least, most);
  return Read<double>(name, expected.c_str(), [&](const Json& json) -> std::optional<double> {
    if (!json.is_number()) return std::nullopt;
    const double value = json.get<double>();
    if (!std::isfinite(value) || value < least || value > most) return std::nullopt;
    return value;
  });
}

std::optional<std::vector<std::string>> JsonObject::Strings(const char* name, std::size_t most) {
  const std::string expected = fmt::format("a string that is not empty, or an array of at most {} of them", most);
  using Values = std::vector<std::string>;
  return Read<Values>(name, expected.c_str(), [&](const Json& json) -> std::optional<Values> {
    Values values;
    const auto add = [&](const Json& item) {
      if (!item.is_string() || item.get_ref<const std::string&>().empty()) return false;
      values.push_back(item.get<std::string>());
      return true;
    };
    if (!json.is_array()) return add(json) ? std::optional(values) : std::nullopt;
    if (json.size() > most) return std::nullopt;
    for (const Json& item : json) {
      if (!add(item)) return std::nullopt;
    }
    return values;
  });
}

std::optional<std::vector<std::int32_t>> JsonObject::TokenIds(const char* name, std::size_t most) {
  const std::string expected = fmt::format("an array of at most {} token ids", most);
  using Values = std::vector<std::int32_t>;
  return Read<Values>(name, expected.c_str(), [&](const Json& json) -> std::optional<Values> {
    if (!json.is_array() || json.size() > most) return std::nullopt;
    Values values;
    for (const Json& item : json) {
      const auto id = AsTokenId(item);
      if (!id) return std::nullopt;
      values.push_back(*id);
    }
    return values;
  });
}

void JsonObject::Reject(const char* name, std::string message) {
  known_.insert(name);
  Reject({ErrorCode::kInvalidArgument, std::move(message), path_ + name});
}

void JsonObject::Reject(Error error) {
  if (!error_) error_ = std::move(error);
}

Status JsonObject::Finish(const KnownFields& others) const {
  if (error_) return std::unexpected(*error_);
  for (const auto& item : json_.items()) {
    if (item.value().is_null() || known_.contains(item.key())) continue;
    if (Status status = CheckOther(item.key(), item.value(), others); !status) return status;
  }
  return {};
}

Status JsonObject::CheckOther(const std::string& name, const Json& value, const KnownFields& others) const {
  const std::string path = path_ + Shortened(name);
  if (const KnownField* field = others.Find(name); field != nullptr) return CheckKnownField(*field, path, value);
  const auto near = std::ranges::find_if(known_, [&name](const std::string& known) { return IsMisspelt(name, known); });
  const char* meant = near != known_.end() ? near->c_str() : others.Near(name);
  if (meant != nullptr) return InvalidArgument(fmt::format("unknown field {}: did you mean {}?", path, meant), path);
  if (ignored_ == nullptr) return InvalidArgument("unknown field " + path, path);
  ignored_->Add(path_ + name);
  return {};
}

}  // namespace cllm
