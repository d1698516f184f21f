// libFuzzer target: stop strings and a text, both hostile. The matcher finds what a search for every string at every place finds,
// however the text is cut, and takes no longer than the text is worth.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/testing_fuzz.h"
#include "service/stop_matcher.h"

namespace cllm {
namespace {

constexpr std::size_t kMostStrings = 16;
constexpr std::size_t kMostBytes = 1024;

// The text up to the string that is complete first; of those that end together the longest.
std::string Searched(const std::vector<std::string>& strings, std::string_view text) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& string : strings) {
      if (text.substr(0, end).ends_with(string)) longest = std::max(longest, string.size());
    }
    if (longest > 0) return std::string(text.substr(0, end - longest));
  }
  return std::string(text);
}

std::string Matched(const std::vector<std::string>& strings, std::string_view text, std::size_t piece) {
  StopMatcher matcher(std::make_shared<const StopStrings>(strings));
  std::string found;
  for (std::size_t at = 0; at < text.size(); at += piece) found += matcher.Push(text.substr(at, piece));
  return found + matcher.Finish();
}

}  // namespace
}  // namespace cllm

// Up to 16 strings, each behind its length in one or two bytes, then the text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto take = [&rest](std::size_t bytes) {
    const std::string_view taken = rest.substr(0, bytes);
    rest.remove_prefix(taken.size());
    return taken;
  };
  if (rest.empty()) return 0;
  const std::size_t count = static_cast<unsigned char>(take(1)[0]) % (kMostStrings + 1);
  std::vector<std::string> strings;
  for (std::size_t i = 0; i < count && !rest.empty(); ++i) {
    const std::size_t length = static_cast<unsigned char>(take(1)[0]);
    std::string string(take(length < 250 ? length : kMostBytes * (length - 249) / 6));
    if (!string.empty()) strings.push_back(std::move(string));
  }
  std::string whole;
  RequireCheap(size, [&] { whole = Matched(strings, rest, 4096); });
  RequireCheap(size, [&] { Require(Matched(strings, rest, 1) == whole); });
  constexpr std::size_t kSearched = 2000;
  if (rest.size() <= kSearched) Require(Searched(strings, rest) == whole);
  return 0;
}
