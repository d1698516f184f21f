// Texts in JSON that others wrote.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace cllm {

// The text that an object has for `key`; empty where it is none, or `json` no object.
inline std::string TextOf(const nlohmann::json& json, const char* key) {
  if (!json.is_object()) return {};
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace cllm
