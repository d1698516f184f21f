// Short ways to look at a dialect's errors and frames, for the tests of this folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "api/dialect.h"
#include "api/json_object.h"

namespace cllm {

// A body as the dialect needs it at least, with one field added or replaced. `value` is JSON.
inline std::string With(const char* base, const std::string& name, const std::string& value) {
  Json json = Json::parse(base);
  json[name] = Json::parse(value);
  return json.dump();
}

inline Error ErrorOf(const Dialect& dialect, std::string_view body) {
  const Result<ParsedCall> call = dialect.Parse(body);
  EXPECT_FALSE(call) << body;
  return call ? Error{} : call.error();
}

// A wrong value of a field: the message says what is expected and names the field.
struct WrongField {
  const char* name;
  const char* value;
  const char* message;
};

inline void ExpectWrongFields(const Dialect& dialect, const char* base, const std::vector<WrongField>& fields) {
  for (const auto& [name, value, message] : fields) {
    const Error error = ErrorOf(dialect, With(base, name, value));
    EXPECT_EQ(error, (Error{ErrorCode::kInvalidArgument, message, name})) << name << " = " << value;
  }
}

inline ParsedCall Parsed(const Dialect& dialect, std::string_view body) {
  Result<ParsedCall> call = dialect.Parse(body);
  EXPECT_TRUE(call) << body << ": " << (call ? "" : call.error().message);
  return call ? std::move(*call) : ParsedCall{};
}

// The JSON of each "data: …" frame; "[DONE]" becomes a string.
inline std::vector<Json> Frames(std::string_view stream) {
  std::vector<Json> frames;
  while (!stream.empty()) {
    const auto end = stream.find("\n\n");
    EXPECT_TRUE(stream.starts_with("data: ") && end != std::string_view::npos) << stream;
    if (end == std::string_view::npos) break;
    const std::string_view data = stream.substr(6, end - 6);
    frames.push_back(data == "[DONE]" ? Json(data) : Json::parse(data));
    stream.remove_prefix(end + 2);
  }
  return frames;
}

inline std::vector<std::string> Keys(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  return keys;
}

inline GenerationEnd GoodEnd(FinishReason reason = FinishReason::kLength) {
  return {.status = {},
          .reason = reason,
          .prompt_tokens = 7,
          .cached_tokens = 3,
          .generated_tokens = 10,
          .seed = 42,
          .response_time_s = 2.0,
          .generation_time_s = 1.5};
}

inline GenerationEnd BadEnd() {
  GenerationEnd end;
  end.status = Fail(ErrorCode::kTimedOut, "too late");
  return end;
}

}  // namespace cllm
