// What the HTTP server can be told.
#pragma once

#include <string>

namespace cllm {

struct HttpOptions {
  std::string host = "0.0.0.0";
  int port = 8080;
  // Event loops: one a core, held between these two.
  int num_threads = 8;
  int min_threads = 1;
  double shutdown_grace_s = 30.0;  // for running requests, after SIGTERM or SIGINT
  int max_body_mb = 16;
  // Idle connections are closed after this; it must be longer than any answer may take.
  double idle_timeout_s = 90.0;
};

}  // namespace cllm
