// A cheap client for heavy loads: POST /v1/completions at a fixed rate (open loop) or with a fixed number in flight (closed
// loop), all on one thread, while another one asks /health. Prints what came back as one JSON object.
//
//   load_client URL SECONDS rate R | closed N [MAX_TOKENS [PROMPT_TOKENS]]
//
// Each request has from half to one and a half times as many tokens: of one length, those of a closed loop would all start and
// end in the same step, which no real load does.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>

#include <curl/curl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr auto kHealthInterval = std::chrono::milliseconds(50);
constexpr double kLongestPoll_s = 0.1;

struct Options {
  std::string url;
  double seconds = 1;
  double rate = 0;  // requests a second; 0: closed loop
  int closed = 0;   // in flight
  int max_tokens = 16;
  int prompt_tokens = 16;
};

struct Handle {
  CURL* curl = curl_easy_init();
  std::string body;
  std::string response;
  bool has_retry_after = false;
  Clock::time_point sent;
  ~Handle() { curl_easy_cleanup(curl); }
};

std::size_t Append(char* data, std::size_t size, std::size_t count, void* text) {
  static_cast<std::string*>(text)->append(data, size * count);
  return size * count;
}

std::size_t SeeHeader(char* data, std::size_t size, std::size_t count, void* handle) {
  std::string line(data, std::min<std::size_t>(size * count, 12));
  std::ranges::transform(line, line.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (line.starts_with("retry-after:")) static_cast<Handle*>(handle)->has_retry_after = true;
  return size * count;
}

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

double Quantile(std::vector<double> values, double at) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, static_cast<std::size_t>(at * static_cast<double>(values.size())))];
}

class LoadClient {
 public:
  explicit LoadClient(Options options) : options_(std::move(options)), multi_(curl_multi_init()) {
    headers_ = curl_slist_append(headers_, "Content-Type: application/json");
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, WatchSocket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, SetTimer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  }
  ~LoadClient() {
    curl_multi_cleanup(multi_);
    curl_slist_free_all(headers_);
  }

  // Sends for as long as it should, then waits for what is under way. Only answers in the time count as throughput.
  Json Run() {
    start_ = Clock::now();
    std::thread health([this] { AskHealth(); });
    while (!IsOver() || in_flight_ > 0) {
      while (!IsOver() && IsTimeToSend()) Send();
      ServeSockets();
      TakeAnswers();
    }
    done_ = true;
    health.join();
    return Report();
  }

 private:
  bool IsOver() const { return Seconds(Clock::now() - start_) >= options_.seconds; }
  bool IsTimeToSend() const {
    if (options_.rate == 0) return in_flight_ < options_.closed;
    return static_cast<double>(sent_) < options_.rate * Seconds(Clock::now() - start_);
  }

  // libcurl says which sockets to watch for what, and is told of those alone where something happened: looking at every open
  // request after each event would take more of the machine than the server takes for the request.
  static int WatchSocket(CURL*, curl_socket_t socket, int what, void* self, void*) {
    auto& sockets = static_cast<LoadClient*>(self)->sockets_;
    std::erase_if(sockets, [socket](const pollfd& watched) { return watched.fd == socket; });
    if (what == CURL_POLL_REMOVE) return 0;
    const int events = ((what & CURL_POLL_IN) != 0 ? POLLIN : 0) | ((what & CURL_POLL_OUT) != 0 ? POLLOUT : 0);
    sockets.push_back({.fd = socket, .events = static_cast<short>(events), .revents = 0});
    return 0;
  }

  static int SetTimer(CURLM*, long milliseconds, void* self) {
    auto& timer = static_cast<LoadClient*>(self)->timer_;
    timer = milliseconds < 0 ? Clock::time_point::max() : Clock::now() + std::chrono::milliseconds(milliseconds);
    return 0;
  }

  void ServeSockets() {
    poll(sockets_.data(), static_cast<nfds_t>(sockets_.size()), MillisecondsToWait());
    int running = 0;
    if (Clock::now() >= timer_) {
      timer_ = Clock::time_point::max();
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    for (const pollfd& socket : std::vector(sockets_)) {  // serving one may change the list
      if (socket.revents == 0) continue;
      const int what = ((socket.revents & POLLIN) != 0 ? CURL_CSELECT_IN : 0) | ((socket.revents & POLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                       ((socket.revents & (POLLERR | POLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
      curl_multi_socket_action(multi_, socket.fd, what, &running);
    }
  }

  // Until the next request or libcurl's timer is due. Whoever waits needlessly often takes time from the server.
  int MillisecondsToWait() const {
    double wait = kLongestPoll_s;
    if (timer_ != Clock::time_point::max()) wait = std::min(wait, Seconds(timer_ - Clock::now()));
    if (options_.rate > 0 && !IsOver()) wait = std::min(wait, static_cast<double>(sent_) / options_.rate - Seconds(Clock::now() - start_));
    return static_cast<int>(std::max(0.0, std::ceil(wait * 1000)));
  }

  // From half of `mean` to one and a half times as much, evenly; the same for the same request in each run.
  int Length(int mean, std::uint32_t salt) const {
    std::mt19937 random(static_cast<std::uint32_t>(sent_) ^ salt);
    return std::max(1, mean / 2 + static_cast<int>(random() % static_cast<std::uint32_t>(mean + 1)));
  }

  // Token ids that no other prompt begins with.
  std::string Body() const {
    Json prompt = Json::array();
    const int length = Length(options_.prompt_tokens, 0);
    for (int i = 0; i < length; ++i) prompt.push_back(1000 + (sent_ * 7919 + i * (31 + sent_ % 97)) % 20000);
    return Json{{"prompt", prompt}, {"max_tokens", Length(options_.max_tokens, 0x5bd1e995)}, {"temperature", 0}, {"ignore_eos", true}}.dump();
  }

  void Send() {
    std::unique_ptr<Handle> handle;
    if (idle_.empty()) {
      handle = std::make_unique<Handle>();
    } else {
      handle = std::move(idle_.back());
      idle_.pop_back();
    }
    handle->body = Body();
    handle->response.clear();
    handle->has_retry_after = false;
    handle->sent = Clock::now();
    CURL* curl = handle->curl;
    curl_easy_setopt(curl, CURLOPT_URL, (options_.url + "/v1/completions").c_str());
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(handle->body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, handle->body.c_str());
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &handle->response);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, SeeHeader);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, handle.get());
    curl_easy_setopt(curl, CURLOPT_PRIVATE, handle.get());
    curl_multi_add_handle(multi_, curl);
    open_[curl] = std::move(handle);
    ++sent_;
    ++in_flight_;
  }

  void TakeAnswers() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      CURL* curl = message->easy_handle;
      const CURLcode code = message->data.result;
      curl_multi_remove_handle(multi_, curl);
      auto node = open_.extract(curl);
      Count(*node.mapped(), code);
      idle_.push_back(std::move(node.mapped()));
      --in_flight_;
    }
  }

  void Count(const Handle& handle, CURLcode code) {
    long status = 0;
    curl_easy_getinfo(handle.curl, CURLINFO_RESPONSE_CODE, &status);
    const Json body = Json::parse(handle.response, nullptr, false);
    if (code != CURLE_OK || body.is_discarded()) {
      ++statuses_["broken"];
      return;
    }
    ++statuses_[std::to_string(status)];
    if (status == 429 && !handle.has_retry_after) ++statuses_["429 without Retry-After"];
    if (status != 200) return;
    latencies_.push_back(Seconds(Clock::now() - handle.sent));
    if (!IsOver()) tokens_ += body["usage"]["completion_tokens"].get<std::int64_t>();
  }

  void AskHealth() {
    CURL* curl = curl_easy_init();
    std::string body;
    curl_easy_setopt(curl, CURLOPT_URL, (options_.url + "/health").c_str());
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Append);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
    while (!done_) {
      const Clock::time_point begin = Clock::now();
      long status = 0;
      const CURLcode code = curl_easy_perform(curl);
      curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
      if (code != CURLE_OK || status != 200) ++health_failures_;
      health_.push_back(Seconds(Clock::now() - begin));
      std::this_thread::sleep_until(begin + kHealthInterval);
    }
    curl_easy_cleanup(curl);
  }

  Json Report() const {
    return {{"sent", sent_},
            {"statuses", statuses_},
            {"tokens_per_s", static_cast<double>(tokens_) / options_.seconds},
            {"latency_p50_s", Quantile(latencies_, 0.5)},
            {"latency_p99_s", Quantile(latencies_, 0.99)},
            {"health_asked", health_.size()},
            {"health_failures", health_failures_},
            {"health_p50_ms", 1000 * Quantile(health_, 0.5)},
            {"health_p99_ms", 1000 * Quantile(health_, 0.99)}};
  }

  Options options_;
  CURLM* multi_;
  std::vector<pollfd> sockets_;
  Clock::time_point timer_ = Clock::time_point::max();
  curl_slist* headers_ = nullptr;
  Clock::time_point start_;
  std::int64_t sent_ = 0;
  int in_flight_ = 0;
  std::map<CURL*, std::unique_ptr<Handle>> open_;
  std::vector<std::unique_ptr<Handle>> idle_;
  std::map<std::string, std::int64_t> statuses_;
  std::int64_t tokens_ = 0;  // of answers within the time
  std::vector<double> latencies_;
  std::atomic<bool> done_ = false;
  // Of the health thread, read once it has ended.
  std::vector<double> health_;
  int health_failures_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 4 || (words[2] != "rate" && words[2] != "closed")) {
    fmt::print(stderr, "usage: load_client URL SECONDS rate R | closed N [MAX_TOKENS [PROMPT_TOKENS]]\n");
    return 2;
  }
  Options options{.url = words[0], .seconds = std::atof(words[1].c_str())};
  if (words[2] == "rate") options.rate = std::atof(words[3].c_str());
  if (words[2] == "closed") options.closed = std::atoi(words[3].c_str());
  if (words.size() > 4) options.max_tokens = std::atoi(words[4].c_str());
  if (words.size() > 5) options.prompt_tokens = std::atoi(words[5].c_str());
  curl_global_init(CURL_GLOBAL_ALL);
  const Json report = LoadClient(options).Run();
  fmt::print("{}\n", report.dump());
  curl_global_cleanup();
  return 0;
}
