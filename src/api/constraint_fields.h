// What an answer has to look like: response_format, and the fields of vLLM, SGLang and llama-server for the same.
#pragma once

#include "api/json_object.h"
#include "service/generation.h"

namespace cllm {

// response_format, json_schema, guided_json, guided_regex, guided_choice, guided_grammar, structured_outputs, regex, ebnf, grammar. At
// most one of them may ask for something. A schema of which a keyword can't be kept is refused with the place where it stands.
void ReadConstraint(JsonObject& object, GenerateRequest& request);

// The same for a field `name` that is {"type": …, "schema": …}, as `format` of OpenAI's Responses and Anthropic's Messages; `path` is the
// name with where it stands.
void ReadSchemaFormat(JsonObject& object, const char* name, const std::string& path, GenerateRequest& request);

// The same for Ollama's `format`: "json" or a schema.
void ReadBareFormat(JsonObject& object, const char* name, GenerateRequest& request);

}  // namespace cllm
