// What the HTTP server can be told.
#pragma once

#include <string>
#include <vector>

namespace cllm {

struct HttpOptions {
  std::string host = "0.0.0.0";
  int port = 8080;
  // Event loops: one a core, held between these two.
  int num_threads = 8;
  int min_threads = 1;
  // From SIGTERM or SIGINT to the first refusal, so that whoever sends requests here can learn it from /readyz.
  double shutdown_delay_s = 0.0;
  double shutdown_grace_s = 30.0;  // for running requests, after SIGTERM or SIGINT
  // Clients must know one of these keys or of those in the file; without any, everybody may ask.
  std::vector<std::string> api_keys = {};
  std::string api_key_file = {};
  // Of who may load and unload models; without any, who asks from this machine itself.
  std::vector<std::string> admin_api_keys = {};
  // Both or neither.
  std::string tls_certificate = {};
  std::string tls_key = {};
  int max_body_mb = 16;
  int max_memory_mb = 1024;  // what all requests together may hold
  int max_connections = 1000;
  int max_connections_per_address = 500;  // 0: no limit
  // For a request to arrive once it has begun, for the next one to begin, and for a client that takes nothing of its answer.
  int timeout_ms = 30'000;
  int keep_alive_ms = 5000;         // how often a stream that waits for its first token says so; 0: never
  double request_timeout_s = 60.0;  // for a model to come into memory; that of the scheduler
  double stall_timeout_s = 60.0;    // a step of the engine that takes longer makes probes fail
  std::vector<std::string> cors_origins = {};
  std::vector<std::string> allowed_hosts = {};  // further names of this server, for browsers that come without a key
  bool log_bodies = false;
  // A Unix socket that listens: this is the process of a model, and whoever connects is the server that has it. -1: host and port.
  int listener = -1;
  std::string cache_share = "keys";  // where there are several keys: who finds what whose requests have computed: "keys" or "all"
};

}  // namespace cllm
