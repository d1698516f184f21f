// Writes the answer to one request of OpenAI's Responses and keeps it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/dialect.h"
#include "api/response_output.h"
#include "api/response_store.h"

namespace cllm {

class ResponseWriter : public AnswerWriter {
 public:
  struct Parts {
    ModelCard model;
    std::string request_fields;  // what the answer repeats of its request: fields of an object, without its braces
    bool stream = false;
    bool shows_logprobs = false;
    std::map<std::string, NamespacedName> namespaced = {};  // as ToolSettings has it
    std::shared_ptr<ResponseStore> store = nullptr;         // nullptr: the answer is not kept
    std::string owner = {};
    StoredTurns before = {};
    std::vector<StoredItem> input = {};
  };
  explicit ResponseWriter(Parts parts);

  const std::string& id() const override { return id_; }
  std::string StreamDelta(const TextDelta& delta) override;
  std::string StreamEnd(const GenerationEnd& end) override;
  std::string Whole(const std::vector<TextDelta>& answers, const GenerationEnd& end) override;
  std::size_t held_bytes() const override { return output_.bytes(); }

 private:
  // The response as it stands. `end`: nullptr while it is in progress.
  std::string Object(const GenerationEnd* end) const;
  // The response with all of its items, which is kept.
  std::string EndedBody(const GenerationEnd& end);
  void Begin();
  void Keep(const std::string& body);

  Parts parts_;
  std::string id_;
  std::int64_t created_;
  EventStream events_;
  ResponseOutput output_;
  bool has_begun_ = false;
};

// What it writes: the whole object, and the data of the frames of a stream.
Json ResponseSchema();
Json ResponseEventSchema();

}  // namespace cllm
