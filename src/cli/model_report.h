// What `cllm show` prints about a model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/model_facts.h"

namespace cllm {

// What serving the model takes with the settings at hand.
struct MemoryNeed {
  int context = 0;    // tokens of one request
  int sequences = 0;  // requests at a time
  std::string kv_type = {};
  std::int64_t kv_bytes_per_sequence = 0;
  std::int64_t available_bytes = 0;
  std::string available_where = {};  // "this machine", or the GPU's name
};

struct ModelReport {
  std::string path;
  ModelFacts facts;
  MemoryNeed memory;
  std::vector<std::string> capabilities = {};
  std::string pooling = {};  // of embeddings; empty where it gives none
  std::string engine;        // "llama_cpp"
  std::string engine_why;    // one line
  Status servable;
  Status chat_template = {};  // whether it can be used
  std::string answers = {};   // what they may hold beside content, and what marks it
};

// Aligned text for a terminal; nothing in it but letters, whatever the file holds.
std::string RenderReportText(const ModelReport& report);

// One JSON object, sizes in bytes, and a line's end.
std::string RenderReportJson(const ModelReport& report);

}  // namespace cllm
