// A model that answers from a process of its own, over HTTP.
#pragma once

#include <string>

#include "base/status.h"

namespace cllm {

// Thread safe.
class RemoteModel {
 public:
  virtual ~RemoteModel() = default;
  // The name under which it is served.
  virtual const std::string& id() const = 0;
  virtual int max_context() const = 0;
  // A new connection that doesn't block; its descriptor is the caller's.
  virtual Result<int> Connect() const = 0;
  virtual bool has_ended() const = 0;
  // How its process ended, for a message; empty while it runs.
  virtual std::string how_it_ended() const = 0;

  // Bodies that it has answered with not long ago; empty where it hasn't.
  struct Figures {
    std::string health;   // GET /health?level=detailed
    std::string metrics;  // GET /metrics
  };
  virtual Figures figures() const = 0;
  // GET /openapi.json
  virtual const std::string& description() const = 0;
};

}  // namespace cllm
