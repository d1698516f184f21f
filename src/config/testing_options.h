// Options of a made-up server with every type, for the tests of this folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/option_table.h"

namespace cllm {

struct TestingOptions {
  std::string host = "127.0.0.1";
  int port = 8080;
  int num_threads = 8;
  int min_threads = 1;
  std::vector<std::string> origins = {"a b", "c"};
  std::vector<std::string> keys;
  std::string path;
  int max_context_length = 4096;
  std::string quantization;
  std::string type = "auto";
  int n_batch = 2048;
  int n_threads = -1;
  int n_gpu_layers = 0;
  int n_seq_max = 4;
  bool use_mmap = true;
  std::vector<double> tensor_split = {0.5, 0.5};
  int max_batch_size = 16;
  double batch_timeout_ms = 5;
  double request_timeout = 30;
  std::int64_t kv_cache_max_memory_mb = 0;

  bool operator==(const TestingOptions&) const = default;
};

inline OptionTable DeclareTestingOptions(TestingOptions& o) {
  OptionTable table;
  table.Section("server", "HTTP server");
  table.String("server.host", &o.host, {.help = "Address to listen on.", .placeholder = "ADDRESS"});
  table.Int("server.port", &o.port, {.min = 0, .max = 65535, .help = "Port to listen on.", .flags = {"-p"}});
  table.Int("server.num_threads", &o.num_threads, {.min = 1, .max = 256, .help = "At most so many event loops."});
  table.Int("server.min_threads", &o.min_threads, {.min = 1, .max = 256, .help = "At least so many event loops."});
  table.Section("model", "Model");
  table.String("model.path", &o.path, {.help = "The GGUF file.", .flags = {"--model", "-m"}, .placeholder = "PATH"});
  table.Int("model.max_context_length", &o.max_context_length,
            {.min = 1, .help = "Tokens per request.", .flags = {"-c", "--ctx-size"}, .unit = "tokens"});
  table.String("model.quantization", &o.quantization, {.help = "What the file is expected to hold, or empty."});
  table.Section("backend", "Engine");
  table.Enum("backend.type", &o.type, {.choices = {"auto", "llama_cpp", "off"}, .help = "Which engine | what else."});
  table.Section("backend.llama_cpp", "The llama.cpp engine");
  table.Int("backend.llama_cpp.n_batch", &o.n_batch, {.min = 1, .max = 65536, .help = "Rows of a step.", .flags = {"-b", "--batch-size"}});
  table.Int("backend.llama_cpp.n_threads", &o.n_threads,
            {.min = 1, .max = 512, .help = "Compute threads.", .flags = {"-t"}, .value_names = {{"auto", -1}}});
  table.Int("backend.llama_cpp.n_gpu_layers", &o.n_gpu_layers,
            {.min = 0, .help = "Layers on the GPU.", .flags = {"-ngl"}, .value_names = {{"all", 9999}}});
  table.Int("backend.llama_cpp.n_seq_max", &o.n_seq_max, {.min = 1, .max = 256, .help = "Sequences at once.", .flags = {"-np"}});
  table.Bool("backend.llama_cpp.use_mmap", &o.use_mmap, {.help = "Map the file.", .flags = {"--mmap"}});
  table.DoubleList("backend.llama_cpp.tensor_split", &o.tensor_split, {.min = 0, .help = "Share of each GPU.", .flags = {"-ts"}});
  table.Section("scheduler", "Scheduler");
  table.Int("scheduler.max_batch_size", &o.max_batch_size, {.min = 1, .max = 256, .help = "Sequences of a step."});
  table.Double("scheduler.batch_timeout_ms", &o.batch_timeout_ms,
               {.min = 0, .max = 60000, .help = "Longest wait for company.", .unit = "ms"});
  table.Double("scheduler.request_timeout", &o.request_timeout, {.min = 0.001, .help = "Deadline.", .unit = "s"});
  table.Section("resources", "Memory");
  table.Int("resources.kv_cache_max_memory_mb", &o.kv_cache_max_memory_mb, {.min = 0, .help = "Memory of the KV cache.", .unit = "MB"});
  table.Section("access", "Access");
  table.StringList("access.origins", &o.origins, {.help = "Who may ask."});
  table.StringList("access.keys", &o.keys, {.help = "Secrets.", .flags = {"--key"}, .secret = true});
  return table;
}

}  // namespace cllm
