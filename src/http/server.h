// The HTTP server: routes, event loops, and the life of the process's one Drogon application.
#pragma once

#include <memory>
#include <string>

#include "api/backend.h"
#include "http/options.h"
#include "models/model_registry.h"

namespace cllm {

class HttpServer {
 public:
  HttpServer(HttpOptions options, std::string version);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Checks the settings (keys, origins, certificate), resolves the host and checks that the port is free. Port 0
  // becomes a free one. Warns where the server will be open to the world. Call it before Run.
  Status Bind();
  int port() const;
  int loops() const;

  // Serves until Quit; once in a process. Until SetModels everything but / and /health answers 503.
  void Run();
  // Any thread: the first of the models is being loaded. `models` outlives DropModels.
  void ShowLoading(ModelRegistry& models);
  // Any thread: the models are there, of which `example` is one that is loaded.
  void SetModels(ModelRegistry& models, const ModelLease& example);
  // Any thread: the server will end; /readyz says so from now on.
  void AnnounceEnd();
  // Any thread but the loops', once they run: blocks until nothing here uses the service any more but the exchanges that wait for their
  // end.
  void DropModels();
  // Any thread: sends what sinks have been told. The service calls it once a step.
  void WakeSenders();
  // Any thread, once Run is called or about to be: blocks until connections are accepted.
  void WaitUntilListening();
  // Any thread, once Run is called or about to be. Run returns soon; what was handed to connections is sent.
  void Quit();

 private:
  class Application;
  std::unique_ptr<Application> application_;
};

}  // namespace cllm
