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

// What a model of this server is doing.
enum class ModelState : std::uint8_t { kUnloaded, kQueued, kLoading, kLoaded, kUnloading, kFailed };
std::string_view ModelStateName(ModelState state);

// A model of this server as the lists of models show it. Of one that is not loaded the facts are those of its file.
struct ListedModel {
  ServerFacts facts = {};
  int max_context = 0;
  ModelState state = ModelState::kLoaded;
  std::string problem = {};       // why it can't be loaded
  int waiting = 0;                // requests that wait until it is loaded
  std::int64_t needed_bytes = 0;  // of memory, where it is loaded or about to be
  double load_progress = 0;       // while it loads, from 0 to 1
  double seconds_left = 0;        // until it is unloaded because nobody uses it; 0: it stays
};
using ModelList = std::vector<ListedModel>;

// Whether requests are well sent to this server, as /health and /readyz say it.
enum class Readiness : std::uint8_t {
  kHealthy,
  kLoading,
  kDraining,  // it ends: what it has accepted goes on, nothing new is accepted
  kStalled,   // a step of the engine has taken far too long
};

std::string HealthBody(Readiness readiness);
std::string DetailedHealthBody(Readiness readiness, const ServerFacts& facts, const ServiceStats& stats);
// The same of a server of several models. Each that is loaded has its own figures.
struct LoadedModelStats {
  std::string id;
  const ServerFacts& facts;
  ServiceStats stats;
};
// What the process of a model has answered to the same question; empty where it hasn't yet.
struct ProcessFigures {
  std::string id;
  std::string health;
};
std::string DetailedHealthBody(Readiness readiness, const std::string& version, const ModelList& models,
                               const std::vector<LoadedModelStats>& loaded, const std::vector<ProcessFigures>& processes = {});

// GET /livez
std::string LiveBody();

// GET /v1/models, and one of them.
std::string ModelsBody(const ModelList& models);
std::string ModelBody(const ListedModel& model);

// GET /
std::string IndexBody(const std::string& version, const std::vector<std::string>& endpoints);

Operation DescribeIndex();
Operation DescribeLive();
Operation DescribeReady();
Operation DescribeHealth();
Operation DescribeModels();
Operation DescribeModel();

}  // namespace cllm
