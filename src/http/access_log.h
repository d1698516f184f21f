// One line of the log a request. Never the text of a prompt or an answer, unless the operator asks for bodies.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/dialect.h"

namespace cllm {

struct RequestRecord {
  std::string model;       // that was asked; empty where none was
  std::string id;          // of the answer; empty where there is none
  std::string request_id;  // as the client named the request, or as it was named
  std::string method;
  std::string path;    // without its query
  std::string remote;  // address and port of the client
  int status = 0;      // of HTTP
  std::optional<ErrorCode> error;
  double total_s = 0;  // from the request's last byte to the last word of the answer
  std::optional<GenerationEnd> generation;
  bool is_probe = false;
  std::string body;  // of the request; empty unless the operator wants it
};

// finished, cancelled, timed_out, refused (the request was wrong or came at a bad time) or failed (the server's fault).
std::string_view OutcomeName(const std::optional<ErrorCode>& error);

// Level info; the good answer to a probe is debug, because they ask every few seconds.
void LogRequest(const RequestRecord& record);

}  // namespace cllm
