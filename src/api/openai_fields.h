// What OpenAI's two generation endpoints share.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "api/dialect.h"
#include "api/json_object.h"
#include "api/request_defaults.h"
#include "api/schema_words.h"

namespace cllm {

struct StreamSettings {
  bool stream = false;
  bool include_usage = false;     // in a chunk of its own at the end
  bool continuous_usage = false;  // in every chunk, of the answer so far: vLLM's continuous_usage_stats
};

// stream and stream_options. Without a stream the options ask for nothing.
StreamSettings ReadStreamFields(JsonObject& object);

// Most answers to one request, over all of its prompts.
inline constexpr int kMostChoices = 128;

// n and best_of. `prompts`: how many there are.
void ReadChoices(JsonObject& object, int prompts, ParsedCall& call);

// Makes the answers of a call that is read otherwise comparable, where best_of asks for it; refuses a stream of them.
void PrepareBestOf(JsonObject& object, ParsedCall& call);

// Reads a body, with fields that nobody knows as `defaults` has them. `read(object, call)` reads to the end, Finish included.
template <typename Call, typename Read>
Result<Call> ReadBody(std::string_view body, const StopCheck& stop, const RequestDefaults& defaults, Read read) {
  const Result<Json> json = ParseJsonObject(body, stop);
  if (!json) return std::unexpected(json.error());
  IgnoredFields ignored;
  JsonObject object(*json, {}, defaults.unknown_fields == "ignore" ? &ignored : nullptr);
  Call call;
  if (const Status status = read(object, call); !status) return std::unexpected(status.error());
  call.ignored_fields = ignored.Take();
  return call;
}

// The schema of the body that ReadBody reads with `read`.
template <typename Call, typename Read>
Json DescribeBody(const RequestDefaults& defaults, Read read) {
  IgnoredFields ignored;
  const auto read_all = [&read](JsonObject& object) {
    Call unused;
    static_cast<void>(read(object, unused));
  };
  return DescribeFields(read_all, defaults.unknown_fields == "ignore" ? &ignored : nullptr);
}

// The schemas of a whole answer with `choice`s, of an object of this name, and of the frames of a stream.
// `others`: members that they may have besides.
Json EnvelopeSchema(const char* object, Json choice, bool is_whole, const words::Members& others = {});
Json StreamSchema(const char* object, Json choice, const words::Members& others = {});

std::string OpenAiFinishReason(FinishReason reason);
TokenCounts CountsOf(const GenerationEnd& end);
// The usage of a whole answer, and of a part of one so far.
Json UsageObject(const GenerationEnd& end);
Json UsageObject(const TokenCounts& counts);

// A token with its log-probability, as chats and Responses write it.
Json TokenLogprobSchema();

// vLLM's prompt_logprobs: how many alternatives to each token of the prompt are wanted. Nothing where none is scored.
std::optional<int> ReadPromptLogprobs(JsonObject& object, bool is_stream);
// The field of that name in the answer, with `alternatives` of each token.
Json PromptLogprobs(std::span<const PromptToken> prompt, int alternatives);
Json PromptLogprobsSchema();

// A log-probability that JSON can have; -infinity is vLLM's -9999.
float LogprobShown(float logprob);

// The bytes of a token as text for JSON: parts of characters become U+FFFD.
std::string TokenShown(const std::string& bytes);

inline constexpr std::int64_t kMostTopLogprobs = 20;  // OpenAI's bound
// Tokens with their log-probabilities, as chats and Responses have them.
Json LogprobEntries(std::span<const TokenText> tokens);

// What the objects of one answer have in common.
class OpenAiEnvelope {
 public:
  // `id_prefix`: "cmpl-" or "chatcmpl-".
  OpenAiEnvelope(const char* id_prefix, ModelCard model, StreamSettings stream);

  const std::string& id() const { return id_; }

  // An object with id, created, model and system_fingerprint, and no choices.
  Json Object(const char* object) const;
  // One frame of a stream. `counts`: of the answer so far. `others`: what it has beside.
  std::string Chunk(const char* object, Json choice, const TokenCounts& counts, const Json& others = Json::object()) const;
  // The frames after the last choice: usage, where it is wanted, and [DONE].
  std::string End(const char* object, const GenerationEnd& end, const Json& others = Json::object()) const;

 private:
  std::string id_;
  std::int64_t created_;
  ModelCard model_;
  StreamSettings stream_;
};

}  // namespace cllm
