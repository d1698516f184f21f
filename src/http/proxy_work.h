// A request whose model answers from a process of its own.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <trantor/net/Channel.h>
#include <trantor/net/EventLoop.h>

#include "http/answer_reader.h"
#include "http/handlers.h"

namespace cllm {

// Hands the request to the model's process and its answer to the client, a stream piece by piece. A client that leaves closes the
// connection to the process, which ends the request there; a process that ends is an error of the request's dialect.
class ProxyWork : public std::enable_shared_from_this<ProxyWork> {
 public:
  // On the loop of the call's connection, and so is Begin. Of several models each is asked until one knows what is asked for (no 404).
  ProxyWork(HttpCall call, RequestBody body, std::vector<ModelLease> models, const RequestRoom& room);
  ~ProxyWork();
  void Begin();

 private:
  // A client that does not read its stream is cut off at this many bytes of unsent text, with what its request may have repeated.
  static constexpr std::size_t kMostUnsentBytes = std::size_t{1} << 20;

  void Ask();
  void WaitForItsEnd();
  void ChooseAgain();
  std::string Head() const;
  void Write();
  void Read();
  void OnBytes();
  void HandOn();
  void Respond();
  void BeginStream();
  void WriteFrames();
  void Watch();
  bool HoldsAnswer(std::size_t more);
  bool UnloadIfAsked();
  HeaderList HeadersOfAnswer() const;
  void OnProcessEnd();
  void Fail(const Error& error);
  void Close();
  void Finish();

  HttpCall call_;
  RequestBody body_;
  std::vector<ModelLease> models_;  // the last is asked next
  ModelLease model_;                // that is asked
  std::string name_;                // of one that took no connection
  const RequestRoom& room_;
  trantor::EventLoop* loop_;
  std::shared_ptr<trantor::TcpConnection> connection_;
  std::shared_ptr<RequestControl> control_ = std::make_shared<RequestControl>();
  std::size_t body_bytes_;

  std::shared_ptr<ProxyWork> self_;  // until it is finished
  int descriptor_ = -1;
  std::unique_ptr<trantor::Channel> channel_;
  std::string unsent_;  // of the request
  std::unique_ptr<AnswerReader> answer_;
  std::string whole_;   // an answer that is no stream
  std::string frames_;  // of a stream, not handed on yet
  std::unique_ptr<FrameStream> stream_;
  bool responded_ = false;
  bool finished_ = false;
  std::size_t handed_bytes_ = 0;
  std::size_t sent_before_ = 0;
};

}  // namespace cllm
