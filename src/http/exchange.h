// One generating request and its response, streamed or whole. Text comes in on the service's threads and goes out on the
// connection's loop.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <drogon/HttpRequest.h>
#include <drogon/HttpResponse.h>

#include "api/backend.h"
#include "api/error_body.h"
#include "base/chunked_text.h"
#include "base/memory_budget.h"
#include "http/access_log.h"
#include "http/body_workers.h"
#include "http/connection_tracker.h"
#include "http/cors.h"
#include "http/frame_stream.h"
#include "http/mailbox.h"

namespace cllm {

using ResponseCallback = std::function<void(const drogon::HttpResponsePtr&)>;

drogon::HttpResponsePtr BodyResponse(std::string_view content_type, std::string body);
// The same for one that may be long: it is handed to the connection as the client takes it, and `memory` is held until then.
drogon::HttpResponsePtr BodyResponse(std::string_view content_type, ChunkedText body, MemoryShare memory);
// A JSON response with the status of `error` and, for a full queue, Retry-After.
drogon::HttpResponsePtr ErrorResponse(const Error& error, std::string body);

class Exchange : public GenerationSink, public LoopClient, public std::enable_shared_from_this<Exchange> {
 public:
  struct Parts {
    drogon::HttpRequestPtr request;
    ResponseCallback respond;
    std::unique_ptr<AnswerWriter> writer;
    const Dialect* dialect;  // a part of `backend`
    ErrorFamily errors = ErrorFamily::kCllm;
    std::shared_ptr<const Backend> backend;  // kept alive until the answer is out
    bool stream = false;
    HeaderList common_headers = {};                // CommonHeaders, which Drogon's answers get when they are sent
    HeaderList headers = {};                       // of this answer alone
    std::vector<std::string> relaxed_schema = {};  // what of the tools' schemas is not kept
    RequestRecord record = {};                     // what is known of the request before its answer
    std::function<void()> on_stream_end = {};      // a stream's last byte was handed to the connection
    MemoryShare memory = {};                       // what the request holds; its answer is added
    std::size_t repeated_bytes = 0;                // of the request, at the beginning of a stream and in a whole answer
    // How often a stream without text says that it is alive; 0: never.
    std::chrono::milliseconds keep_alive{};
  };
  Exchange(Parts parts, Mailbox& mailbox, ConnectionTracker& tracker, BodyWorkers& workers);
  // An exchange that dies without its end (a bug) cuts its connection: a broken stream must not look complete.
  ~Exchange() override;

  // Loop thread, right after Submit: from now on a client that leaves cancels the request.
  void Track(std::shared_ptr<RequestControl> control);

  // Loop thread: the request was refused, somebody else answers.
  void Abandon() { finished_ = true; }

  void OnStart(const AnswerStart& start) override;
  void OnText(TextDelta delta) override;
  void OnEnd(const GenerationEnd& end) override;
  void Flush() override;

 private:
  // A client that does not read its stream is cut off at this many bytes of unsent text; what a stream begins with comes on top, such as
  // the scores of a prompt, which are held for the request.
  static constexpr std::size_t kMostUnsentBytes = std::size_t{1} << 20;

  // A stream that has no text by then begins without: an error before it keeps its own status.
  static constexpr std::chrono::milliseconds kFirstWait{1000};

  // A whole answer of more than this, with what it repeats of its request, is written on a worker.
  static constexpr std::size_t kWrittenOnLoop = std::size_t{16} << 10;

  TextDelta& AnswerOf(int choice);
  bool Hold(const TextDelta& delta);
  bool Hold(std::size_t answer_bytes);
  std::optional<std::string> CacheHeader();
  // Those of this answer alone, in whichever way it goes.
  HeaderList OwnHeaders();
  // What a stream says before its first frame, by whichever way it goes.
  HeaderList StreamHeaders();
  void Log(const GenerationEnd& end, bool has_begun);
  void Queue();
  void RespondWhole();
  drogon::HttpResponsePtr WriteWhole();
  void Respond(const drogon::HttpResponsePtr& response);
  void KeepAliveAfter(std::chrono::milliseconds delay);
  void KeepAlive();
  void BeginStream();
  void WriteFrames();
  void Finish();

  Parts parts_;
  Mailbox& mailbox_;
  ConnectionTracker& tracker_;
  BodyWorkers& workers_;
  std::weak_ptr<trantor::TcpConnection> connection_;
  const trantor::TcpConnection* connection_key_ = nullptr;
  trantor::EventLoop* loop_ = nullptr;

  std::mutex mutex_;                  // guards the next nine, between the service's threads and the loop
  std::optional<AnswerStart> start_;  // once it is known
  bool queued_ = false;
  bool has_text_ = false;
  bool has_begun_ = false;  // the stream, perhaps without any text yet
  bool ended_ = false;
  bool is_too_large_ = false;  // the whole answer
  std::string frames_;
  std::size_t opening_bytes_ = 0;  // of frames with what a request says of its prompt
  GenerationEnd end_;

  std::vector<TextDelta> answers_;  // by choice; whole answers only; complete once ended_
  std::size_t held_for_request_ = 0;
  std::size_t held_opening_bytes_ = 0;  // the service's threads'
  std::size_t answer_bytes_ = 0;        // what answers_ takes

  // Loop thread only.
  std::shared_ptr<RequestControl> control_;
  std::unique_ptr<FrameStream> stream_;
  bool responded_ = false;
  bool finished_ = false;
  std::size_t handed_bytes_ = 0;
  std::size_t sent_before_ = 0;
};

}  // namespace cllm
