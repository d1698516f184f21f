// What a user may set about the answers: fields of the API under their own names, with its bounds and its messages.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/json_object.h"
#include "base/status.h"
#include "service/generation.h"

namespace cllm {

class ChatSettings {
 public:
  struct Known {
    const char* name;  // as in the API: "top_p"
    const char* help;
  };
  // In the order in which they are shown.
  static std::span<const Known> All();

  // Checks and stores a value as a person writes it: 0.7, 42, or text for `stop`. "default" takes an earlier one back.
  // On an error, which names the bounds or the nearest setting, nothing changes.
  Status Set(std::string_view name, std::string_view text);

  // The value as text; "default" where it was not set. An error where there is no such setting.
  Result<std::string> Text(std::string_view name) const;

  // Only what was set, as fields of a request.
  const Json& fields() const { return fields_; }

  // Writes what was set into a request.
  Status Apply(GenerateRequest& request) const;

 private:
  Json fields_ = Json::object();
};

}  // namespace cllm
