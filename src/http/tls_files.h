// The certificate and key of the server.
#pragma once

#include <string>

#include "base/status.h"

namespace cllm {

// Says in one line what is wrong with them: one without the other, a file that can't be read or holds no certificate or
// key, a key that belongs to another certificate. Both empty is fine: no TLS.
Status CheckTlsFiles(const std::string& certificate, const std::string& key);

}  // namespace cllm
