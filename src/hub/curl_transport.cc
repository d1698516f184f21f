#include "hub/curl_transport.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>

#include <fmt/format.h>

namespace cllm {
namespace {

constexpr int kTickMs = 100;
constexpr std::size_t kMostHeaderBytes = 64 << 10;

using Kind = TransferError::Kind;
using HeaderList = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

// What the callbacks of one request share.
struct Exchange {
  BodySink& sink;
  HttpHead head;
  std::size_t header_bytes = 0;
  bool head_done = false;
  Transfer<void> outcome = {};
};

std::string_view Trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

void AddHeader(Exchange& exchange, std::string_view line) {
  if (line.starts_with("HTTP/")) {  // a new answer: an interim one may have come before
    exchange.head.headers.clear();
    const std::size_t space = line.find(' ');
    exchange.head.status = space == std::string_view::npos ? 0 : std::atoi(std::string(line.substr(space + 1)).c_str());
    return;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  exchange.head.headers.try_emplace(std::move(name), Trimmed(line.substr(colon + 1)));
}

std::size_t OnHeaderLine(char* data, std::size_t, std::size_t size, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  exchange.header_bytes += size;
  if (exchange.header_bytes > kMostHeaderBytes) {
    exchange.outcome = TransferFailed(Kind::kFinal, "the server sends endless headers");
    return 0;
  }
  if (exchange.head_done) return size;  // a trailer
  const std::string_view line = Trimmed({data, size});
  if (!line.empty()) {
    AddHeader(exchange, line);
    return size;
  }
  if (exchange.head.status / 100 == 1) return size;
  exchange.head_done = true;
  exchange.outcome = exchange.sink.OnHead(exchange.head);
  return exchange.outcome ? size : 0;
}

std::size_t OnBytes(char* data, std::size_t, std::size_t size, void* user) {
  Exchange& exchange = *static_cast<Exchange*>(user);
  exchange.outcome = exchange.sink.OnBody({data, size});
  return exchange.outcome ? size : 0;
}

Kind KindOf(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return Kind::kUnreachable;
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return Kind::kTransient;
    default:
      return Kind::kFinal;
  }
}

}  // namespace

struct CurlTransport::Handles {
  CURL* easy = curl_easy_init();
  CURLM* multi = curl_multi_init();
  std::array<char, CURL_ERROR_SIZE> message{};

  ~Handles() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
};

CurlTransport::CurlTransport(const CurlOptions& options, Patience& patience)
    : options_(options), patience_(patience), handles_(std::make_unique<Handles>()) {}

CurlTransport::~CurlTransport() = default;

Transfer<void> CurlTransport::Get(const HttpRequest& request, BodySink& sink) {
  CURL* easy = handles_->easy;
  CURLM* multi = handles_->multi;
  Exchange exchange{.sink = sink, .head = {.url = request.url}};
  HeaderList headers(nullptr, &curl_slist_free_all);
  for (const std::string& header : request.headers) {
    headers.reset(curl_slist_append(headers.release(), header.c_str()));
  }
  curl_easy_reset(easy);
  handles_->message[0] = '\0';
  curl_easy_setopt(easy, CURLOPT_URL, request.url.text.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "cllm");
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, static_cast<long>(options_.connect_timeout_s));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(options_.min_rate));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options_.stall_timeout_s));
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L << 10);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, handles_->message.data());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeaderLine);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBytes);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);

  curl_multi_add_handle(multi, easy);
  int running = 1;
  bool interrupted = false;
  while (running != 0 && !interrupted) {
    if (curl_multi_perform(multi, &running) != CURLM_OK) break;
    sink.OnTick();
    interrupted = patience_.Interrupted();
    if (running != 0 && !interrupted) curl_multi_poll(multi, nullptr, 0, kTickMs, nullptr);
  }
  CURLcode code = CURLE_RECV_ERROR;
  int left = 0;
  if (const CURLMsg* message = curl_multi_info_read(multi, &left); message != nullptr) code = message->data.result;
  curl_multi_remove_handle(multi, easy);

  if (interrupted) return TransferFailed(Kind::kFinal, "interrupted", ErrorCode::kCancelled);
  if (!exchange.outcome) return exchange.outcome;
  if (code == CURLE_OK) return {};
  const char* detail = handles_->message[0] != '\0' ? handles_->message.data() : curl_easy_strerror(code);
  return TransferFailed(KindOf(code), fmt::format("{}: {}", WithoutQuery(request.url), detail));
}

}  // namespace cllm
