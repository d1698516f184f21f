// Which model a request means by the name that it gives.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace cllm {

struct NamedModel {
  std::string name;
  std::vector<std::string> aliases;  // names, or patterns in which * stands for any text
};

class ModelNames {
 public:
  // Empty text, and a name or alias that two have, are errors.
  static Result<ModelNames> Create(std::vector<NamedModel> models);

  // Its place among the models. A name goes before an alias, and both before a pattern; of several patterns the first counts. A name may
  // have the tag that Ollama's clients write: "name:latest", and "smollm2:135m" for smollm2-135m. Empty text is the first model.
  // kModelNotFound, which says what there is.
  Result<std::size_t> Find(std::string_view text) const;

 private:
  std::optional<std::size_t> FindExactly(std::string_view text) const;
  std::optional<std::size_t> FindPattern(std::string_view text) const;
  std::string List() const;

  std::vector<NamedModel> models_;
};

// Whether `text` is what `pattern` stands for, in a time by the product of their lengths at most.
bool MatchesPattern(std::string_view text, std::string_view pattern);

}  // namespace cllm
