// The frame of the small endpoints: a body's fields are read, what nobody knows is left aside, and the answer is one JSON object.
#pragma once

#include <string>
#include <string_view>

#include "api/json_object.h"
#include "api/work.h"
#include "base/chunked_text.h"

namespace cllm {

// Any `model` is accepted.
inline Status FinishBody(JsonObject& object, const KnownFields& others) {
  object.Ignore("model");
  return object.Finish(others);
}

// `read(JsonObject&)` takes the fields and rejects wrong ones; `answer(its result)` gives a Result<ChunkedText> and is called
// only where nothing was rejected. `others`: what the object may hold beside the fields that are read.
template <typename Read, typename Answer>
Result<ChunkedText> AnswerBody(std::string_view body, const WorkLimits& limits, Read read, Answer answer, const KnownFields& others = {}) {
  const Result<Json> json = ParseJsonObject(body, limits.stop);
  if (!json) return std::unexpected(json.error());
  IgnoredFields ignored;
  JsonObject object(*json, {}, &ignored);
  const auto fields = read(object);
  if (const Status status = FinishBody(object, others); !status) return std::unexpected(status.error());
  return answer(fields);
}

// The schema of the body that AnswerBody reads with `read`.
template <typename Read>
Json DescribeBodyOf(Read read, const KnownFields& others = {}) {
  IgnoredFields ignored;
  const auto read_all = [&](JsonObject& object) {
    read(object);
    static_cast<void>(FinishBody(object, others));
  };
  return DescribeFields(read_all, &ignored);
}

}  // namespace cllm
