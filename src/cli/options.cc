#include "cli/options.h"

#include <limits>

#include "api/sampling_fields.h"

namespace cllm {
namespace {

constexpr std::int64_t kMostTokens = 1 << 24;

void DeclareServer(ServeOptions& options, OptionTable& table) {
  HttpOptions& http = options.http;
  table.Section("server", "HTTP server");
  table.String("server.host", &http.host, {.help = "Address to listen on.", .placeholder = "ADDRESS"});
  table.Int("server.port", &http.port, {.min = 0, .max = 65535, .help = "Port to listen on; 0 takes a free one."});
  table.Int("server.num_threads", &http.num_threads,
            {.min = 1, .max = 256, .help = "Most HTTP event loops. There is one a core, held between min_threads and this."});
  table.Int("server.min_threads", &http.min_threads, {.min = 1, .max = 256, .help = "Least HTTP event loops."});
  table.Double(
      "server.shutdown_delay_s", &http.shutdown_delay_s,
      {.min = 0,
       .max = 3600,
       .help = "How long requests are still accepted after SIGTERM or SIGINT, while /readyz says 503 already. A little more than what "
               "a load balancer takes to notice lets no request of a rolling restart be refused.",
       .unit = "s"});
  table.Double("server.shutdown_grace_s", &http.shutdown_grace_s,
               {.min = 0, .max = 86400, .help = "How long running requests may go on after SIGTERM or SIGINT.", .unit = "s"});
  table.StringList("server.api_keys", &http.api_keys,
                   {.help = "Keys of which a client must send one, as bearer token or x-api-key; with commas between them. The "
                            "environment's CLLM_API_KEY beats the file. Empty: everybody may ask, unless api_key_file has keys. Other "
                            "users of this machine can see the command line: a file or the environment is safer.",
                    .flags = {"--api-key"},
                    .placeholder = "KEY,...",
                    .secret = true});
  table.String("server.api_key_file", &http.api_key_file,
               {.help = "File with further keys, one a line; empty lines and lines that begin with # don't count.", .placeholder = "FILE"});
  table.StringList("server.admin_api_keys", &http.admin_api_keys,
                   {.help = "Keys of which a client must send one to load and unload models; they open everything else as well. Empty: who "
                            "asks from this machine itself, through no proxy, may do it.",
                    .placeholder = "KEY,...",
                    .secret = true});
  table.String("server.tls_certificate", &http.tls_certificate,
               {.help = "Certificate chain in PEM form. With it and its key the server speaks HTTPS alone.", .placeholder = "FILE"});
  table.String("server.tls_key", &http.tls_key, {.help = "Private key of the certificate, in PEM form.", .placeholder = "FILE"});
  table.Section("http", "HTTP limits");
  table.Int("http.max_body_mb", &http.max_body_mb,
            {.min = 1, .max = 1024, .help = "Largest request body; a larger one is answered with 413.", .unit = "MiB"});
  table.Int("http.max_memory_mb", &http.max_memory_mb,
            {.min = 16,
             .max = 1 << 20,
             .help = "What the bodies and answers of all requests together may hold of memory; a request that comes when there is no room "
                     "is answered with 429.",
             .unit = "MiB"});
  table.Int("http.max_connections", &http.max_connections,
            {.min = 1,
             .max = 1 << 20,
             .help = "Most connections at a time, counted from their accept on. Where all are taken, the one that has been silent for "
                     "longest gives way; where none is silent, further ones are answered with 503."});
  table.Int("http.max_connections_per_address", &http.max_connections_per_address,
            {.min = 0,
             .max = 1 << 20,
             .help = "Most of these connections for one IPv4 address or one IPv6 network of 64 bits. Behind a proxy all clients have its "
                     "address: give it what it needs, or 0.",
             .value_names = {{"unlimited", 0}}});
  table.Int("http.timeout_ms", &http.timeout_ms,
            {.min = 100,
             .max = 3'600'000,
             .help = "How long a client may take to send a request, head and body, from its first byte on, how long a connection may idle "
                     "between two requests, and how long a client may take nothing of what waits for it. Answers have their own limit, "
                     "scheduler.request_timeout.",
             .unit = "ms"});
  table.Int("http.keep_alive_ms", &http.keep_alive_ms,
            {.min = 0,
             .max = 3'600'000,
             .help = "How often a stream that waits for its first token, queued or while its prompt is computed, says that it is alive, so "
                     "that no proxy cuts it off: the first time after a second, by a comment or what the client's API has for it.",
             .unit = "ms",
             .value_names = {{"never", 0}}});
  table.Double("http.stall_timeout_s", &http.stall_timeout_s,
               {.min = 0.001,
                .max = 86400,
                .help = "How long one step of the engine may take before /readyz and /health say 503, stalled.",
                .unit = "s"});
  table.Int("http.max_input_tokens", &options.max_input_tokens,
            {.min = 1,
             .max = kMostTokens,
             .help = "Longest prompt; a longer one is answered with 400. 'context' means what the context holds.",
             .unit = "tokens",
             .value_names = {{"context", 0}}});
  table.StringList("http.cors_origins", &http.cors_origins,
                   {.help = "Origins whose web pages may use this server from a browser, such as https://example.org, or * for all. "
                            "Empty: none.",
                    .placeholder = "ORIGIN,..."});
  table.StringList(
      "http.allowed_hosts", &http.allowed_hosts,
      {.help = "Names by which browsers may ask a server without API keys, beside addresses, this machine's name, names without "
               "a dot and those in localhost, local, internal and home.arpa; or * for all. Through another name a web page of "
               "somebody else could use the server.",
       .placeholder = "NAME,..."});
}

void DeclareModel(ServeOptions& options, OptionTable& table) {
  table.Section("model", "Model");
  table.String("model.path", &options.model.path,
               {.help = "GGUF file to serve, or a name, hf:owner/repo or address to pull. Empty means smollm2-135m.",
                .flags = {"-m", "--model"},
                .placeholder = "FILE"});
  table.String("model.alias", &options.alias,
               {.help = "Name of the model in answers and in /v1/models. Empty means the file's name.", .placeholder = "NAME"});
  table.Int("model.max_context_length", &options.model.max_context_length,
            {.min = 1,
             .max = kMostTokens,
             .help = "Most tokens of one request, prompt and answer together. 'trained' means what the model was trained for; 'auto' that, "
                     "at most 8192, halved until 4 requests (or n_seq_max, if less) fit into half of the free memory or into what "
                     "resources allow.",
             .flags = {"-c", "--ctx-size"},
             .unit = "tokens",
             .value_names = {{"trained", kTrainedContext}, {"auto", kAutoContext}}});
  table.String(
      "model.quantization", &options.model.quantization,
      {.help = "What the file is expected to be, such as q4_k_m. Where it is something else a warning says so.", .placeholder = "TYPE"});
  table.String("model.chat_template", &options.model.chat_template,
               {.help = "Chat template instead of the file's: a name of llama.cpp's, such as chatml or llama2, or the text of a Jinja "
                        "template.",
                .placeholder = "NAME|TEXT"});
  table.String("model.chat_template_file", &options.model.chat_template_file,
               {.help = "File with the chat template instead of the model file's.", .placeholder = "FILE"});
  table.Enum(
      "model.pooling", &options.model.pooling,
      {.choices = {"auto", "none", "mean", "cls", "last", "rank"},
       .help = "What the embedding of a text is made of: the mean of all tokens, the first one, the last one, or a classifier's score "
               "for /v1/rerank. 'auto' is what the file says; a model that generates text gives embeddings only where its file or "
               "this says so, none where this is none."});
  table.Int("model.default_max_tokens", &options.defaults.generate_max_tokens,
            {.min = 1,
             .max = kMostTokens,
             .help = "Most tokens of an answer of /generate where neither the request nor scheduler.default_max_tokens says it.",
             .unit = "tokens"});
}

void DeclareModels(ServeOptions& options, OptionTable& table) {
  table.Section("models", "Several models");
  table.String(
      "models.list_file", &options.models_file,
      {.help = "File with a list of models, instead of the one of model.path: see docs/models.md. The first one is loaded when the "
               "server starts, others when they are asked for.",
       .flags = {"--models"},
       .placeholder = "FILE"});
  table.Double("models.keep_alive_s", &options.keep_alive_s,
               {.min = 0, .max = 1e9, .help = "A model that nobody used for so long is unloaded; 0: it stays.", .unit = "s"});
  table.Bool("models.isolate", &options.isolate,
             {.help = "Each model of the list has a process of its own: one that crashes fails its own requests alone."});
}

void DeclareBackend(ServeOptions& options, OptionTable& table) {
  LlamaCppOptions& llama = options.llama_cpp;
  table.Section("backend", "Engine");
  table.Enum("backend.type", &options.backend_type,
             {.choices = {"auto", "llama_cpp"}, .help = "Engine that computes.", .flags = {"--backend"}});
  table.Section("backend.llama_cpp", "The llama.cpp engine");
  table.Int("backend.llama_cpp.n_batch", &llama.n_batch,
            {.min = 1,
             .max = 1 << 16,
             .help = "Most tokens of one step, and so the longest piece of a prompt that is computed at once.",
             .flags = {"-b", "--batch-size"},
             .unit = "tokens"});
  table.Int("backend.llama_cpp.n_threads", &llama.n_threads,
            {.min = 1,
             .max = 1024,
             .help = "Compute threads; auto is as many as are fastest of all cores, three quarters, half and a quarter of them, follows "
                     "other programs that come and go, and is one where all layers are on a GPU. More than the machine has cores is cut "
                     "with a warning.",
             .flags = {"-t", "--threads"},
             .value_names = {{"auto", 0}}});
  table.Int(
      "backend.llama_cpp.n_gpu_layers", &llama.weights.n_gpu_layers,
      {.min = 0, .max = 1 << 16, .help = "Layers to keep on the GPU.", .flags = {"-ngl", "--gpu-layers"}, .value_names = {{"auto", -1}}});
  table.Int("backend.llama_cpp.n_seq_max", &llama.n_seq_max,
            {.min = 1,
             .max = 256,
             .help = "Requests that run at a time, at most; each has its own part of the KV cache. Where memory has no room for so many, "
                     "fewer run.",
             .flags = {"-np", "--parallel"}});
  table.Bool("backend.llama_cpp.use_mmap", &llama.weights.use_mmap, {.help = "Map the file instead of reading it.", .flags = {"--mmap"}});
  table.Bool("backend.llama_cpp.use_mlock", &llama.weights.use_mlock,
             {.help = "Keep the weights from being swapped out.", .flags = {"--mlock"}});
  table.Enum("backend.llama_cpp.flash_attention", &llama.flash_attention,
             {.choices = {"auto", "on", "off"}, .help = "Fused attention.", .flags = {"-fa", "--flash-attn"}});
  table.Enum("backend.llama_cpp.kv_type", &llama.kv_type,
             {.choices = {"f32", "f16", "bf16", "q8_0", "q4_0"}, .help = "Precision of the KV cache."});
  table.Enum("backend.llama_cpp.split_mode", &llama.weights.split_mode,
             {.choices = {"none", "layer", "row"}, .help = "How several GPUs share a model.", .flags = {"-sm"}});
  table.Int("backend.llama_cpp.main_gpu", &llama.weights.main_gpu,
            {.min = 0, .max = 255, .help = "GPU that holds the model where split_mode is none.", .flags = {"-mg"}});
  table.DoubleList("backend.llama_cpp.tensor_split", &llama.weights.tensor_split,
                   {.min = 0, .max = 1e6, .help = "Share of the model on each GPU; empty means by free memory.", .flags = {"-ts"}});
  table.Enum("backend.llama_cpp.rope_scaling", &llama.rope_scaling,
             {.choices = {"auto", "none", "linear", "yarn"},
              .help = "How positions are stretched beyond the trained context; auto is what the file says."});
  table.Double("backend.llama_cpp.rope_freq_base", &llama.rope_freq_base,
               {.min = 0, .max = 1e12, .help = "Base frequency of the rotary position embedding; 0 is what the file says."});
  table.Double("backend.llama_cpp.rope_freq_scale", &llama.rope_freq_scale,
               {.min = 0,
                .max = 1e6,
                .help = "Factor on rotary frequencies: 0.5 stretches the context to twice its length; 0 is what the file says."});
}

void DeclareScheduler(ServeOptions& options, OptionTable& table) {
  SchedulerOptions& scheduler = options.scheduler;
  table.Section("scheduler", "Scheduler");
  table.Int("scheduler.max_batch_size", &scheduler.max_batch_size, {.min = 1, .max = 4096, .help = "Most sequences of one step."});
  table.Int("scheduler.batch_timeout_ms", &scheduler.batch_timeout_ms,
            {.min = 0,
             .max = 60000,
             .help = "Longest wait of an idle engine for requests that come together. It waits only where recent requests came in "
                     "groups: a lone client never does.",
             .unit = "ms"});
  table.Double("scheduler.request_timeout", &scheduler.request_timeout,
               {.min = 0.001, .max = 1e6, .help = "From the arrival of a request to the end of its answer; then 408.", .unit = "s"});
  table.Int("scheduler.max_queue_size", &scheduler.max_queue_size,
            {.min = 0, .max = 1 << 20, .help = "Requests that may wait while all places are taken; more are answered with 429."});
  table.Double("scheduler.queue_timeout", &scheduler.queue_timeout,
               {.min = 0,
                .max = 1e9,
                .help = "How long a request may wait for a free place; 0: as long as its whole answer may take.",
                .unit = "s"});
  table.Int(
      "scheduler.target_step_ms", &scheduler.target_step_ms,
      {.min = 0,
       .max = 1'000'000,
       .help = "How long a step may take in which new prompts are computed beside running answers: longer computes prompts "
               "faster, shorter keeps answers smoother. 'auto' is 1.75 times what a step without prompts took when the prompt began (2.2 "
               "times where prompts need a pass over the weights of their own), more where more requests wait for their first token than "
               "run; short prompts (half a second) are computed at once.",
       .unit = "ms",
       .value_names = {{"auto", 0}}});
  RequestDefaults& defaults = options.defaults;
  table.Double("scheduler.default_temperature", &defaults.sampling.temperature,
               {.min = 0, .max = kMostTemperature, .help = "Temperature where a request names none; 0 is greedy."});
  table.Double("scheduler.default_top_p", &defaults.sampling.top_p,
               {.min = 0, .max = 1, .help = "Top-p where a request names none; 1 turns it off."});
  table.Int("scheduler.default_top_k", &defaults.sampling.top_k,
            {.min = 0, .max = std::numeric_limits<int>::max(), .help = "Top-k where a request names none; 0 turns it off."});
  table.Int("scheduler.default_max_tokens", &defaults.max_tokens,
            {.min = 1,
             .max = kMostTokens,
             .help = "Most tokens of an answer where a request names none and the context has room. 'auto' depends on the endpoint: "
                     "/generate has model.default_max_tokens, /v1/completions 16, /v1/chat/completions what the context has room for.",
             .unit = "tokens",
             .value_names = {{"auto", 0}}});
  table.Int("scheduler.default_seed", &defaults.seed,
            {.min = -1,
             .max = std::numeric_limits<std::int64_t>::max(),
             .help = "Seed where a request names none; serve has --seed for it too. 'random' is a new one each time.",
             .value_names = {{"random", -1}}});
}

void DeclareApi(ServeOptions& options, OptionTable& table) {
  table.Section("api", "API");
  table.Enum("api.unknown_fields", &options.defaults.unknown_fields,
             {.choices = {"ignore", "reject"},
              .help = "Fields that nobody knows in requests to OpenAI's endpoints: left aside and named in the header "
                      "X-cLLM-Ignored-Fields, or a 400. A misspelt known field is always a 400, and /generate rejects all."});
}

void DeclareResponses(ServeOptions& options, OptionTable& table) {
  table.Section("responses", "Answers of /v1/responses that are kept");
  table.Int("responses.max_memory_mb", &options.responses.max_memory_mb,
            {.min = 0,
             .max = 1 << 20,
             .help = "Memory for answers and their conversations, which clients may ask for again and go on from; the oldest make room. 0: "
                     "none is kept. They are never on disk.",
             .unit = "MiB"});
  table.Double("responses.ttl_s", &options.responses.ttl_s,
               {.min = 0.001, .max = 1e9, .help = "How long they are kept.", .flags = {"--responses-ttl-s"}, .unit = "s"});
}

void DeclareCaches(ServeOptions& options, OptionTable& table) {
  table.Section("cache", "Caches");
  table.Bool("cache.prefix", &options.scheduler.prefix_cache,
             {.help = "Keys and values of earlier and of running requests are used where prompts begin with the same tokens."});
  table.Enum("cache.share", &options.http.cache_share,
             {.choices = {"keys", "all"},
              .help = "Where there are several API keys: each one's requests use what its own requests have computed, of prefixes and of "
                      "results, or what anybody's have. By the time that an answer takes, or by X-cLLM-Cache, it shows what is there.",
              .flags = {"--cache-share"}});
  table.Int("cache.result_max_memory_mb", &options.result_cache.max_memory_mb,
            {.min = 0,
             .max = 1 << 20,
             .help = "Memory for answers of greedy or seeded requests, which are given again where a request repeats; 0 turns the "
                     "cache off.",
             .unit = "MiB"});
  table.Double("cache.result_ttl_s", &options.result_cache.ttl_s,
               {.min = 0.001, .max = 1e9, .help = "How long an answer may be given again.", .unit = "s"});
}

void DeclareGrammars(ServeOptions& options, OptionTable& table) {
  table.Section("grammar", "Constrained answers");
  table.Double(
      "grammar.compile_timeout_s", &options.grammars.compile_timeout_s,
      {.min = 0.1, .max = 3600, .help = "Time of the processor that compiling a schema or grammar may take; then 400.", .unit = "s"});
  table.Int("grammar.max_compile_mb", &options.grammars.max_compile_mb,
            {.min = 64, .max = 1 << 20, .help = "Memory that compiling one of them may take; then 400.", .unit = "MiB"});
  table.Int("grammar.max_cache_mb", &options.grammars.max_cache_mb,
            {.min = 0, .max = 1 << 20, .help = "Memory for compiled schemas and grammars, which later requests use.", .unit = "MiB"});
}

}  // namespace

void DeclareOptions(ServeOptions& options, OptionTable& table) {
  DeclareServer(options, table);
  DeclareModel(options, table);
  DeclareModels(options, table);
  DeclareBackend(options, table);
  DeclareScheduler(options, table);
  DeclareApi(options, table);
  DeclareResponses(options, table);
  DeclareCaches(options, table);
  DeclareGrammars(options, table);
  table.Section("resources", "Resources");
  table.Int("resources.kv_cache_max_memory_mb", &options.kv_cache_max_memory_mb,
            {.min = 1,
             .max = 1 << 30,
             .help = "Most memory for the KV cache. Where n_seq_max requests of max_context_length don't fit, fewer run at a time.",
             .unit = "MiB",
             .value_names = {{"auto", 0}}});
  table.Int("resources.memory_limit_mb", &options.memory_limit_mb,
            {.min = 1,
             .max = 1 << 30,
             .help = "Most memory for weights and KV cache together. Where the weights alone are larger the server does not start; the KV "
                     "cache gets what they leave. Several models share it with the server itself, all that is resident included: who was "
                     "used least recently is unloaded where another one needs its place.",
             .unit = "MiB",
             .value_names = {{"auto", 0}}});
  table.Section("hub", "Models that are pulled");
  table.Double("hub.max_model_gb", &options.pull.max_model_gb,
               {.min = 0.001,
                .max = 1e9,
                .help = "Largest model file that is fetched, whatever its server says or sends. Free disk is a limit of its own.",
                .unit = "GiB"});
  table.Section("logging", "Log");
  table.Enum("logging.level", &options.log.level,
             {.choices = {"trace", "debug", "info", "warn", "error", "off"},
              .help = "Least important messages that are shown.",
              .flags = {"--log-level"}});
  table.Enum("logging.format", &options.log.format,
             {.choices = {"text", "json"}, .help = "Lines of text, or one JSON object a line.", .flags = {"--log-format"}});
  table.String("logging.file", &options.log.file,
               {.help = "File that the log is appended to instead of standard error. SIGHUP opens it again, for log rotation.",
                .flags = {"--log-file"},
                .placeholder = "FILE"});
  table.Bool("logging.prompts", &options.log.prompts,
             {.help = "Log the bodies of generating requests, prompts included. Without it no line holds text of a prompt or an answer.",
              .flags = {"--log-prompts"}});
}

}  // namespace cllm
