// A server that follows a script, patience that never waits, and folders that vanish: for the tests of this folder.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <stdlib.h>

#include "hub/observer.h"
#include "hub/patience.h"
#include "hub/transport.h"

namespace cllm {

class TestingFolder {
 public:
  TestingFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "cllm-hub-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TestingFolder() {
    std::error_code unused;
    std::filesystem::remove_all(path_, unused);
  }
  TestingFolder(const TestingFolder&) = delete;
  TestingFolder& operator=(const TestingFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline void WriteTestFile(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

inline std::string ReadTestFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Waits are written down instead of waited.
class TestingPatience : public Patience {
 public:
  bool Interrupted() override { return interrupted; }
  void Wait(std::chrono::milliseconds time) override {
    waits.push_back(time);
    if (on_wait) on_wait();
  }

  bool interrupted = false;
  std::vector<std::chrono::milliseconds> waits;
  std::function<void()> on_wait;
};

class TestingObserver : public PullObserver {
 public:
  void Note(std::string_view line) override { notes.emplace_back(line); }
  void Begin(std::string_view, std::int64_t done, std::int64_t total) override { begins.emplace_back(done, total); }
  void Progress(std::int64_t, std::int64_t) override {}
  void End() override { ++ends; }

  std::vector<std::string> notes;
  std::vector<std::pair<std::int64_t, std::int64_t>> begins;
  int ends = 0;
};

struct TestingAnswer {
  int status = 200;
  std::map<std::string, std::string> headers = {};
  std::string body = {};
  bool breaks_off = false;  // after the body the connection breaks
  bool no_connection = false;
};

// Answers by a function of the request and remembers all requests.
class TestingTransport : public HttpTransport {
 public:
  using Handler = std::function<TestingAnswer(const HttpRequest&)>;
  explicit TestingTransport(Handler handler) : handler_(std::move(handler)) {}

  Transfer<void> Get(const HttpRequest& request, BodySink& sink) override {
    requests.push_back(request);
    const TestingAnswer answer = handler_(request);
    using Kind = TransferError::Kind;
    if (answer.no_connection) return TransferFailed(Kind::kUnreachable, "no connection");
    if (auto head = sink.OnHead({.url = request.url, .status = answer.status, .headers = answer.headers}); !head) return head;
    constexpr std::size_t kPiece = 7;
    for (std::size_t at = 0; at < answer.body.size(); at += kPiece) {
      if (auto body = sink.OnBody(std::string_view(answer.body).substr(at, kPiece)); !body) return body;
      sink.OnTick();
    }
    if (answer.breaks_off) return TransferFailed(Kind::kTransient, "broke off");
    return {};
  }

  std::vector<HttpRequest> requests;

 private:
  Handler handler_;
};

// The value of a request's header, or "".
inline std::string RequestHeader(const HttpRequest& request, std::string_view name) {
  for (const std::string& line : request.headers) {
    if (line.starts_with(std::string(name) + ": ")) return line.substr(name.size() + 2);
  }
  return {};
}

}  // namespace cllm
