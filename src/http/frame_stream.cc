#include "http/frame_stream.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "http/answer_head.h"

namespace cllm {
namespace {

// Whether the body must end with the connection: HTTP/1.0 knows no chunks, and "Connection: close" asks for it.
bool EndsWithConnection(const drogon::HttpRequest& request) {
  if (request.version() == drogon::Version::kHttp10) return true;
  std::string connection = request.getHeader("connection");
  std::ranges::transform(connection, connection.begin(), [](unsigned char c) { return std::tolower(c); });
  return connection.find("close") != std::string::npos;
}

}  // namespace

ClosingFrameStream::ClosingFrameStream(trantor::TcpConnectionPtr connection, const std::string& head) : connection_(std::move(connection)) {
  connection_->send(head);
}

void BeginFrameStream(const drogon::HttpRequestPtr& request, const std::function<void(const drogon::HttpResponsePtr&)>& respond,
                      const HeaderList& headers, const HeaderList& common, std::function<void(std::unique_ptr<FrameStream>)> begun) {
  if (EndsWithConnection(*request)) {
    HeaderList all = headers;
    all.insert(all.end(), common.begin(), common.end());
    return begun(std::make_unique<ClosingFrameStream>(request->getConnectionPtr().lock(), ClosingHead(200, all)));
  }
  auto response = drogon::HttpResponse::newAsyncStreamResponse(
      [begun = std::move(begun)](drogon::ResponseStreamPtr stream) { begun(std::make_unique<ChunkedFrameStream>(std::move(stream))); },
      true);
  AddHeaders(*response, headers);
  respond(response);
}

}  // namespace cllm
