#include "schema/reference.h"

#include <charconv>
#include <cstddef>
#include <optional>

#include <fmt/format.h>

#include "base/utf8.h"
#include "schema/json_value.h"

namespace cllm {
namespace {

std::string WithoutPercents(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const bool is_escape = text[i] == '%' && i + 2 < text.size() &&
                           std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr == text.data() + i + 3;
    decoded += is_escape ? static_cast<char>(byte) : text[i];
    if (is_escape) i += 2;
  }
  return decoded;
}

// "~1" → "/", "~0" → "~".
std::string PointerToken(std::string_view text) {
  std::string token;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape = text[i] == '~' && i + 1 < text.size() && (text[i + 1] == '0' || text[i + 1] == '1');
    token += is_escape ? (text[i + 1] == '0' ? '~' : '/') : text[i];
    if (is_escape) ++i;
  }
  return token;
}

const Json* Child(const Json& parent, const std::string& token) {
  if (parent.is_object()) {
    const auto found = parent.find(token);
    return found == parent.end() ? nullptr : &*found;
  }
  if (!parent.is_array() || token.empty() || (token.size() > 1 && token[0] == '0')) return nullptr;
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (error != std::errc() || end != token.data() + token.size() || index >= parent.size()) return nullptr;
  return &parent[index];
}

}  // namespace

Result<SchemaTarget> ResolveReference(const Json& root, std::string_view reference) {
  const std::string shown = Shortened(reference);
  if (!reference.starts_with('#') || (reference.size() > 1 && reference[1] != '/')) {
    return InvalidArgument(fmt::format("the reference '{}' leads out of the schema or to an anchor: only # and #/… are followed", shown));
  }
  SchemaTarget target{.schema = &root, .pointer = {}};
  const std::string pointer = WithoutPercents(reference.substr(1));
  if (!IsValidUtf8(pointer)) return InvalidArgument(fmt::format("the reference '{}' is not valid UTF-8", shown));
  for (std::size_t begin = 1; begin <= pointer.size();) {
    const std::size_t end = std::min(pointer.find('/', begin), pointer.size());
    const std::string token = PointerToken(std::string_view(pointer).substr(begin, end - begin));
    target.schema = Child(*target.schema, token);
    if (target.schema == nullptr) return InvalidArgument(fmt::format("the reference '{}' leads nowhere", shown));
    target.pointer = PointerBelow(target.pointer, token);
    if (target.schema->is_object() && target.schema->contains("$id") && (*target.schema)["$id"].is_string()) {
      return InvalidArgument(fmt::format("the reference '{}' leads into a schema with an $id of its own", shown));
    }
    begin = end + 1;
  }
  return target;
}

}  // namespace cllm
