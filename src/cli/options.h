// Every option of `cllm serve`, bound to the structs of the rooms that use them.
#pragma once

#include <string>

#include "api/request_defaults.h"
#include "api/response_store.h"
#include "base/log.h"
#include "config/option_table.h"
#include "engine/llamacpp/llamacpp_options.h"
#include "grammar/grammar_compiler.h"
#include "http/options.h"
#include "hub/downloader.h"
#include "model/model.h"
#include "scheduler/scheduler.h"
#include "service/result_cache.h"

namespace cllm {

struct ServeOptions {
  HttpOptions http;
  ModelOptions model;
  std::string alias;  // what clients see as the model's name; empty = the file's name
  RequestDefaults defaults;
  int max_input_tokens = 0;  // 0 = what the context holds
  std::string backend_type = "auto";
  LlamaCppOptions llama_cpp;
  SchedulerOptions scheduler;
  ResultCacheOptions result_cache;
  ResponseStoreOptions responses;
  GrammarLimits grammars;
  std::string models_file;  // a list of several models; empty: `model` alone
  double keep_alive_s = 0;  // a model is unloaded when nobody used it for so long; 0: it stays
  bool isolate = false;     // each model of the list has a process of its own
  std::int64_t kv_cache_max_memory_mb = 0;
  std::int64_t memory_limit_mb = 0;  // weights and KV cache of all models together; 0 = what the machine has
  DownloadPolicy pull;
  LogOptions log;
  std::vector<std::string> arguments;  // of the command line, behind the command, for processes of models
};

// The one declaration of every option. `options` outlives the table.
void DeclareOptions(ServeOptions& options, OptionTable& table);

}  // namespace cllm
