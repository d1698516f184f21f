#include "base/json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/utf8.h"

namespace cllm {
namespace {

// "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error …" without its brackets.
std::string WithoutBrackets(const std::string& what) {
  const auto end = what.find("] ");
  return end == std::string::npos ? what : what.substr(end + 2);
}

// Builds a document from the events of the library's parser. The library's own builders look a key up among those before it, and
// copy what an object holds whenever it grows: both take time by the square. Here an object's fields are gathered first.
class DocumentBuilder {
 public:
  // `what` names the text in messages.
  DocumentBuilder(std::string_view what, DuplicateNames duplicates, const StopCheck& stop)
      : what_(what), duplicates_(duplicates), stop_(stop) {}

  bool null() { return Take(nullptr); }
  bool boolean(bool value) { return Take(value); }
  bool number_integer(std::int64_t value) { return Take(value); }
  bool number_unsigned(std::uint64_t value) { return Take(value); }
  bool number_float(double value, const std::string& /*text*/) { return Take(value); }
  bool string(std::string& value) { return Take(std::move(value)); }
  bool binary(Json::binary_t& /*value*/) { return false; }  // text has none
  bool start_object(std::size_t /*unknown*/) { return Open(true); }
  bool start_array(std::size_t /*unknown*/) { return Open(false); }
  bool key(std::string& name);
  bool end_object();
  bool end_array();
  bool parse_error(std::size_t byte, const std::string& /*token*/, const nlohmann::detail::exception& error);

  // After the parser is through.
  Result<Json> Finish();

 private:
  struct Field {
    std::string name;
    Json value;
  };
  struct Container {
    bool is_object = false;
    std::vector<Field> fields;
    std::vector<Json> items;
  };

  bool Open(bool is_object);
  bool Take(Json value);
  bool Count();
  bool FailWith(Error error);
  bool KeepLastOfEachName(std::vector<Field>& fields);

  std::string_view what_;
  DuplicateNames duplicates_;
  const StopCheck& stop_;
  std::vector<Container> open_;  // from the outermost to the innermost
  std::size_t values_ = 0;
  Json document_;
  std::optional<Error> error_;
};

bool DocumentBuilder::FailWith(Error error) {
  if (!error_) error_ = std::move(error);
  return false;
}

// One more value.
bool DocumentBuilder::Count() {
  constexpr std::size_t kBetweenLooks = 4096;
  if (++values_ > kMostJsonValues) {
    return FailWith({ErrorCode::kInvalidArgument, fmt::format("the JSON has more than {} values", kMostJsonValues), {}});
  }
  if (values_ % kBetweenLooks != 0 || !stop_) return true;
  const Status status = stop_();
  return status || FailWith(status.error());
}

bool DocumentBuilder::Open(bool is_object) {
  if (open_.size() >= static_cast<std::size_t>(kMostJsonDepth)) {
    return FailWith({ErrorCode::kInvalidArgument, fmt::format("the JSON is nested more than {} levels deep", kMostJsonDepth), {}});
  }
  open_.push_back({.is_object = is_object, .fields = {}, .items = {}});
  return true;
}

bool DocumentBuilder::Take(Json value) {
  if (!Count()) return false;
  if (open_.empty()) {
    document_ = std::move(value);
  } else if (Container& parent = open_.back(); parent.is_object) {
    parent.fields.back().value = std::move(value);
  } else {
    parent.items.push_back(std::move(value));
  }
  return true;
}

bool DocumentBuilder::key(std::string& name) {
  std::vector<Field>& fields = open_.back().fields;
  if (fields.size() >= kMostJsonFields) {
    return FailWith({ErrorCode::kInvalidArgument, fmt::format("the JSON has an object with more than {} fields", kMostJsonFields), {}});
  }
  fields.push_back({.name = std::move(name), .value = {}});
  return true;
}

// Sorted rather than hashed, so that no choice of names makes it slow.
bool DocumentBuilder::KeepLastOfEachName(std::vector<Field>& fields) {
  std::vector<const Field*> order;
  order.reserve(fields.size());
  for (const Field& field : fields) order.push_back(&field);
  std::ranges::sort(order, [](const Field* a, const Field* b) { return std::tie(a->name, a) < std::tie(b->name, b); });
  std::vector<bool> is_repeated(fields.size());
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    if (order[i]->name != order[i + 1]->name) continue;
    if (duplicates_ == DuplicateNames::kAreErrors) {
      return FailWith(
          {ErrorCode::kInvalidArgument, fmt::format("the JSON has an object with the name '{}' twice", Shortened(order[i]->name)), {}});
    }
    is_repeated[static_cast<std::size_t>(order[i] - fields.data())] = true;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (is_repeated[i]) continue;
    if (kept != i) fields[kept] = std::move(fields[i]);
    ++kept;
  }
  fields.resize(kept);
  return true;
}

bool DocumentBuilder::end_object() {
  std::vector<Field> fields = std::move(open_.back().fields);
  open_.pop_back();
  if (!KeepLastOfEachName(fields)) return false;
  Json object = Json::object();
  auto& members = object.get_ref<Json::object_t&>();
  members.reserve(fields.size());
  // The map's own way to add looks for the name first.
  for (Field& field : fields) members.Container::emplace_back(std::move(field.name), std::move(field.value));
  return Take(std::move(object));
}

bool DocumentBuilder::end_array() {
  Json array = Json::array();
  array.get_ref<Json::array_t&>() = std::move(open_.back().items);
  open_.pop_back();
  return Take(std::move(array));
}

bool DocumentBuilder::parse_error(std::size_t byte, const std::string& /*token*/, const nlohmann::detail::exception& error) {
  const std::string reason = Shortened(WithoutBrackets(error.what()));
  return FailWith({ErrorCode::kInvalidArgument, fmt::format("the {} is not valid JSON (byte {}): {}", what_, byte, reason), {}});
}

Result<Json> DocumentBuilder::Finish() {
  if (error_) return std::unexpected(*error_);
  return std::move(document_);
}

}  // namespace

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Result<Json> ParseJsonObject(std::string_view body, const StopCheck& stop) {
  DocumentBuilder builder("body", DuplicateNames::kLastCounts, stop);
  Json::sax_parse(body, &builder);
  Result<Json> document = builder.Finish();
  if (document && !document->is_object()) return InvalidArgument("the body must be a JSON object");
  return document;
}

Result<Json> ParseJson(std::string_view text, DuplicateNames duplicates, const StopCheck& stop) {
  DocumentBuilder builder("text", duplicates, stop);
  Json::sax_parse(text, &builder);
  return builder.Finish();
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

}  // namespace cllm
