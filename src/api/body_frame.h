// The frame of the small endpoints: a body's fields are read, what nobody knows is left aside, and the answer is one JSON object.
#pragma once

#include <string>
#include <string_view>

#include "api/json_object.h"
#include "api/work.h"
#include "base/chunked_text.h"

namespace cllm {

// `read(JsonObject&)` takes the fields and rejects wrong ones; `answer(its result)` gives a Result<ChunkedText> and is called
// only where nothing was rejected. Any `model` is accepted. `others`: what the object may hold beside the fields that are read.
template <typename Read, typename Answer>
Result<ChunkedText> AnswerBody(std::string_view body, const WorkLimits& limits, Read read, Answer answer, const KnownFields& others = {}) {
  const Result<Json> json = ParseJsonObject(body, limits.stop);
  if (!json) return std::unexpected(json.error());
  IgnoredFields ignored;
  JsonObject object(*json, {}, &ignored);
  const auto fields = read(object);
  object.Ignore("model");
  if (const Status status = object.Finish(others); !status) return std::unexpected(status.error());
  return answer(fields);
}

}  // namespace cllm
