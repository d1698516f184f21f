// The endpoints that generate nothing: health, models, tokens, the index.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/dialect.h"
#include "service/service.h"

namespace cllm {

// Facts that /health?level=detailed and /v1/models show beside the counters.
struct ServerFacts {
  std::string version;
  ModelCard card;
  std::string model_path;
  std::string model_description;  // architecture and quantisation
  std::int64_t model_parameters = 0;
  std::int64_t model_bytes = 0;
  int vocab_size = 0;
  int embedding_size = 0;
  int trained_context = 0;
  std::string engine_name;
  std::int64_t kv_bytes_per_token = 0;
  std::int64_t kv_tokens_capacity = 0;
};

// GET /health while the model loads (503) and afterwards (200).
std::string LoadingBody();
std::string HealthyBody();
std::string DetailedHealthBody(const ServerFacts& facts, const ServiceStats& stats);

// GET /v1/models
std::string ModelsBody(const ServerFacts& facts, int max_context);

// GET /
std::string IndexBody(const std::string& version, const std::vector<std::string>& endpoints);

// POST /tokenize {content, add_special, parse_special, with_pieces} and /detokenize {tokens}, as llama-server has them.
Result<std::string> TokenizeBody(const TextModel& model, std::string_view body);
Result<std::string> DetokenizeBody(const TextModel& model, std::string_view body);

}  // namespace cllm
