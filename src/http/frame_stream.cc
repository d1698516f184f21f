#include "http/frame_stream.h"

namespace cllm {

ClosingFrameStream::ClosingFrameStream(trantor::TcpConnectionPtr connection, const std::string& head) : connection_(std::move(connection)) {
  connection_->send(head);
}

}  // namespace cllm
