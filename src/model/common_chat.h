// llama.cpp's `common` chat library, whose interface changes with every release: what this room includes of it, and the bounds
// under which its code runs. Only sources of this room include this.
#pragma once

#include <chat-peg-parser.h>
#include <chat.h>

#include <chrono>
#include <exception>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/status.h"
#include "base/stop_check.h"
#include "model/chat_template.h"

namespace cllm {

inline constexpr char kChatTemplateName[] = "the model's chat template";
inline constexpr std::chrono::seconds kMostChatTemplateLoadTime(2);

// Of one rendering of `prompt`.
jinja::limits ChatTemplateLimits(const ChatPrompt& prompt);
std::string ChatTemplateBound(const jinja::limit_exceeded& exceeded, const jinja::limits& limits);
// llama.cpp puts an excerpt of the template behind the first line.
std::string FirstLineOfMessage(std::string_view text);

common_chat_templates_inputs ToCommonInputs(const ChatPrompt& prompt);

// What `run` returns, within `limits`, `time` and until `stop` says otherwise.
template <typename Run>
auto WithinChatTemplateLimits(jinja::limits limits, std::chrono::steady_clock::duration time, const StopCheck& stop, Run run)
    -> Result<decltype(run())> {
  using Clock = std::chrono::steady_clock;
  constexpr const char* kName = kChatTemplateName;
  Status ended;
  const Clock::time_point until = Clock::now() + time;
  limits.stop = [&] {
    if (stop) ended = stop();
    if (ended && Clock::now() > until) {
      ended = InvalidArgument(
          fmt::format("{} takes longer than {} s", kName, std::chrono::duration_cast<std::chrono::seconds>(time).count()), "messages");
    }
    return !ended;
  };
  const jinja::meter meter(limits);
  try {
    return run();
  } catch (const jinja::limit_exceeded& exceeded) {
    if (!ended) return std::unexpected(ended.error());
    return InvalidArgument(ChatTemplateBound(exceeded, limits), "messages");
  } catch (const jinja::template_exception& raised) {
    // Templates refuse what their model was not trained on, such as two user messages in a row.
    return InvalidArgument(raised.text.empty() ? fmt::format("{} refuses these messages", kName) : raised.text, "messages");
  } catch (const jinja::rethrown_exception& failure) {
    return InvalidArgument(fmt::format("{} fails: {}", kName, FirstLineOfMessage(failure.cause)), "messages");
  } catch (const std::exception& failure) {
    return InvalidArgument(fmt::format("{} fails: {}", kName, FirstLineOfMessage(failure.what())), "messages");
  }
}

}  // namespace cllm
