// Which web pages of other origins may read answers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace cllm {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

class Cors {
 public:
  Cors() = default;  // none: no header at all
  // "*" or origins as browsers send them: scheme://host, with a port where it is not the scheme's own.
  static Result<Cors> Create(const std::vector<std::string>& origins);

  bool enabled() const { return any_ || !origins_.empty(); }
  bool Allows(std::string_view origin) const;
  // What every answer to a page of `origin` carries; `origin` is empty where the client is no page.
  HeaderList AnswerHeaders(std::string_view origin) const;
  // What the answer to a browser's question beforehand carries. `requested_headers` is its
  // Access-Control-Request-Headers, `methods` what the path answers.
  HeaderList PreflightHeaders(std::string_view origin, std::string_view requested_headers, std::string_view methods) const;

 private:
  bool any_ = false;
  std::vector<std::string> origins_;
};

}  // namespace cllm
