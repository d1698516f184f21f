#include "cli/options.h"

namespace cllm {
namespace {

constexpr std::int64_t kMostTokens = 1 << 24;

void DeclareServer(HttpOptions& http, OptionTable& table) {
  table.Section("server", "HTTP server");
  table.String("server.host", &http.host, {.help = "Address to listen on.", .placeholder = "ADDRESS"});
  table.Int("server.port", &http.port, {.min = 0, .max = 65535, .help = "Port to listen on; 0 takes a free one."});
  table.Int("server.num_threads", &http.num_threads,
            {.min = 1, .max = 256, .help = "Most HTTP event loops. There is one a core, held between min_threads and this."});
  table.Int("server.min_threads", &http.min_threads, {.min = 1, .max = 256, .help = "Least HTTP event loops."});
  table.Double("server.shutdown_grace_s", &http.shutdown_grace_s,
               {.min = 0, .max = 86400, .help = "How long running requests may go on after SIGTERM or SIGINT.", .unit = "s"});
  table.Section("http", "HTTP limits");
  table.Int("http.max_body_mb", &http.max_body_mb,
            {.min = 1, .max = 1024, .help = "Largest request body; a larger one is answered with 413.", .unit = "MiB"});
}

void DeclareModel(ServeOptions& options, OptionTable& table) {
  table.Section("model", "Model");
  table.String("model.path", &options.model.path,
               {.help = "GGUF file to serve, or a name, hf:owner/repo or address to pull. Empty means smollm2-135m.", .flags = {"-m", "--model"}, .placeholder = "FILE"});
  table.Int("model.max_context_length", &options.model.max_context_length,
            {.min = 1, .max = kMostTokens,
             .help = "Most tokens of one request, prompt and answer together. 'trained' means what the model was trained for.",
             .flags = {"-c", "--ctx-size"}, .unit = "tokens", .value_names = {{"trained", 0}}});
  table.String("model.quantization", &options.model.quantization,
               {.help = "What the file is expected to be, such as q4_k_m. Where it is something else a warning says so.",
                .placeholder = "TYPE"});
  table.Int("model.default_max_tokens", &options.default_max_tokens,
            {.min = 1, .max = kMostTokens,
             .help = "Length of an answer of /generate where the request names none and the context has room.",
             .unit = "tokens"});
}

void DeclareBackend(ServeOptions& options, OptionTable& table) {
  LlamaCppOptions& llama = options.llama_cpp;
  table.Section("backend", "Engine");
  table.Enum("backend.type", &options.backend_type,
             {.choices = {"auto", "llama_cpp"}, .help = "Engine that computes.", .flags = {"--backend"}});
  table.Section("backend.llama_cpp", "The llama.cpp engine");
  table.Int("backend.llama_cpp.n_batch", &llama.n_batch,
            {.min = 1, .max = 1 << 16, .help = "Most tokens of one step, and so the longest piece of a prompt that is computed at once.",
             .flags = {"-b", "--batch-size"}, .unit = "tokens"});
  table.Int("backend.llama_cpp.n_threads", &llama.n_threads,
            {.min = 1, .max = 1024, .help = "Compute threads; more than the machine has cores is cut with a warning.",
             .flags = {"-t", "--threads"}, .value_names = {{"auto", 0}}});
  table.Int("backend.llama_cpp.n_gpu_layers", &llama.weights.n_gpu_layers,
            {.min = 0, .max = 1 << 16, .help = "Layers to keep on the GPU.",
             .flags = {"-ngl", "--gpu-layers"}, .value_names = {{"auto", -1}}});
  table.Int("backend.llama_cpp.n_seq_max", &llama.n_seq_max,
            {.min = 1, .max = 256, .help = "Requests that run at a time; each has its own part of the KV cache.",
             .flags = {"-np", "--parallel"}});
  table.Bool("backend.llama_cpp.use_mmap", &llama.weights.use_mmap, {.help = "Map the file instead of reading it."});
  table.Bool("backend.llama_cpp.use_mlock", &llama.weights.use_mlock, {.help = "Keep the weights from being swapped out."});
  table.Enum("backend.llama_cpp.flash_attention", &llama.flash_attention,
             {.choices = {"auto", "on", "off"}, .help = "Fused attention.", .flags = {"-fa"}});
  table.Enum("backend.llama_cpp.kv_type", &llama.kv_type,
             {.choices = {"f32", "f16", "bf16", "q8_0", "q4_0"}, .help = "Precision of the KV cache."});
  table.Enum("backend.llama_cpp.split_mode", &llama.weights.split_mode,
             {.choices = {"none", "layer", "row"}, .help = "How several GPUs share a model.", .flags = {"-sm"}});
  table.Int("backend.llama_cpp.main_gpu", &llama.weights.main_gpu,
            {.min = 0, .max = 255, .help = "GPU that holds the model where split_mode is none.", .flags = {"-mg"}});
  table.DoubleList("backend.llama_cpp.tensor_split", &llama.weights.tensor_split,
                   {.min = 0, .max = 1e6, .help = "Share of the model on each GPU; empty means by free memory.", .flags = {"-ts"}});
}

void DeclareScheduler(SchedulerOptions& scheduler, OptionTable& table) {
  table.Section("scheduler", "Scheduler");
  table.Int("scheduler.max_batch_size", &scheduler.max_batch_size,
            {.min = 1, .max = 4096, .help = "Most sequences of one step."});
  table.Int("scheduler.batch_timeout_ms", &scheduler.batch_timeout_ms,
            {.min = 0, .max = 60000,
             .help = "Longest wait of an idle engine for requests that come together. It waits only where recent requests came in "
                     "groups: a lone client never does.",
             .unit = "ms"});
  table.Double("scheduler.request_timeout", &scheduler.request_timeout,
               {.min = 0.001, .max = 1e6, .help = "From the arrival of a request to the end of its answer; then 408.", .unit = "s"});
  table.Int("scheduler.max_queue_size", &scheduler.max_queue_size,
            {.min = 0, .max = 1 << 20, .help = "Requests that may wait while all places are taken; more are answered with 429."});
}

}  // namespace

void DeclareOptions(ServeOptions& options, OptionTable& table) {
  DeclareServer(options.http, table);
  DeclareModel(options, table);
  DeclareBackend(options, table);
  DeclareScheduler(options.scheduler, table);
  table.Section("resources", "Resources");
  table.Int("resources.kv_cache_max_memory_mb", &options.kv_cache_max_memory_mb,
            {.min = 1, .max = 1 << 30,
             .help = "Most memory for the KV cache. Where n_seq_max requests of max_context_length don't fit, fewer run at a time.",
             .unit = "MiB", .value_names = {{"auto", 0}}});
  table.Section("logging", "Log");
  table.Enum("logging.level", &options.log.level,
             {.choices = {"trace", "debug", "info", "warn", "error", "off"}, .help = "Least important messages that are shown.",
              .flags = {"--log-level"}});
}

}  // namespace cllm
