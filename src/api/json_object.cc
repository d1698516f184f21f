#include "api/json_object.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "api/schema_words.h"
#include "base/utf8.h"

namespace cllm {
namespace {

std::string Shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  if (value.is_string() && value.get_ref<const std::string&>().size() > 60) return "a long string";
  return Shortened(Dump(value));
}

const Json& EmptyObject() {
  static const Json kEmpty = Json::object();
  return kEmpty;
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

bool IgnoredFields::Has(const KnownFields& others, std::string_view name) const {
  const auto found = names_.find(others.identity());
  return found != names_.end() && found->second.contains(name);
}

bool IgnoredFields::Add(const KnownFields& others, std::string_view name, std::string_view path) {
  if (name_count_ >= kMostNames) return false;
  ++name_count_;
  names_[others.identity()].emplace(name);
  AddPath(path);
  return true;
}

void IgnoredFields::AddPath(std::string_view path) {
  if (paths_.size() >= kMost) return;
  std::string shown(path.substr(0, kMostLength));
  const auto is_plain = [](char c) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_letter || (c >= '0' && c <= '9') || std::string_view("_-.[]").find(c) != std::string_view::npos;
  };
  std::ranges::replace_if(shown, [&](char c) { return !is_plain(c); }, '?');
  paths_.push_back(std::move(shown));
}

JsonObject::JsonObject(const Json& json, std::string path, IgnoredFields* ignored)
    : json_(json), path_(std::move(path)), ignored_(ignored) {
  constexpr std::size_t kFewFields = 32;
  if (json_.size() <= kFewFields) return;
  for (const Member& member : json_.get_ref<const Json::object_t&>()) by_name_.push_back(&member);
  std::ranges::sort(by_name_, {}, [](const Member* member) -> const std::string& { return member->first; });
}

JsonObject::JsonObject(FieldRecorder& recorder, IgnoredFields* ignored) : json_(EmptyObject()), ignored_(ignored), recorder_(&recorder) {}

const Json* JsonObject::Find(const char* name) {
  known_.push_back(name);
  const Json* value = nullptr;
  if (by_name_.empty()) {
    const auto found = json_.find(name);
    if (found != json_.end()) value = &*found;
  } else {
    const auto name_of = [](const Member* member) -> std::string_view { return member->first; };
    const auto found = std::ranges::lower_bound(by_name_, std::string_view(name), {}, name_of);
    if (found != by_name_.end() && (*found)->first == name) value = &(*found)->second;
  }
  return value == nullptr || value->is_null() ? nullptr : value;
}

template <typename Value, typename Convert>
std::optional<Value> JsonObject::Read(const char* name, const char* expected, Convert convert) {
  const Json* json = Find(name);
  if (json == nullptr) return std::nullopt;
  std::optional<Value> value = convert(*json);
  if (!value) Reject(name, fmt::format("{}{} must be {}, not {}", path_, name, expected, Shown(*json)));
  return value;
}

bool JsonObject::Has(const char* name) {
  Record(name, [] { return Json::object(); });
  return Find(name) != nullptr;
}

void JsonObject::Require(const char* name, std::string message) {
  if (recorder_ != nullptr) return recorder_->Require(name);
  if (Find(name) == nullptr) Reject(name, std::move(message));
}

void JsonObject::RequireOneOf(std::initializer_list<const char*> names, std::string message) {
  if (recorder_ != nullptr) return recorder_->RequireOneOf(names);
  if (std::ranges::none_of(names, [this](const char* name) { return Find(name) != nullptr; })) Reject(*names.begin(), std::move(message));
}

const Json* JsonObject::Any(const char* name) {
  Record(name, [] { return Json::object(); });
  return Find(name);
}

void JsonObject::Object(const char* name, const KnownFields& others, const std::function<void(JsonObject&)>& read) {
  const auto read_all = [&](JsonObject& inner) {
    read(inner);
    return inner.Finish(others);
  };
  const Json* json = Any(name, [&] { return SchemaOf(read_all); });
  if (json == nullptr) return;
  if (!json->is_object()) return Reject(name, fmt::format("{}{} must be an object", path_, name));
  JsonObject inner = Inner(*json, std::string(name) + ".");
  if (Status status = read_all(inner); !status) Reject(std::move(status.error()));
}

Json JsonObject::SchemaOf(const std::function<void(JsonObject&)>& read) const { return DescribeFields(read, ignored_); }

Json DescribeFields(const std::function<void(JsonObject&)>& read, IgnoredFields* ignored) {
  const auto run = [&](std::size_t kind) {
    FieldRecorder recorder(kind);
    JsonObject object(recorder, ignored);
    read(object);
    return recorder;
  };
  const FieldRecorder first = run(0);
  if (first.kinds() == 0) return first.Schema();
  Json kinds = Json::array({first.Schema()});
  for (std::size_t kind = 1; kind < first.kinds(); ++kind) kinds.push_back(run(kind).Schema());
  return Json{{"anyOf", std::move(kinds)}};
}

std::optional<std::string> JsonObject::Word(const char* name, std::initializer_list<const char*> values) {
  Record(name, [&] { return words::Enum(values); });
  std::optional<std::string> word = String(name);
  if (!word || std::ranges::find(values, *word) != values.end()) return word;
  std::string list;
  for (const char* value : values) list += fmt::format("{}{}", list.empty() ? "" : value == *(values.end() - 1) ? " or " : ", ", value);
  Reject(name, fmt::format("{}{} must be {}", path_, name, list));
  return std::nullopt;
}

std::string JsonObject::Tag(const char* name, std::initializer_list<const char*> values, const char* absent) {
  if (recorder_ != nullptr) return recorder_->Tag(name, std::span(values.begin(), values.size()), absent);
  const std::string word = String(name).value_or(absent);
  return std::ranges::find(values, word) != values.end() ? word : "";
}

std::optional<std::string> JsonObject::String(const char* name) {
  Record(name, [] { return words::String(); });
  return Read<std::string>(name, "a string", [](const Json& json) -> std::optional<std::string> {
    if (!json.is_string()) return std::nullopt;
    return json.get<std::string>();
  });
}

std::optional<bool> JsonObject::Bool(const char* name) {
  Record(name, [] { return words::Bool(); });
  return Read<bool>(name, "true or false", [](const Json& json) -> std::optional<bool> {
    if (!json.is_boolean()) return std::nullopt;
    return json.get<bool>();
  });
}

std::optional<std::int64_t> JsonObject::Int(const char* name, std::int64_t least, std::int64_t most) {
  Record(name, [=] { return words::Integer(least, most); });
  const std::string expected = fmt::format("an integer from {} to {}", least, most);
  return Read<std::int64_t>(name, expected.c_str(), [&](const Json& json) -> std::optional<std::int64_t> {
    const auto value = AsInteger(json);
    if (!value || *value < least || *value > most) return std::nullopt;
    return value;
  });
}

std::optional<double> JsonObject::Number(const char* name, double least, double most) {
  Record(name, [=] { return words::Number(least, most); });
  const std::string expected = fmt::format("a number from {} to {}", least, most);
  return Read<double>(name, expected.c_str(), [&](const Json& json) -> std::optional<double> {
    if (!json.is_number()) return std::nullopt;
    const double value = json.get<double>();
    if (!std::isfinite(value) || value < least || value > most) return std::nullopt;
    return value;
  });
}

std::optional<std::vector<std::string>> JsonObject::Strings(const char* name, std::size_t most, std::size_t most_bytes) {
  Record(name, [=] { return words::AnyOf({words::Text(0, most_bytes), words::ListOf(words::Text(0, most_bytes), 0, most)}); });
  const std::string expected = fmt::format("a string of at most {} bytes, or an array of at most {} of them", most_bytes, most);
  using Values = std::vector<std::string>;
  return Read<Values>(name, expected.c_str(), [&](const Json& json) -> std::optional<Values> {
    Values values;
    const auto add = [&](const Json& item) {
      if (!item.is_string() || item.get_ref<const std::string&>().size() > most_bytes) return false;
      if (const auto& text = item.get_ref<const std::string&>(); !text.empty()) values.push_back(text);
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
  Record(name, [=] { return words::ListOf(words::TokenId(), 0, most); });
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
  known_.push_back(name);
  Reject({ErrorCode::kInvalidArgument, std::move(message), path_ + name});
}

void JsonObject::Reject(Error error) {
  if (!error_) error_ = std::move(error);
}

void JsonObject::LeaveOut(const std::string& path, std::string message) {
  if (ignored_ == nullptr) return Reject({ErrorCode::kInvalidArgument, std::move(message), path});
  ignored_->AddPath(path);
}

Status JsonObject::Finish(const KnownFields& others) const {
  if (recorder_ != nullptr) recorder_->Finish(others, ignored_ == nullptr);
  if (error_) return std::unexpected(*error_);
  for (const auto& item : json_.items()) {
    if (item.value().is_null() || IsKnown(item.key())) continue;
    if (Status status = CheckOther(item.key(), item.value(), others); !status) return status;
  }
  return {};
}

Status JsonObject::CheckOther(const std::string& name, const Json& value, const KnownFields& others) const {
  if (ignored_ != nullptr && ignored_->Has(others, name)) return {};
  const std::string path = path_ + Shortened(name);
  if (const KnownField* field = others.Find(name); field != nullptr) return CheckKnownField(*field, path, value);
  const auto near = std::ranges::find_if(known_, [&name](std::string_view known) { return IsMisspelt(name, known); });
  const std::string_view meant = near != known_.end() ? *near : others.Near(name);
  if (!meant.empty()) return InvalidArgument(fmt::format("unknown field {}: did you mean {}?", path, meant), path);
  if (ignored_ == nullptr) return InvalidArgument("unknown field " + path, path);
  if (ignored_->Add(others, name, path_ + name)) return {};
  return InvalidArgument(fmt::format("unknown field {}: there are more than {} names that nobody knows", path, IgnoredFields::kMostNames),
                         path);
}

}  // namespace cllm
