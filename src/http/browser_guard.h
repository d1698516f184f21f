// Keeps the web pages of others away from a server that asks for no key. A page may send requests to any address that its reader's browser
// reaches, and a name of its own may come to mean this machine (DNS rebinding): then the page reads the answers as well. A browser says on
// whose behalf it asks; other clients are not looked at, since they need no browser to come in.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "http/cors.h"
#include "http/request_framer.h"

namespace cllm {

class BrowserGuard {
 public:
  // `allowed_hosts` are names without port, or * for all; an error names one that is neither. `own_names` are allowed as well.
  static Result<BrowserGuard> Create(const std::vector<std::string>& allowed_hosts, const std::vector<std::string>& own_names);

  // Why the request is not answered; nothing where it is.
  std::optional<Refusal> Check(const RequestHead& head, const Cors& cors) const;

 private:
  bool IsOwnHost(std::string_view host) const;

  bool any_host_ = false;
  std::vector<std::string> hosts_;  // in lower case
};

// Whether "name:port" means this machine itself: localhost or a loopback address.
bool IsLoopbackHost(std::string_view authority);

// As this machine calls itself; empty where it has no name.
std::string MachineName();

}  // namespace cllm
