#include "http/answer_head.h"

#include <algorithm>
#include <cctype>

#include <drogon/utils/Utilities.h>
#include <fmt/format.h>
#include <trantor/utils/Date.h>

#include "api/dialect.h"

namespace cllm {
namespace {

constexpr std::size_t kMostIdBytes = 128;
constexpr std::size_t kMostListBytes = 1024;
constexpr int kLeastRetryAfter = 1;  // where nothing better is known

bool IsVisible(char c) { return c > 0x20 && c < 0x7F; }

const char* ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

// What neither ends the item nor the list.
bool MayStandInList(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-._~[]/:$").contains(c); }

}  // namespace

std::string RequestIdOf(std::string_view asked) {
  const bool is_good = !asked.empty() && asked.size() <= kMostIdBytes && std::ranges::all_of(asked, IsVisible);
  return is_good ? std::string(asked) : RandomHexId();
}

HeaderList CommonHeaders(const Cors& cors, std::string_view origin, std::string_view request_id) {
  HeaderList headers = cors.AnswerHeaders(origin);
  headers.emplace_back(kRequestIdHeader, request_id);
  return headers;
}

std::string ClosingHead(int status, const HeaderList& headers) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\nConnection: close\r\nServer: {}\r\nDate: {}\r\n", status, ReasonPhrase(status),
                                 kServerName, drogon::utils::getHttpFullDateStr(trantor::Date::date()));
  for (const auto& [name, value] : headers) text += fmt::format("{}: {}\r\n", name, value);
  return text + "\r\n";
}

void AddHeaders(drogon::HttpResponse& response, const HeaderList& headers) {
  for (const auto& [name, value] : headers) {
    if (name == kContentTypeHeader) {
      response.setContentTypeString(value);
    } else {
      response.addHeader(name, value);
    }
  }
}

std::optional<int> RetryAfter(const Error& error) {
  if (error.code != ErrorCode::kQueueFull && error.code != ErrorCode::kUnavailable) return std::nullopt;
  return std::max(kLeastRetryAfter, error.retry_after_s);
}

std::string FieldListValue(std::span<const std::string> fields) {
  std::string list;
  for (const std::string& field : fields) {
    std::string item = list.empty() ? "" : ", ";
    for (const char c : field) {
      if (MayStandInList(c)) {
        item += c;
      } else {
        item += fmt::format("%{:02X}", static_cast<unsigned char>(c));
      }
    }
    if (list.size() + item.size() > kMostListBytes) return list + (list.empty() ? "..." : ", ...");
    list += item;
  }
  return list;
}

}  // namespace cllm
