// llama-server's own POST /completion and POST /infill.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "api/dialect.h"
#include "api/json_object.h"
#include "api/llama_writer.h"
#include "api/request_defaults.h"

namespace cllm {

enum class LlamaForm : std::uint8_t {
  kCompletion,  // goes on from a prompt
  kInfill,      // fills the gap between two texts
};

class LlamaDialect : public Dialect {
 public:
  // What it has to know of the model.
  struct Model {
    ModelCard card = {};
    std::vector<TokenId> ends = {};  // the tokens that end a text
    bool knows_gaps = false;
  };
  LlamaDialect(LlamaForm form, Model model, RequestDefaults defaults)
      : form_(form), model_(std::move(model)), defaults_(std::move(defaults)) {}

  Result<ParsedCall> Parse(std::string_view body, const StopCheck& stop = {}) const override;
  Operation Describe() const override;
  // The generation_settings of a request that says nothing.
  Json DefaultSettings() const;

 private:
  Result<LlamaWriter::Settings> ReadFields(JsonObject& object, ParsedCall& call) const;
  void Prepare(GenerateRequest& request) const;

  LlamaForm form_;
  Model model_;
  RequestDefaults defaults_;
};

}  // namespace cllm
