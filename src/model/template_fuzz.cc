// libFuzzer target: a model file's chat template, loaded, and rendered with a chat that has tools, calls and thoughts. Whatever it does
// ends within its bounds; what it writes trusts nothing of the chat.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/testing_fuzz.h"
#include "model/chat_template.h"

namespace cllm {
namespace {

constexpr char kNowhereElse[] = "QZX";

ChatPrompt WholeChat() {
  return {
      .messages =
          {{.role = "system", .content = kNowhereElse},
           {.role = "user", .content = kNowhereElse},
           {.role = "assistant", .content = "a", .reasoning_content = kNowhereElse, .tool_calls = {{"c", "look", R"({"at":"QZX"})"}}},
           {.role = "tool", .content = kNowhereElse, .tool_call_id = "c"},
           {.role = "user", .content = "So?"}},
      .tools = {{.name = "look", .description = kNowhereElse, .parameters = R"({"type":"object","properties":{"at":{"type":"string"}}})"}}};
}

}  // namespace
}  // namespace cllm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (text.contains(kNowhereElse)) return 0;
  const auto made = ChatTemplate::FromText(text);
  if (!made->status()) return 0;
  const auto prepared = made->Prepare(WholeChat());
  if (!prepared) return 0;
  const MarkedText& prompt = prepared->prompt;
  std::size_t last = 0;
  for (const auto& [begin, end] : prompt.trusted) {
    Require(last <= begin && begin < end && end <= prompt.text.size());
    Require(!prompt.text.substr(begin, end - begin).contains(kNowhereElse));
    last = end;
  }
  return 0;
}
