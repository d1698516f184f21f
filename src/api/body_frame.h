// The frame of the small endpoints: a body's fields are read, what nobody knows is left aside, and the answer is one JSON object.
#pragma once

#include <string>
#include <string_view>

#include "api/json_object.h"

namespace cllm {

// `read(JsonObject&)` takes the fields and rejects wrong ones; `answer(its result)` gives a Result<Json> and is called
// only where nothing was rejected. Any `model` is accepted. `others`: what the object may hold beside the fields that are read.
template <typename Read, typename Answer>
Result<std::string> AnswerBody(std::string_view body, Read read, Answer answer, const KnownFields& others = {}) {
  const Result<Json> json = ParseJsonObject(body);
  if (!json) return std::unexpected(json.error());
  IgnoredFields ignored;
  JsonObject object(*json, {}, &ignored);
  const auto fields = read(object);
  object.Ignore("model");
  if (const Status status = object.Finish(others); !status) return std::unexpected(status.error());
  const Result<Json> result = answer(fields);
  if (!result) return std::unexpected(result.error());
  return Dump(*result);
}

}  // namespace cllm
