// What can be asked of answers of OpenAI's Responses that are kept.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "api/responses_dialect.h"
#include "api/schema_words.h"
#include "base/json.h"
#include "base/utf8.h"

namespace cllm {
namespace {

constexpr std::size_t kMostListed = 100;  // OpenAI's bounds
constexpr std::size_t kListed = 20;

ResponseStore::Time Now() { return std::chrono::steady_clock::now(); }

std::unexpected<Error> NoSuchResponse(const std::string& id) {
  return Fail(ErrorCode::kNotFound, fmt::format("there is no response {}: it was never kept, is deleted, or too old", Dump(Shortened(id))),
              "id");
}

Result<std::shared_ptr<const StoredResponse>> FindKept(const KeptResponseCall& call) {
  auto response = call.store.Find(call.owner, call.id, Now());
  if (!response) return NoSuchResponse(call.id);
  return response;
}

struct Page {
  std::size_t limit = kListed;
  bool is_descending = true;
  std::string after = {};
};

Result<Page> ReadPage(const KeptResponseCall& call) {
  Page page;
  if (const std::string limit = call.query("limit"); !limit.empty()) {
    const auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), page.limit);
    if (error != std::errc() || end != limit.data() + limit.size() || page.limit < 1 || page.limit > kMostListed) {
      return InvalidArgument(fmt::format("limit must be an integer from 1 to {}", kMostListed), "limit");
    }
  }
  if (const std::string order = call.query("order"); !order.empty()) {
    if (order != "asc" && order != "desc") return InvalidArgument("order must be asc or desc", "order");
    page.is_descending = order == "desc";
  }
  page.after = call.query("after");
  return page;
}

// All that the model was given: what came before the request, and the request's own.
std::vector<const StoredItem*> InputOf(const StoredResponse& response) {
  std::vector<const StoredItem*> items;
  for (const auto& turn : response.turns) {
    for (const StoredItem& item : turn->input) items.push_back(&item);
    if (turn == response.turns.back()) break;
    for (const StoredItem& item : turn->output) items.push_back(&item);
  }
  return items;
}

}  // namespace

Result<std::string> KeptResponseBody(const KeptResponseCall& call) {
  if (const std::string stream = call.query("stream"); !stream.empty() && stream != "false") {
    return InvalidArgument("stream is not supported here: an answer that is kept is whole", "stream");
  }
  const auto response = FindKept(call);
  if (!response) return std::unexpected(response.error());
  return (*response)->body;
}

Result<std::string> DeletedResponseBody(const KeptResponseCall& call) {
  if (!call.store.Delete(call.owner, call.id, Now())) return NoSuchResponse(call.id);
  return Dump(Json{{"id", call.id}, {"object", "response"}, {"deleted", true}});
}

Result<std::string> CancelledResponseBody(const KeptResponseCall& call) {
  if (const auto response = FindKept(call); !response) return std::unexpected(response.error());
  return InvalidArgument("only a response with background: true can be cancelled, and this server has none: close its connection instead",
                         "id");
}

Result<std::string> InputItemsBody(const KeptResponseCall& call) {
  const Result<Page> page = ReadPage(call);
  if (!page) return std::unexpected(page.error());
  const auto response = FindKept(call);
  if (!response) return std::unexpected(response.error());
  std::vector<const StoredItem*> items = InputOf(**response);
  if (page->is_descending) std::ranges::reverse(items);
  auto first = items.begin();
  if (!page->after.empty()) {
    first = std::ranges::find(items, page->after, [](const StoredItem* item) -> const std::string& { return item->id; });
    if (first == items.end()) return InvalidArgument("after must be the id of one of the items", "after");
    ++first;
  }
  const std::size_t count = std::min(page->limit, static_cast<std::size_t>(items.end() - first));
  std::string data;
  for (auto item = first; item != first + static_cast<std::ptrdiff_t>(count); ++item) {
    if (!data.empty()) data += ',';
    data += (*item)->json;
  }
  const auto id_at = [&](std::size_t i) {
    return count == 0 ? std::string("null") : Dump((*(first + static_cast<std::ptrdiff_t>(i)))->id);
  };
  return fmt::format("{{\"object\":\"list\",\"data\":[{}],\"first_id\":{},\"last_id\":{},\"has_more\":{}}}", data, id_at(0),
                     id_at(count - 1), static_cast<std::size_t>(items.end() - first) > count);
}

Operation DescribeKeptResponse() { return {.answer = ResponseSchema(), .query = {{"stream", words::Enum({"false", ""})}}}; }

Operation DescribeDeletedResponse() {
  return {.answer = words::Record({{"id", words::String()}, {"object", words::Const("response")}, {"deleted", words::Const(true)}})};
}

Operation DescribeCancelledResponse() { return {}; }

Operation DescribeInputItems() {
  const Json id = words::OrNull(words::String());
  return {.answer = words::Record({{"object", words::Const("list")},
                                   {"data", words::ListOf(words::AnyObject())},
                                   {"first_id", id},
                                   {"last_id", id},
                                   {"has_more", words::Bool()}}),
          .query = {{"limit", words::Integer(1, kMostListed)}, {"order", words::Enum({"asc", "desc"})}, {"after", words::String()}}};
}

}  // namespace cllm
