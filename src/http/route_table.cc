#include "http/route_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <optional>
#include <ranges>

#include <fmt/format.h>

#include "api/endpoints.h"
#include "api/llama_views.h"
#include "api/managed_model.h"
#include "api/ollama_models.h"
#include "api/token_endpoints.h"
#include "base/nearest_word.h"
#include "http/handlers.h"
#include "http/metrics_page.h"
#include "http/openapi.h"

namespace cllm {
namespace {

constexpr auto kGet = RouteMethod::kGet;
constexpr auto kPost = RouteMethod::kPost;
constexpr auto kDelete = RouteMethod::kDelete;
constexpr auto kCllm = ErrorFamily::kCllm;
constexpr auto kOpenAi = ErrorFamily::kOpenAi;
constexpr auto kAnthropic = ErrorFamily::kAnthropic;
constexpr auto kOllama = ErrorFamily::kOllama;
constexpr auto kLlamaServer = ErrorFamily::kLlamaServer;
constexpr std::string_view kSameAsAbove;

// What is the same whatever the backend.
template <Operation (*kDescribe)()>
Operation Described(const Backend&) {
  return kDescribe();
}

template <Operation (*kDescribe)()>
constexpr Route Probe(std::string_view path, ErrorFamily errors, void (Handlers::*answer)(HttpCall) const, std::string_view description) {
  return {.method = kGet,
          .path = path,
          .errors = errors,
          .answer = answer,
          .describe = Described<kDescribe>,
          .description = description,
          .needs_key = false};
}

template <auto kDialect>
constexpr Route Generating(std::string_view path, ErrorFamily errors, std::string_view description) {
  return {.method = kPost,
          .path = path,
          .errors = errors,
          .answer = &Handlers::Generate<kDialect>,
          .describe = [](const Backend& backend) { return (backend.*kDialect).Describe(); },
          .description = description,
          .logs_itself = true};
}

template <auto kDialect>
constexpr Route Embedding(std::string_view path, std::string_view description, ErrorFamily errors = kOpenAi) {
  return {.method = kPost,
          .path = path,
          .errors = errors,
          .answer = &Handlers::Embed<kDialect>,
          .describe = [](const Backend& backend) { return (backend.*kDialect).Describe(); },
          .description = description};
}

template <auto kDialect, RenderForm kForm>
constexpr Route Rendering(std::string_view path, std::string_view description) {
  return {.method = kPost,
          .path = path,
          .errors = kOpenAi,
          .answer = &Handlers::Render<kDialect, kForm>,
          .describe = [](const Backend& backend) { return DescribeRender(backend.*kDialect, kForm); },
          .description = description};
}

template <auto kAnswer, Operation (*kDescribe)()>
constexpr Route Kept(RouteMethod method, std::string_view path, std::string_view description) {
  return {.method = method,
          .path = path,
          .errors = kOpenAi,
          .answer = &Handlers::Kept<kAnswer>,
          .describe = Described<kDescribe>,
          .description = description};
}

template <auto kAnswer, Operation (*kDescribe)()>
constexpr Route View(ErrorFamily errors, std::string_view path, std::string_view description) {
  return {.method = kGet,
          .path = path,
          .errors = errors,
          .answer = &Handlers::View<kAnswer>,
          .describe = Described<kDescribe>,
          .description = description};
}

template <auto kAnswer, Operation (*kDescribe)()>
constexpr Route List(ErrorFamily errors, std::string_view path, std::string_view description) {
  return {.method = kGet,
          .path = path,
          .errors = errors,
          .answer = &Handlers::List<kAnswer>,
          .describe = Described<kDescribe>,
          .description = description};
}

template <auto kAnswer, Operation (*kDescribe)()>
constexpr Route Look(ErrorFamily errors, RouteMethod method, std::string_view path, std::string_view description) {
  return {.method = method,
          .path = path,
          .errors = errors,
          .answer = &Handlers::Look<kAnswer>,
          .describe = Described<kDescribe>,
          .description = description};
}

constexpr Route ForAdmins(Route route) {
  route.needs_admin = true;
  return route;
}

constexpr Route Managing(void (Handlers::*answer)(HttpCall) const, std::string_view path, std::string_view description) {
  return ForAdmins(
      {.method = kPost, .path = path, .answer = answer, .describe = Described<DescribeManagedModel>, .description = description});
}

constexpr std::string_view kModelsManaged =
    "for the administrator: 400, since models are managed where the server runs (`cllm pull`, `cllm rm`)";

constexpr std::array kRoutes = {
    Route{.method = kGet,
          .path = "/",
          .answer = &Handlers::Index,
          .describe = Described<DescribeIndex>,
          .description = "name, version, endpoints"},
    Route{.method = kGet,
          .path = "/openapi.json",
          .answer = &Handlers::OpenApi,
          .describe = Described<DescribeOpenApi>,
          .description = "what this server answers, in OpenAPI 3.1"},
    Probe<DescribeHealth>(
        "/health", kCllm, &Handlers::Health,
        "does the server accept requests and compute; `?level=detailed` (with the key) adds engine, model, queue, KV cache, memory"),
    Probe<DescribeHealth>("/v1/health", kOpenAi, &Handlers::Health, kSameAsAbove),
    Probe<DescribeReady>("/readyz", kCllm, &Handlers::Ready, "should requests be sent here: 503 from the first signal to end on"),
    Probe<DescribeLive>("/livez", kCllm, &Handlers::Live, "does the process answer at all"),
    Route{.method = kGet,
          .path = "/metrics",
          .answer = &Handlers::Metrics,
          .describe = Described<DescribeMetrics>,
          .description = "counters and histograms in Prometheus' text format",
          .content_type = kMetricsContentType},
    Generating<&Backend::generate>("/generate", kCllm, "text for a prompt, whole or (with `stream`) in pieces"),
    Generating<&Backend::generate_stream>("/generate_stream", kCllm, "the same, always in pieces"),
    Route{.method = kGet,
          .path = "/v1/models",
          .errors = kOpenAi,
          .answer = &Handlers::Models,
          .describe = Described<DescribeModels>,
          .description = "the served models, as OpenAI lists them"},
    Route{.method = kGet,
          .path = "/models",
          .errors = kOpenAi,
          .answer = &Handlers::Models,
          .describe = Described<DescribeModels>,
          .description = kSameAsAbove},
    Route{.method = kGet,
          .path = "/v1/models/{id}",
          .errors = kOpenAi,
          .answer = &Handlers::Model,
          .describe = Described<DescribeModel>,
          .description = "one model by its id or alias; another id is 404 `model_not_found`"},
    Route{.method = kGet,
          .path = "/models/{id}",
          .errors = kOpenAi,
          .answer = &Handlers::Model,
          .describe = Described<DescribeModel>,
          .description = kSameAsAbove},
    Managing(&Handlers::LoadModel, "/models/load", "loads a model `{\"model\": NAME}`, for the administrator; answers when it is there"),
    Managing(&Handlers::UnloadModel, "/models/unload", "takes it out of memory when its open requests have ended"),
    Generating<&Backend::completions>("/v1/completions", kOpenAi, "OpenAI's completions"),
    Generating<&Backend::chat>("/v1/chat/completions", kOpenAi, "OpenAI's chat, through the model's own template"),
    Generating<&Backend::chat>("/chat/completions", kOpenAi, kSameAsAbove),
    Generating<&Backend::responses>("/v1/responses", kOpenAi, "OpenAI's Responses"),
    Generating<&Backend::responses>("/responses", kOpenAi, kSameAsAbove),
    Route{.method = kPost,
          .path = "/v1/responses/input_tokens",
          .errors = kOpenAi,
          .answer = &Handlers::Work<CountInputTokensBody>,
          .describe = Described<DescribeCountInputTokens>,
          .description = "how many tokens such a request begins with"},
    Kept<&KeptResponseBody, DescribeKeptResponse>(kGet, "/v1/responses/{id}", "an answer that was kept"),
    Kept<&DeletedResponseBody, DescribeDeletedResponse>(kDelete, "/v1/responses/{id}", "forgets it"),
    Kept<&CancelledResponseBody, DescribeCancelledResponse>(kPost, "/v1/responses/{id}/cancel", "400: there is no background mode"),
    Kept<&InputItemsBody, DescribeInputItems>(kGet, "/v1/responses/{id}/input_items",
                                              "what the model was given for it; `limit`, `order`, `after`"),
    Generating<&Backend::messages>("/v1/messages", kAnthropic, "Anthropic's Messages"),
    Generating<&Backend::messages>("/messages", kAnthropic, kSameAsAbove),
    Route{.method = kPost,
          .path = "/v1/messages/count_tokens",
          .errors = kAnthropic,
          .answer = &Handlers::Work<CountTokensBody>,
          .describe = Described<DescribeCountTokens>,
          .description = "how many tokens a request to Messages begins with"},
    Generating<&Backend::ollama_chat>("/api/chat", kOllama, "Ollama's chat"),
    Generating<&Backend::ollama_generate>("/api/generate", kOllama, "Ollama's text for a prompt"),
    Embedding<&Backend::ollama_embed>("/api/embed", "Ollama's embeddings", kOllama),
    Embedding<&Backend::ollama_embeddings>("/api/embeddings", "the same for one text, as it was before", kOllama),
    List<OllamaTagsBody, DescribeOllamaTags>(kOllama, "/api/tags", "the models that there are, as Ollama lists them"),
    List<OllamaRunningBody, DescribeOllamaRunning>(kOllama, "/api/ps", "those that are loaded"),
    List<OllamaVersionBody, DescribeOllamaVersion>(kOllama, "/api/version", "the version of Ollama whose API is spoken, and this server's"),
    Look<OllamaShowBody, DescribeOllamaShow>(kOllama, kPost, "/api/show", "what a model is"),
    ForAdmins(Look<OllamaPullBody, DescribeOllamaPull>(kOllama, kPost, "/api/pull",
                                                       "for the administrator: `success` for a model that is there, else 400")),
    ForAdmins(Look<OllamaUnmanagedBody, DescribeOllamaUnmanaged>(kOllama, kPost, "/api/push", kModelsManaged)),
    ForAdmins(Look<OllamaUnmanagedBody, DescribeOllamaUnmanaged>(kOllama, kPost, "/api/create", kSameAsAbove)),
    ForAdmins(Look<OllamaUnmanagedBody, DescribeOllamaUnmanaged>(kOllama, kPost, "/api/copy", kSameAsAbove)),
    ForAdmins(Look<OllamaUnmanagedBody, DescribeOllamaUnmanaged>(kOllama, kDelete, "/api/delete", kSameAsAbove)),
    Generating<&Backend::llama_completion>("/completion", kLlamaServer, "llama-server's text for a prompt"),
    Generating<&Backend::llama_completion>("/completions", kLlamaServer, kSameAsAbove),
    Generating<&Backend::llama_infill>("/infill", kLlamaServer, "llama-server's text for a gap between two others"),
    View<LlamaPropsBody, DescribeLlamaProps>(kLlamaServer, "/props", "what the server is and does by default, as llama-server says it"),
    Look<LlamaPropsFixedBody, DescribeLlamaUnsupported>(kLlamaServer, kPost, "/props", "501: properties are options of the server"),
    View<LlamaSlotsBody, DescribeLlamaSlots>(kLlamaServer, "/slots",
                                             "an entry for each request that may run at a time; `?fail_on_no_slot=1`: 503 where all do"),
    Look<LlamaSlotsUnkeptBody, DescribeLlamaUnsupported>(kLlamaServer, kPost, "/slots/{id}",
                                                         "501: nothing is saved, restored or erased on request"),
    View<LlamaAdaptersBody, DescribeLlamaAdapters>(kLlamaServer, "/lora-adapters", "an empty list"),
    Look<SetLlamaAdaptersBody, DescribeSetLlamaAdapters>(kLlamaServer, kPost, "/lora-adapters", "400 for any but an empty list"),
    View<VllmVersionBody, DescribeVllmVersion>(kOpenAi, "/version", "the server's version, as vLLM says it"),
    View<VllmTokenizerBody, DescribeVllmTokenizer>(kOpenAi, "/tokenizer_info",
                                                   "the control tokens and the chat template, as vLLM says them"),
    Probe<DescribeHealth>("/ping", kOpenAi, &Handlers::Health, "the same as `/health`, where SageMaker and vLLM's clients ask for it"),
    Route{.method = kPost,
          .path = "/ping",
          .errors = kOpenAi,
          .answer = &Handlers::Health,
          .describe = Described<DescribeHealth>,
          .description = kSameAsAbove,
          .needs_key = false},
    Embedding<&Backend::embeddings>("/v1/embeddings", "OpenAI's embeddings"),
    Embedding<&Backend::llama_embeddings>("/embedding", "embeddings as llama-server has them"),
    Embedding<&Backend::llama_embeddings>("/embeddings", kSameAsAbove),
    Embedding<&Backend::rerank>("/v1/rerank",
                                "how well documents answer a query, the best first, as Jina, Cohere and llama-server have it"),
    Embedding<&Backend::rerank>("/rerank", kSameAsAbove),
    Embedding<&Backend::rerank>("/v1/reranking", kSameAsAbove),
    Embedding<&Backend::rerank>("/reranking", kSameAsAbove),
    Embedding<&Backend::rerank>("/v2/rerank", kSameAsAbove),
    Embedding<&Backend::score>("/score", "how well one text answers another, as vLLM has it"),
    Embedding<&Backend::score>("/v1/score", kSameAsAbove),
    Rendering<&Backend::completions, RenderForm::kList>(
        "/v1/completions/render", "the token ids and the text of the prompts that such a request would go on from, as vLLM has it"),
    Rendering<&Backend::chat, RenderForm::kOne>("/v1/chat/completions/render", "the same of a chat"),
    Route{.method = kPost,
          .path = "/tokenize",
          .answer = &Handlers::Work<TokenizeBody>,
          .describe = Described<DescribeTokenize>,
          .description = "text to token ids, as llama-server has it"},
    Route{.method = kPost,
          .path = "/detokenize",
          .answer = &Handlers::Work<DetokenizeBody>,
          .describe = Described<DescribeDetokenize>,
          .description = "token ids to text, as llama-server has it"},
    Route{.method = kPost,
          .path = "/apply-template",
          .answer = &Handlers::Work<ApplyTemplateBody>,
          .describe = Described<DescribeApplyTemplate>,
          .description = "the prompt that the model's template makes of messages, as llama-server has it"},
};

constexpr std::size_t kMostTypos = 2;

bool HasParameter(const Route& route) { return route.path.contains('{'); }

// What stands at the parameter of the route's path; nothing where the path is another one.
std::optional<std::string_view> ParameterOf(const Route& route, std::string_view path) {
  const std::string_view before = route.path.substr(0, route.path.find('{'));
  const std::string_view after = route.path.substr(route.path.find('}') + 1);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after)) return std::nullopt;
  return path.substr(before.size(), path.size() - before.size() - after.size());
}

// The framer has let nothing but good escapes through.
std::string Decoded(std::string_view path) {
  std::string text;
  for (std::size_t at = 0; at < path.size(); ++at) {
    unsigned value = static_cast<unsigned char>(path[at]);
    if (path[at] == '%' && at + 2 < path.size()) {
      std::from_chars(path.data() + at + 1, path.data() + at + 3, value, 16);
      at += 2;
    }
    text += static_cast<char>(value);
  }
  return text;
}

std::vector<std::string_view> Segments(std::string_view path) {
  std::vector<std::string_view> segments;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (end > at) segments.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return segments;
}

std::size_t CommonLength(auto&& left, auto&& right) {
  return static_cast<std::size_t>(std::ranges::mismatch(left, right).in1 - std::ranges::begin(left));
}

std::string MethodsOf(auto&& is_meant) {
  std::string methods;
  for (const RouteMethod method : {kGet, kPost, kDelete}) {
    const auto found = std::ranges::find_if(kRoutes, [&](const Route& route) { return route.method == method && is_meant(route); });
    if (found != kRoutes.end()) methods += fmt::format("{}, {}", MethodName(found->method), method == kGet ? "HEAD, " : "");
  }
  return methods + "OPTIONS";
}

std::string EndpointName(const Route& route) { return fmt::format("{} {}", MethodName(route.method), route.path); }

}  // namespace

std::string_view MethodName(RouteMethod method) {
  switch (method) {
    case kGet:
      return "GET";
    case kPost:
      return "POST";
    case kDelete:
      break;
  }
  return "DELETE";
}

std::span<const Route> Routes() { return kRoutes; }

RouteMatch FindRoute(std::string_view path) {
  const std::string decoded = Decoded(path);
  for (const Route& route : kRoutes) {
    if (!HasParameter(route) && decoded == route.path) return {&route, {}};
  }
  // Of two that fit, the one with the longer path says more about it: "/x/{id}/y" is no "/x/{id}".
  RouteMatch match;
  for (const Route& route : kRoutes) {
    if (!HasParameter(route) || (match.route != nullptr && match.route->path.size() >= route.path.size())) continue;
    if (const auto parameter = ParameterOf(route, decoded)) match = {&route, std::string(*parameter)};
  }
  return match;
}

const Route* RouteFor(const Route& route, std::string_view method) {
  const auto answers = [&](const Route& other) { return other.path == route.path && MethodName(other.method) == method; };
  const auto found = std::ranges::find_if(kRoutes, answers);
  return found == kRoutes.end() ? nullptr : &*found;
}

bool NeedsKey(std::string_view target) {
  const std::size_t query = target.find('?');
  const Route* route = FindRoute(target.substr(0, query)).route;
  if (route == nullptr || route->needs_key) return true;
  // However the field is written, its value is a part of this.
  return query != std::string_view::npos && Decoded(target.substr(query)).contains(kDetailedLevel);
}

ErrorFamily ErrorFamilyOf(std::string_view path) {
  if (const Route* route = FindRoute(path).route) return route->errors;
  const std::string decoded = Decoded(path);
  const auto asked = Segments(decoded);
  const auto shared = [&](const Route& route) { return CommonLength(asked, Segments(route.path)); };
  return std::ranges::max_element(kRoutes, {}, shared)->errors;
}

std::string AllowedMethods(const Route& route) {
  return MethodsOf([&](const Route& other) { return other.path == route.path; });
}

std::string AllMethods() {
  return MethodsOf([](const Route&) { return true; });
}

std::string_view NearestPath(std::string_view path) {
  const std::string decoded = Decoded(path);
  const auto asked = Segments(decoded);
  if (asked.empty()) return {};
  const auto shared = [&](const Route& route) {
    return CommonLength(asked | std::views::reverse, Segments(route.path) | std::views::reverse);
  };
  const auto nearest = std::ranges::max_element(kRoutes, {}, shared);
  if (shared(*nearest) > 0) return nearest->path;
  std::array<std::string_view, kRoutes.size()> paths;
  std::ranges::transform(kRoutes, paths.begin(), &Route::path);
  return NearestWord(decoded, paths, kMostTypos).value_or("");
}

std::vector<std::string> EndpointNames() {
  std::vector<std::string> names;
  std::ranges::transform(kRoutes, std::back_inserter(names), EndpointName);
  return names;
}

std::string EndpointsMarkdown() {
  std::string text = "| endpoint | what it does | key |\n|---|---|---|\n";
  for (auto route = kRoutes.begin(); route != kRoutes.end();) {
    const Route& named = *route;
    text += fmt::format("| `{}`", EndpointName(named));
    for (++route; route != kRoutes.end() && route->description.empty(); ++route) text += fmt::format(", `{}`", EndpointName(*route));
    text += fmt::format(" | {} | {} |\n", named.description, named.needs_key ? "yes" : "no");
  }
  return text;
}

}  // namespace cllm
