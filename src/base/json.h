// JSON as the dialects read and write it. What comes from outside is read in time and memory by its length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "base/stop_check.h"

namespace cllm {

using Json = nlohmann::ordered_json;

inline constexpr int kMostJsonDepth = 64;
inline constexpr std::size_t kMostJsonFields = 2048;     // of one object
inline constexpr std::size_t kMostJsonValues = 1 << 20;  // of all, whatever they are

// An object from a request body. Bad JSON, bad UTF-8, a bound that is exceeded and anything but an object are errors; where a byte is
// to blame, the message names its offset. Of fields with one name the last counts. `stop` is asked now and then; its error is passed on.
Result<Json> ParseJsonObject(std::string_view body, const StopCheck& stop = {});

// What becomes of an object that has one name twice.
enum class DuplicateNames : std::uint8_t { kLastCounts, kAreErrors };

// Any JSON value, within the same bounds. Where somebody else reads the text as well, a name twice is ambiguous: he may take the first.
Result<Json> ParseJson(std::string_view text, DuplicateNames duplicates, const StopCheck& stop = {});

// The JSON as one line of valid UTF-8, whatever its strings hold.
std::string Dump(const Json& json);

// The integer that a JSON number is, however it is written: 42, 42.0, 4.2e1. Nothing for fractions, for what is beyond 64
// bits, and for fractional notation beyond 2^53, where neighbours can't be told apart.
std::optional<std::int64_t> AsInteger(const Json& json);

// A token id: an integer from 0 to 2^31-1.
std::optional<std::int32_t> AsTokenId(const Json& json);

}  // namespace cllm
