#include "api/json_object.h"

#include <cmath>

#include <fmt/format.h>

namespace cllm {
namespace {

struct TooDeep {};

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

}  // namespace

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Result<Json> ParseJsonObject(std::string_view body) {
  Json json;
  try {
    const auto callback = [](int depth, Json::parse_event_t event, Json&) {
      const bool opens = event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
      if (opens && depth >= kMostJsonDepth) throw TooDeep();
      return true;
    };
    json = Json::parse(body, callback);
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
    std::int64_t value = 0;
    if (json.is_number_unsigned()) {
      if (json.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
      value = static_cast<std::int64_t>(json.get<std::uint64_t>());
    } else if (json.is_number_integer()) {
      value = json.get<std::int64_t>();
    } else {
      return std::nullopt;
    }
    if (value < least || value > most) return std::nullopt;
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
      if (!item.is_number_unsigned() || item.get<std::uint64_t>() > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
      values.push_back(item.get<std::int32_t>());
    }
    return values;
  });
}

void JsonObject::Reject(const char* name, std::string message) {
  known_.insert(name);
  if (!error_) error_ = Error{ErrorCode::kInvalidArgument, std::move(message), path_ + name};
}

Status JsonObject::Finish() const {
  if (error_) return std::unexpected(*error_);
  for (const auto& item : json_.items()) {
    if (!known_.contains(item.key())) {
      const std::string name = path_ + Shortened(item.key());
      return InvalidArgument("unknown field " + name, name);
    }
  }
  return {};
}

}  // namespace cllm
