// The fields of a request that become a chat's prompt: messages, and what its template is told.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "api/json_object.h"
#include "service/generation.h"

namespace cllm {

// Most messages of one conversation, or items of which it is made.
inline constexpr std::size_t kMostMessages = 10'000;

// messages, chat_template_kwargs, reasoning_effort (OpenAI), reasoning (OpenRouter), thinking (DeepSeek, Anthropic),
// enable_thinking, add_generation_prompt, continue_final_message, add_special_tokens. A conversation that ends with an
// assistant's message goes on with it unless one of the last but one says otherwise, as llama-server has it.
// `hides_thoughts`: whether the answer is to come without them (OpenRouter's reasoning.exclude, Groq's reasoning_format: hidden), for who
// can do that.
ChatPrompt ReadChatPrompt(JsonObject& object, bool* hides_thoughts = nullptr);

// What the template is told beside the messages: chat_template_kwargs, reasoning_effort, reasoning, thinking, enable_thinking, verbosity.
void ReadTemplateArguments(JsonObject& object, ChatPrompt& prompt, bool* hides_thoughts = nullptr);

// How much the model is to write, which its template may know something of.
void ReadVerbosity(JsonObject& object, ChatPrompt& prompt);

// Tells the template one argument, on behalf of the field `field`, which is rejected where another one says something else.
void SetTemplateArgument(JsonObject& object, const char* field, const char* argument, const Json& value, ChatPrompt& prompt);

// Joins the parts of a message.
void AppendLine(std::string& text, const std::string& line);

// A message's text and, of an assistant's, the thoughts among its parts.
struct MessageContent {
  std::string text;
  std::string thoughts;
};

// The field `name` of the message at `path`: a string, or an array of parts. Nothing where it isn't there, or is rejected.
std::optional<MessageContent> ReadContent(JsonObject& message, const char* name, const std::string& path, bool must_be_there = true);

}  // namespace cllm
