// A dialect: how one family of clients asks and wants to be answered. JSON in, JSON out; no sockets.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/operation.h"
#include "base/status.h"
#include "base/stop_check.h"
#include "service/generation.h"

namespace cllm {

// What every dialect may name in its answers.
struct ModelCard {
  std::string id;  // the alias, or the file's name without its extension
  std::int64_t created_unix_s = 0;
  std::string fingerprint = {};  // of what computes the answers: the program, the model and the settings; empty: not shown
};

// Writes one answer. Made by Dialect::Parse for its request.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  // As the answer names itself.
  virtual const std::string& id() const = 0;
  // Server-sent events, ready for the wire. StreamEnd's last frame says that the stream is complete, or why it is not.
  virtual std::string StreamDelta(const TextDelta& delta) = 0;
  virtual std::string StreamEnd(const GenerationEnd& end) = 0;
  // The body of an answer that is not streamed, one text for each choice; `end.status` is success.
  virtual std::string Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) = 0;
  // What it holds of a stream until its end.
  virtual std::size_t held_bytes() const { return 0; }
};

struct ParsedCall {
  GenerateRequest request;
  // Where several answers are wanted; see MakeChoices.
  std::vector<Prompt> further_prompts;
  int choices = 1;
  // So many are computed for each prompt, of which the `choices` likeliest are the answer; see BestOfSink.
  int best_of = 1;
  bool stream = false;
  std::unique_ptr<AnswerWriter> writer;
  // The body of the answer, where nothing has to be computed for it.
  std::optional<std::string> ready_answer = {};
  // Its model is to be taken out of memory, where who asks may do that.
  bool asks_to_unload = false;
  // Paths of fields that nobody knows: few, short and of characters that can stand in a header.
  std::vector<std::string> ignored_fields;
  // Where the schemas of its tools ask for what is not kept.
  std::vector<std::string> relaxed_schema;
  // What it holds in memory beside what stood in its body.
  std::size_t held_bytes = 0;
  // What the beginning of its stream, or a whole answer, repeats of the request.
  std::size_t repeated_bytes = 0;
};

inline constexpr std::string_view kLinesType = "application/x-ndjson";  // a JSON document a line
inline constexpr std::string_view kEventStreamType = "text/event-stream; charset=utf-8";

class Dialect {
 public:
  virtual ~Dialect() = default;
  // `stop` is asked now and then while a long body is read.
  virtual Result<ParsedCall> Parse(std::string_view body, const StopCheck& stop = {}) const = 0;
  // The same where something is kept between requests: what others than `owner` keep is not there. Empty: who comes without a key.
  virtual Result<ParsedCall> ParseFor(const std::string& /*owner*/, std::string_view body, const StopCheck& stop) const {
    return Parse(body, stop);
  }
  // Whether all that is read is the body, so that a short one takes no time.
  virtual bool ReadsBodyAlone() const { return true; }
  // The content type of its streams.
  virtual std::string_view StreamType() const { return kEventStreamType; }
  // What a stream says while there is nothing to say, so that no proxy takes it for dead; empty: the dialect has no word for it.
  virtual std::string_view KeepAlive() const { return ": waiting\n\n"; }
  // What it reads and writes, for the API's description.
  virtual Operation Describe() const { return {}; }
};

// One server-sent event that carries `json`.
std::string SseFrame(const std::string& json);

// 128 random bits in hexadecimal.
std::string RandomHexId();

}  // namespace cllm
