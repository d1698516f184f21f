// The endpoints that generate nothing: health, models, tokens, the index.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/dialect.h"
#include "api/work.h"
#include "base/chunked_text.h"
#include "service/service.h"

namespace cllm {

// Facts that /health?level=detailed and /v1/models show beside the counters.
struct ServerFacts {
  std::string version = {};
  ModelCard card = {};
  std::string model_path = {};
  std::string model_description = {};  // architecture and quantisation
  std::string architecture = {};
  std::string quantization = {};
  std::string bos_token = {};
  std::string eos_token = {};
  bool knows_gaps = false;         // the model can fill them
  std::string chat_template = {};  // of the file; empty: it has none
  std::int64_t model_parameters = 0;
  std::int64_t model_bytes = 0;
  int vocab_size = 0;
  int embedding_size = 0;
  int trained_context = 0;
  std::vector<std::string> capabilities = {};  // what the model can do: completion, embedding, rerank
  std::string engine_name = {};
  std::int64_t kv_bytes_per_token = 0;
  std::int64_t kv_tokens_capacity = 0;
};

// Whether requests are well sent to this server, as /health and /readyz say it.
enum class Readiness : std::uint8_t {
  kHealthy,
  kLoading,
  kDraining,  // it ends: what it has accepted goes on, nothing new is accepted
  kStalled,   // a step of the engine has taken far too long
};

std::string HealthBody(Readiness readiness);
std::string DetailedHealthBody(Readiness readiness, const ServerFacts& facts, const ServiceStats& stats);

// GET /livez
std::string LiveBody();

// An error names a model that is not served.
Status CheckModelId(const ServerFacts& facts, const std::string& id);

// GET /v1/models, and one of them by its id.
std::string ModelsBody(const ServerFacts& facts, int max_context);
Result<std::string> ModelBody(const ServerFacts& facts, int max_context, const std::string& id);

// GET /
std::string IndexBody(const std::string& version, const std::vector<std::string>& endpoints);

Operation DescribeIndex();
Operation DescribeLive();
Operation DescribeReady();
Operation DescribeHealth();
Operation DescribeModels();
Operation DescribeModel();

}  // namespace cllm
