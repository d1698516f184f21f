#include "chat/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "chat/terminal_text.h"

namespace cllm {
namespace {

constexpr long kConnectTimeoutMs = 10'000;
constexpr int kLongestPollMs = 1000;  // libcurl's own timers are shorter

struct Transfer {
  CURL* easy;
  const HttpClient::OnBody& on_body;
  const std::function<bool()>& done;
  Status status;
  std::array<char, CURL_ERROR_SIZE> error_text = {};

  int HttpStatus() const {
    long code = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
    return static_cast<int>(code);
  }
};

// libcurl's write callback: less than what came ends the transfer.
std::size_t OnBytes(char* bytes, std::size_t, std::size_t count, void* data) {
  auto& transfer = *static_cast<Transfer*>(data);
  transfer.status = transfer.on_body(transfer.HttpStatus(), {bytes, count});
  return transfer.status && !transfer.done() ? count : 0;
}

// Takes part in the multi handle for the length of a call.
class Membership {
 public:
  Membership(CURLM* multi, CURL* easy) : multi_(multi), easy_(easy) { curl_multi_add_handle(multi_, easy_); }
  ~Membership() { curl_multi_remove_handle(multi_, easy_); }
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

 private:
  CURLM* multi_;
  CURL* easy_;
};

// A header must not be ended by a line end in the key.
Status CheckKey(const std::string& key) {
  const bool printable = std::ranges::all_of(key, [](unsigned char c) { return c > 0x20 && c < 0x7F; });
  if (printable) return {};
  return InvalidArgument("the API key has characters that no key has: blanks, line ends or letters beyond ASCII");
}

}  // namespace

struct HttpClient::Handles {
  Interrupts& interrupts;
  CURLM* multi = nullptr;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;

  explicit Handles(Interrupts& the_interrupts) : interrupts(the_interrupts) {}
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
  }

  bool AddHeader(const std::string& header) {
    curl_slist* longer = curl_slist_append(headers, header.c_str());
    if (longer != nullptr) headers = longer;
    return longer != nullptr;
  }
};

HttpClient::HttpClient(std::unique_ptr<Handles> handles) : handles_(std::move(handles)) {}

HttpClient::~HttpClient() = default;

Result<std::unique_ptr<HttpClient>> HttpClient::Create(const std::string& api_key, Interrupts& interrupts) {
  if (const Status status = CheckKey(api_key); !status) return std::unexpected(status.error());
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return Fail(ErrorCode::kInternal, "libcurl cannot be initialised");
  auto handles = std::make_unique<Handles>(interrupts);
  handles->multi = curl_multi_init();
  handles->easy = curl_easy_init();
  // No `Expect: 100-continue` before a long conversation: some servers never answer it.
  const bool has_headers = handles->AddHeader("Content-Type: application/json") && handles->AddHeader("Expect:") &&
                           (api_key.empty() || handles->AddHeader("Authorization: Bearer " + api_key));
  if (handles->multi == nullptr || handles->easy == nullptr || !has_headers) {
    return Fail(ErrorCode::kInternal, "libcurl cannot make a handle");
  }
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(handles)));
}

namespace {

void SetUp(CURL* easy, const HttpClient::Call& call, const curl_slist* headers, Transfer& transfer) {
  curl_easy_reset(easy);
  curl_easy_setopt(easy, CURLOPT_URL, call.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // Ctrl-C does not wait for a name server
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT, call.timeout_s.value_or(0));
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "cllm");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBytes);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.error_text.data());
  if (!call.body) return;
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body->size()));
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call.body->data());
}

// The outcome of the one transfer; CURLE_OK as long as there is none.
CURLcode Outcome(CURLM* multi) {
  int left = 0;
  const CURLMsg* message = curl_multi_info_read(multi, &left);
  return message != nullptr && message->msg == CURLMSG_DONE ? message->data.result : CURLE_OK;
}

}  // namespace

Result<HttpClient::Response> HttpClient::Send(const Call& call, const OnBody& on_body, const std::function<bool()>& done) {
  CURLM* multi = handles_->multi;
  CURL* easy = handles_->easy;
  Transfer transfer{.easy = easy, .on_body = on_body, .done = done, .status = {}};
  SetUp(easy, call, handles_->headers, transfer);
  const Membership membership(multi, easy);
  int running = 1;
  while (running > 0) {
    if (handles_->interrupts.Take()) return Response{.status = transfer.HttpStatus(), .interrupted = true};
    curl_multi_perform(multi, &running);
    if (running == 0) break;
    curl_waitfd interrupt{.fd = handles_->interrupts.fd(), .events = CURL_WAIT_POLLIN, .revents = 0};
    curl_multi_poll(multi, &interrupt, 1, kLongestPollMs, nullptr);
  }
  const CURLcode code = Outcome(multi);
  if (!transfer.status) return std::unexpected(transfer.status.error());
  if (code != CURLE_OK && !done()) {
    const std::string why = transfer.error_text[0] != '\0' ? transfer.error_text.data() : curl_easy_strerror(code);
    const char* what = transfer.HttpStatus() == 0 ? "cannot be reached" : "has broken the connection";
    return Fail(ErrorCode::kUnavailable, fmt::format("{} {}: {}", ForMessage(call.url), what, ForMessage(why)));
  }
  return Response{.status = transfer.HttpStatus(), .interrupted = false};
}

}  // namespace cllm
