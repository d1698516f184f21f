// A response body that is sent in pieces. Used on the connection's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <drogon/HttpRequest.h>
#include <drogon/HttpResponse.h>
#include <trantor/net/TcpConnection.h>

#include "http/cors.h"

namespace cllm {

// Answers that go out in pieces, told from others by this header, which they alone have.
inline constexpr const char* kStreamHeader = "X-Accel-Buffering";

class FrameStream {
 public:
  virtual ~FrameStream() = default;
  virtual void Send(const std::string& bytes) = 0;
  // The body is complete.
  virtual void Close() = 0;
};

// Drogon's chunked stream: HTTP/1.1 with keep-alive.
class ChunkedFrameStream : public FrameStream {
 public:
  explicit ChunkedFrameStream(drogon::ResponseStreamPtr stream) : stream_(std::move(stream)) {}
  void Send(const std::string& bytes) override { stream_->send(bytes); }
  void Close() override { stream_->close(); }

 private:
  drogon::ResponseStreamPtr stream_;
};

// A body that ends with the connection, for HTTP/1.0 and "Connection: close": Drogon would chunk the one and send the
// other no body at all, so head and body go to the connection directly.
class ClosingFrameStream : public FrameStream {
 public:
  ClosingFrameStream(trantor::TcpConnectionPtr connection, const std::string& head);
  void Send(const std::string& bytes) override { connection_->send(bytes); }
  void Close() override { connection_->shutdown(); }

 private:
  trantor::TcpConnectionPtr connection_;
};

// Begins the stream that answers `request`, with 200 and `headers`. `common`: CommonHeaders, which Drogon's answers get when they are sent.
// `begun` may be called later, where earlier requests of a pipelining client are still open.
void BeginFrameStream(const drogon::HttpRequestPtr& request, const std::function<void(const drogon::HttpResponsePtr&)>& respond,
                      const HeaderList& headers, const HeaderList& common, std::function<void(std::unique_ptr<FrameStream>)> begun);

}  // namespace cllm
