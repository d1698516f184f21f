// What OpenAI's two generation endpoints share.
#pragma once

#include <string>

#include "api/dialect.h"
#include "api/json_object.h"

namespace cllm {

struct StreamSettings {
  bool stream = false;
  bool include_usage = false;
};

// stream and stream_options.
StreamSettings ReadStreamFields(JsonObject& object);

// Most answers to one request, over all of its prompts.
inline constexpr int kMostChoices = 128;

// n, and best_of where it is the same.
int ReadChoices(JsonObject& object, int prompts);

// Fields that change no answer here (user, metadata, cache hints …), and those that would and are not supported: these are
// accepted only with the value that means "off".
void ReadHintsAndUnsupported(JsonObject& object);

std::string OpenAiFinishReason(FinishReason reason);
Json UsageObject(const GenerationEnd& end);

// The bytes of a token as text for JSON: parts of characters become U+FFFD.
std::string TokenShown(const std::string& bytes);

}  // namespace cllm
