// A cheap client for heavy loads: POST /v1/completions at a fixed rate (open loop) or with a fixed number in flight (closed
// loop), all on one thread, while another one asks /health. Prints what came back as one JSON object.
//
//   load_client URL SECONDS rate R | closed N [MAX_TOKENS [PROMPT_TOKENS]]
//
// Each request has from half to one and a half times as many tokens: of one length, those of a closed loop would all start and
// end in the same step, which no real load does. Answers are kept as they came and read after the end. Throughput is of the answers
// that end after the first eighth of the time and before its end: those under way at either end cancel out, however long it is.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "http_connection.h"

namespace cllm::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr auto kHealthInterval = std::chrono::milliseconds(50);
constexpr double kLongestWait_s = 0.1;
constexpr int kReadTimeout_s = 10;
constexpr double kRampShare = 0.125;  // of the time; what ends in it is no throughput

struct Options {
  sockaddr_in server{};
  double seconds = 1;
  double rate = 0;  // requests a second; 0: closed loop
  int closed = 0;   // in flight
  int max_tokens = 16;
  int prompt_tokens = 16;
};

// A connection, and since when it waits for an answer.
struct Line {
  explicit Line(const sockaddr_in& server) : connection(server, kReadTimeout_s) {}
  HttpConnection connection;
  bool is_asked = false;
  Clock::time_point sent;
};

struct Answer {
  std::string response;  // empty: none came
  double latency_s = 0;
  double ended_s = 0;  // after the start of the load
};

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

double Quantile(std::vector<double> values, double at) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, static_cast<std::size_t>(at * static_cast<double>(values.size())))];
}

// Request `index`, head and body; the same in each run. Its prompt is token ids that no other prompt begins with.
class Requests {
 public:
  Requests(int prompt_tokens, int max_tokens) : prompt_tokens_(prompt_tokens), max_tokens_(max_tokens) {}

  const std::string& Request(std::int64_t index) {
    const auto draws = Philox4x32({static_cast<std::uint32_t>(index)}, {});
    const std::int64_t length = Length(prompt_tokens_, draws[0]);
    body_ = R"({"prompt":[)";
    for (std::int64_t i = 0; i < length; ++i) {
      if (i > 0) body_ += ',';
      body_ += fmt::format_int(1000 + (index * 7919 + i * (31 + index % 97)) % 20000).c_str();
    }
    fmt::format_to(std::back_inserter(body_), R"(],"max_tokens":{},"temperature":0,"ignore_eos":true}})", Length(max_tokens_, draws[1]));
    request_ = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ";
    fmt::format_to(std::back_inserter(request_), "{}\r\n\r\n{}", body_.size(), body_);
    return request_;
  }

 private:
  // From half of `mean` to one and a half times as much, evenly.
  static std::int64_t Length(int mean, std::uint32_t draw) {
    return std::max<std::int64_t>(1, mean / 2 + draw % static_cast<std::uint32_t>(mean + 1));
  }

  int prompt_tokens_;
  int max_tokens_;
  std::string body_;
  std::string request_;
};

// Asks /health at an interval, on a thread of its own, until it is stopped.
class HealthWatch {
 public:
  explicit HealthWatch(const sockaddr_in& server) : thread_([this, server] { Run(server); }) {}
  ~HealthWatch() { Stop(); }

  void Stop() {
    is_done_ = true;
    if (thread_.joinable()) thread_.join();
  }

  // Once it is stopped.
  const std::vector<double>& latencies_s() const { return latencies_s_; }
  int failures() const { return failures_; }

 private:
  void Run(const sockaddr_in& server) {
    auto connection = std::make_unique<HttpConnection>(server, kReadTimeout_s);
    while (!is_done_) {
      const Clock::time_point begin = Clock::now();
      if (!Ask(*connection)) {
        ++failures_;
        connection = std::make_unique<HttpConnection>(server, kReadTimeout_s);
      }
      latencies_s_.push_back(Seconds(Clock::now() - begin));
      std::this_thread::sleep_until(begin + kHealthInterval);
    }
  }

  static bool Ask(HttpConnection& connection) {
    if (!connection.is_open() || !connection.Send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")) return false;
    HttpConnection::State state = HttpConnection::State::kWaiting;
    while (state == HttpConnection::State::kWaiting) state = connection.Read(true);
    return state == HttpConnection::State::kWhole && StatusOf(connection.Take()) == 200;
  }

  std::atomic<bool> is_done_ = false;
  std::vector<double> latencies_s_;
  int failures_ = 0;
  std::thread thread_;  // last: it uses the others
};

class LoadClient {
 public:
  explicit LoadClient(const Options& options)
      : options_(options), requests_(options.prompt_tokens, options.max_tokens), poll_(epoll_create1(EPOLL_CLOEXEC)) {}
  ~LoadClient() { close(poll_); }
  LoadClient(const LoadClient&) = delete;
  LoadClient& operator=(const LoadClient&) = delete;

  // Sends for as long as it should, then waits for what is under way.
  Json Run() {
    HealthWatch health(options_.server);
    start_ = Clock::now();
    while (!IsOver() || in_flight_ > 0) {
      while (!IsOver() && IsTimeToSend()) Send();
      TakeAnswers();
    }
    health.Stop();
    return Report(health);
  }

 private:
  bool IsOver() const { return is_unreachable_ || Seconds(Clock::now() - start_) >= options_.seconds; }
  bool IsTimeToSend() const {
    if (options_.rate == 0) return in_flight_ < options_.closed;
    return static_cast<double>(sent_) < options_.rate * Seconds(Clock::now() - start_);
  }

  void Send() {
    const int socket = IdleLine();
    is_unreachable_ = socket < 0;
    if (is_unreachable_) return;
    Line& line = *lines_.at(socket);
    line.is_asked = true;
    line.sent = Clock::now();
    ++in_flight_;
    if (!line.connection.Send(requests_.Request(sent_++))) Serve(socket);
  }

  // The socket of one that waits for nothing, made where there is none; -1 if that fails.
  int IdleLine() {
    if (!idle_.empty()) {
      const int socket = idle_.back();
      idle_.pop_back();
      return socket;
    }
    auto line = std::make_unique<Line>(options_.server);
    const int socket = line->connection.socket();
    if (socket < 0) return -1;
    epoll_event event{.events = EPOLLIN, .data = {.fd = socket}};
    epoll_ctl(poll_, EPOLL_CTL_ADD, socket, &event);
    lines_[socket] = std::move(line);
    return socket;
  }

  void TakeAnswers() {
    std::array<epoll_event, 64> events;
    const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), MillisecondsToWait());
    for (int i = 0; i < count; ++i) Serve(events[static_cast<std::size_t>(i)].data.fd);
  }

  // Until the next request is due. Whoever waits needlessly often takes time from the server.
  int MillisecondsToWait() const {
    double wait_s = kLongestWait_s;
    if (options_.rate > 0 && !IsOver())
      wait_s = std::min(wait_s, static_cast<double>(sent_) / options_.rate - Seconds(Clock::now() - start_));
    return static_cast<int>(std::max(0.0, std::ceil(wait_s * 1000)));
  }

  void Serve(int socket) {
    Line& line = *lines_.at(socket);
    const HttpConnection::State state = line.connection.Read(false);
    if (state == HttpConnection::State::kWaiting) return;
    const bool is_answer = std::exchange(line.is_asked, false);
    if (is_answer) {
      const Clock::time_point now = Clock::now();
      answers_.push_back({line.connection.Take(), Seconds(now - line.sent), Seconds(now - start_)});
      if (state == HttpConnection::State::kBroken) answers_.back().response.clear();
      --in_flight_;
    }
    if (is_answer && state == HttpConnection::State::kWhole) {
      idle_.push_back(socket);
    } else {
      std::erase(idle_, socket);
      lines_.erase(socket);
    }
  }

  Json Report(const HealthWatch& health) const {
    std::map<std::string, std::int64_t> statuses;
    std::vector<double> latencies;
    std::int64_t tokens = 0;
    const double ramp_s = kRampShare * options_.seconds;
    for (const Answer& answer : answers_) {
      const Json body = Json::parse(BodyOf(answer.response), nullptr, false);
      const int status = StatusOf(answer.response);
      ++statuses[body.is_discarded() ? "broken" : std::to_string(status)];
      if (status == 429 && !HasField(answer.response, "retry-after")) ++statuses["429 without Retry-After"];
      if (body.is_discarded() || status != 200) continue;
      latencies.push_back(answer.latency_s);
      if (answer.ended_s >= ramp_s && answer.ended_s < options_.seconds) tokens += body["usage"]["completion_tokens"].get<std::int64_t>();
    }
    return {{"is_unreachable", is_unreachable_},
            {"sent", sent_},
            {"statuses", statuses},
            {"tokens_per_s", static_cast<double>(tokens) / (options_.seconds - ramp_s)},
            {"latency_p50_s", Quantile(latencies, 0.5)},
            {"latency_p99_s", Quantile(latencies, 0.99)},
            {"health_asked", health.latencies_s().size()},
            {"health_failures", health.failures()},
            {"health_p50_ms", 1000 * Quantile(health.latencies_s(), 0.5)},
            {"health_p99_ms", 1000 * Quantile(health.latencies_s(), 0.99)}};
  }

  Options options_;
  Requests requests_;
  int poll_;
  Clock::time_point start_;
  bool is_unreachable_ = false;
  std::int64_t sent_ = 0;
  int in_flight_ = 0;
  std::unordered_map<int, std::unique_ptr<Line>> lines_;  // by socket
  std::vector<int> idle_;
  std::vector<Answer> answers_;
};

int Main(const std::vector<std::string>& words) {
  const auto server = words.empty() ? std::nullopt : ParseAddress(words[0]);
  if (!server || words.size() < 4 || (words[2] != "rate" && words[2] != "closed")) {
    fmt::print(stderr, "usage: load_client http://IPV4:PORT SECONDS rate R | closed N [MAX_TOKENS [PROMPT_TOKENS]]\n");
    return 2;
  }
  Options options{.server = *server, .seconds = std::atof(words[1].c_str())};
  if (words[2] == "rate") options.rate = std::atof(words[3].c_str());
  if (words[2] == "closed") options.closed = std::atoi(words[3].c_str());
  if (words.size() > 4) options.max_tokens = std::atoi(words[4].c_str());
  if (words.size() > 5) options.prompt_tokens = std::atoi(words[5].c_str());
  const Json report = LoadClient(options).Run();
  fmt::print("{}\n", report.dump());
  if (!report["is_unreachable"]) return 0;
  fmt::print(stderr, "no connection to {}\n", words[0]);
  return 1;
}

}  // namespace
}  // namespace cllm::bench

int main(int argc, char** argv) { return cllm::bench::Main(std::vector<std::string>(argv + 1, argv + argc)); }
