#include "api/embedding_output.h"

#include <bit>
#include <iterator>
#include <span>
#include <string>

#include <fmt/format.h>

#include "base/base64.h"

namespace cllm {

static_assert(std::endian::native == std::endian::little, "numbers go out as they lie in memory");

void EmbeddingOutput::AddNumbers(const std::vector<float>& numbers) {
  std::string text = "[";
  for (const float number : numbers) fmt::format_to(std::back_inserter(text), "{}{}", text.size() > 1 ? "," : "", number);
  Add(text + "]");
}

void EmbeddingOutput::AddBase64(const std::vector<float>& numbers) { Add("\"" + Base64(std::as_bytes(std::span(numbers))) + "\""); }

Status EmbeddingOutput::Check() const {
  if (Status status = limits_.stop(); !status) return status;
  return limits_.Hold(held_ + text_.size());
}

}  // namespace cllm
