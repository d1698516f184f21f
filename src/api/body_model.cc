#include "api/body_model.h"

#include <cstddef>

#include "base/json.h"

namespace cllm {
namespace {

// No name is longer; nor is "model", with each letter escaped.
constexpr std::size_t kMostNameBytes = 4096;

// Where the string ends that begins with the quote at `at`: behind its last quote, or at the end of the body.
std::size_t EndOfString(std::string_view body, std::size_t at) {
  for (++at; at < body.size(); ++at) {
    if (body[at] == '"') return at + 1;
    if (body[at] == '\\') ++at;
  }
  return body.size();
}

// What a string with its quotes says, or the beginning of one that is too long; nothing where it is none.
std::string QuotedTextOf(std::string_view quoted) {
  if (quoted.size() > kMostNameBytes) return std::string(quoted.substr(1, kMostNameBytes));
  const Result<Json> text = ParseJson(quoted, DuplicateNames::kLastCounts);
  return text && text->is_string() ? text->get<std::string>() : std::string();
}

bool IsKey(std::string_view quoted) { return quoted == "\"model\"" || (quoted.contains('\\') && QuotedTextOf(quoted) == "model"); }

}  // namespace

std::string ModelOfBody(std::string_view body) {
  std::string model;
  int depth = 0;
  bool is_key = false;    // a string that comes next is one
  bool is_model = false;  // the value that comes next is the model's
  for (std::size_t at = 0; at < body.size();) {
    const char c = body[at];
    if (c == '"') {
      const std::size_t end = EndOfString(body, at);
      const std::string_view quoted = body.substr(at, end - at);
      if (depth == 1 && is_key) {
        is_model = IsKey(quoted);
        if (is_model) model.clear();
      } else if (depth == 1 && is_model) {
        model = QuotedTextOf(quoted);
      }
      at = end;
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (c == '{' || c == ',') is_key = true;
    if (c == ':' || c == '[') is_key = false;
    if (c == ',' && depth == 1) is_model = false;
    ++at;
  }
  return model;
}

}  // namespace cllm
