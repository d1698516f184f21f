// The address that a server listens on: found and tried before the model loads.
#pragma once

#include <string>

#include "base/status.h"

namespace cllm {

struct ListenAddress {
  std::string host;  // numeric
  int port = 0;
  bool is_loopback = false;
};

// Resolves the host and checks that the port is free; port 0 becomes a free one. Errors name the option and say what helps.
Result<ListenAddress> TryAddress(const std::string& host, int port);

// Each connection is a descriptor. Many systems allow 1024 by default and far more when asked. Returns how many connections there may be,
// and warns where these are fewer.
int AllowDescriptors(int connections);

}  // namespace cllm
