// What the API's own description (/openapi.json) says of one route beside what the table of routes does. Requests come from the readers
// that validate them (see DescribeFields); answers are held against their schemas in tests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace cllm {

struct QueryField {
  const char* name;
  Json schema;
};

struct Operation {
  Json request = nullptr;       // schema of the body; null: there is none
  Json answer = nullptr;        // schema of a good answer; null: there is none
  Json frame = nullptr;         // schema of the data of a stream's frames; null: nothing is streamed
  bool ends_with_done = false;  // the last frame of a stream is [DONE]
  // How a stream is framed: as events, or a JSON document a line.
  std::string_view stream_type = "text/event-stream";
  std::vector<QueryField> query = {};
  bool is_probe = false;     // 503 comes with the answer's body
  bool takes_calls = false;  // generates: what comes in headers beside
};

}  // namespace cllm
