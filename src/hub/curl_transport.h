// HTTP by libcurl.
#pragma once

#include <memory>

#include "hub/patience.h"
#include "hub/transport.h"

namespace cllm {

struct CurlOptions {
  int connect_timeout_s = 10;
  // A transfer that brings less than min_rate bytes a second for stall_timeout_s seconds has stalled.
  int stall_timeout_s = 30;
  int min_rate = 1024;
};

// Connections are kept for the next request. http_proxy, https_proxy and no_proxy are obeyed, as curl does everywhere.
class CurlTransport : public HttpTransport {
 public:
  CurlTransport(const CurlOptions& options, Patience& patience);
  ~CurlTransport() override;
  CurlTransport(const CurlTransport&) = delete;
  CurlTransport& operator=(const CurlTransport&) = delete;

  Transfer<void> Get(const HttpRequest& request, BodySink& sink) override;

 private:
  struct Handles;
  CurlOptions options_;
  Patience& patience_;
  std::unique_ptr<Handles> handles_;
};

}  // namespace cllm
