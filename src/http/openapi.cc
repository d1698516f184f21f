#include "http/openapi.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "api/error_body.h"
#include "api/sampling_fields.h"
#include "api/schema_words.h"
#include "http/route_table.h"

namespace cllm {
namespace {

struct StatusText {
  int status;
  const char* when;
};

// What any request may be answered with, and what it is then refused for.
constexpr StatusText kAlways[] = {{400, "a wrong field, path or header, or a body that is no JSON"},
                                  {403, "a page of an origin, or a name of the server, that is not allowed, or who may not manage models"},
                                  {404, "there is nothing at this path, or nothing of this id"},
                                  {405, "another method"},
                                  {408, "the request came too slowly, or its deadline has passed"},
                                  {413, "the body is above http.max_body_mb"},
                                  {414, "the URL is too long"},
                                  {415, "the body has a Content-Encoding"},
                                  {417, "an Expect other than 100-continue"},
                                  {429, "there is no room for the request now"},
                                  {431, "the headers are too long"},
                                  {500, "the server failed this request"},
                                  {501, "what this server or its model can't do, or a Transfer-Encoding other than chunked"},
                                  {503, "the model loads, the server ends, or there is no room for the connection or the answer"},
                                  {505, "another version of HTTP than 1.0 and 1.1"}};
constexpr StatusText kUnauthorized = {401, "no API key, or a wrong one"};

Json Reference(std::string_view kind, std::string_view name) { return {{"$ref", fmt::format("#/components/{}/{}", kind, name)}}; }

struct FamilyText {
  ErrorFamily family;
  std::string_view name;
};
constexpr FamilyText kFamilies[] = {{ErrorFamily::kCllm, "Error"},
                                    {ErrorFamily::kOpenAi, "OpenAiError"},
                                    {ErrorFamily::kAnthropic, "AnthropicError"},
                                    {ErrorFamily::kOllama, "OllamaError"},
                                    {ErrorFamily::kLlamaServer, "LlamaServerError"}};

std::string_view FamilyName(ErrorFamily family) { return std::ranges::find(kFamilies, family, &FamilyText::family)->name; }

// "GetV1ModelsId" of GET /v1/models/{id}.
std::string OperationName(const Route& route) {
  std::string name;
  bool begins_word = true;
  for (const char c : fmt::format("{}{}", MethodName(route.method), route.path)) {
    const bool is_letter = std::isalnum(static_cast<unsigned char>(c)) != 0;
    const auto letter = static_cast<unsigned char>(c);
    const bool is_in_method = name.size() < MethodName(route.method).size();
    if (is_letter) name += static_cast<char>(begins_word ? std::toupper(letter) : is_in_method ? std::tolower(letter) : letter);
    begins_word = !is_letter;
  }
  return name;
}

Json Header(const char* description, Json schema, bool is_required) {
  return {{"description", description}, {"required", is_required}, {"schema", std::move(schema)}};
}

Json HeadersShown(int status) {
  Json headers{{"X-Request-Id", Reference("headers", "RequestId")}};
  if (status == 401) headers["WWW-Authenticate"] = Header("how to send a key", words::String(), true);
  if (status == 405) headers["Allow"] = Header("the methods of this path", words::String(), true);
  if (status == 429 || status == 503) headers["Retry-After"] = Header("seconds", words::Integer(1, 1 << 30), false);
  return headers;
}

// What can be asked about the answer of `route` by its id.
Json LinksOf(const Route& route) {
  Json links = Json::object();
  const std::string by_id = fmt::format("{}/{{id}}", route.path);
  for (const Route& other : Routes()) {
    if (route.method != RouteMethod::kPost || !other.path.starts_with(by_id)) continue;
    const std::string name = OperationName(other);
    links[name] = {{"operationId", name}, {"parameters", {{"id", "$response.body#/id"}}}};
  }
  return links;
}

Json AnswerHeaders(const Operation& operation) {
  Json headers = HeadersShown(200);
  if (!operation.takes_calls) return headers;
  headers["X-cLLM-Cache"] = Header("how much of the answer came from a cache; not in a stream that began before that was known",
                                   words::Matching("^(hit|miss|prefix=[0-9]+)$"), false);
  headers["X-cLLM-Ignored-Fields"] = Header("the fields of the request that nobody knows", words::String(), false);
  headers["X-cLLM-Relaxed-Schema"] = Header("what of the tools' schemas is not enforced", words::String(), false);
  return headers;
}

void AddErrors(const FamilyText& family, Json& responses) {
  const auto add = [&](const StatusText& text) {
    responses[fmt::format("{}{}", family.name, text.status)] = {
        {"description", text.when},
        {"headers", HeadersShown(text.status)},
        {"content", {{"application/json", {{"schema", Reference("schemas", family.name)}}}}}};
  };
  for (const StatusText& text : kAlways) add(text);
  add(kUnauthorized);
}

class Document {
 public:
  Document(const Backend& backend, bool asks_for_keys) : backend_(backend), asks_for_keys_(asks_for_keys) {}

  Json Write() {
    for (const Route& route : Routes()) Add(route);
    const std::string about =
        "Each path answers OPTIONS too, and HEAD where it answers GET. A field that is null is absent. What the fields mean is told in "
        "docs/api.md.";
    return {{"openapi", "3.1.0"},
            {"info", {{"title", "cLLM"}, {"version", backend_.facts.version}, {"description", about}}},
            {"servers", Json::array({Json{{"url", "/"}}})},
            {"paths", std::move(paths_)},
            {"components", Components()}};
  }

 private:
  void Add(const Route& route);
  Json Components();
  // Puts a schema among the components.
  Json Named(const std::string& name, Json schema);
  Json ParametersOf(const Route& route, const Operation& operation) const;
  Json ResponsesOf(const Route& route, const Operation& operation);
  Json Security(const Route& route) const;

  const Backend& backend_;
  const bool asks_for_keys_;
  Json paths_ = Json::object();
  Json schemas_ = Json::object();
  const Route* named_ = nullptr;  // the last one that isn't another name of the one before it
};

void Document::Add(const Route& route) {
  if (!route.description.empty()) named_ = &route;
  const Operation operation = route.describe(backend_);
  Json entry{{"operationId", OperationName(route)}, {"summary", named_->description}};
  if (Json parameters = ParametersOf(route, operation); !parameters.empty()) entry["parameters"] = std::move(parameters);
  if (!operation.request.is_null()) {
    const Json content{{"application/json", {{"schema", Named(OperationName(*named_) + "Request", operation.request)}}}};
    entry["requestBody"] = {{"required", true}, {"content", content}};
  }
  entry["responses"] = ResponsesOf(route, operation);
  entry["security"] = Security(route);
  std::string method(MethodName(route.method));
  for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  paths_[std::string(route.path)][method] = std::move(entry);
}

Json Document::Named(const std::string& name, Json schema) {
  schemas_[name] = std::move(schema);
  return Reference("schemas", name);
}

Json Document::ParametersOf(const Route& route, const Operation& operation) const {
  Json parameters = Json::array();
  const auto add = [&](std::string_view name, const char* place, Json schema) {
    parameters.push_back({{"name", name}, {"in", place}, {"required", std::string_view(place) == "path"}, {"schema", std::move(schema)}});
  };
  if (const std::size_t begin = route.path.find('{'); begin != std::string_view::npos) {
    add(route.path.substr(begin + 1, route.path.find('}') - begin - 1), "path", Json{{"type", "string"}, {"minLength", 1}});
  }
  for (const QueryField& field : operation.query) add(field.name, "query", field.schema);
  if (operation.takes_calls) add(kPriorityHeader, "header", words::Integer(-kMostPriority, kMostPriority));
  return parameters;
}

Json Document::ResponsesOf(const Route& route, const Operation& operation) {
  Json content = Json::object();
  const std::string name = OperationName(*named_);
  const std::string type(route.content_type.substr(0, route.content_type.find(';')));
  if (!operation.answer.is_null()) content[type]["schema"] = Named(name + "Answer", operation.answer);
  if (!operation.frame.is_null() && operation.stream_type == kLinesType) {
    content[std::string(kLinesType)]["schema"] = Named(name + "Line", operation.frame);
  } else if (!operation.frame.is_null()) {
    Json data{{"type", "string"}, {"contentMediaType", "application/json"}, {"contentSchema", Named(name + "Frame", operation.frame)}};
    if (operation.ends_with_done) data = words::AnyOf({words::Const("[DONE]"), std::move(data)});
    content["text/event-stream"]["schema"] = {{"type", "object"}, {"properties", {{"data", data}}}, {"required", Json::array({"data"})}};
  }
  Json responses = Json::object();
  if (!content.empty()) {
    responses["200"] = {{"description", named_->description}, {"headers", AnswerHeaders(operation)}, {"content", content}};
    if (Json links = LinksOf(route); !links.empty()) responses["200"]["links"] = std::move(links);
  }
  const auto add = [&](int status) {
    responses[std::to_string(status)] = Reference("responses", fmt::format("{}{}", FamilyName(route.errors), status));
  };
  for (const StatusText& text : kAlways) add(text.status);
  // What a probe tells needs no key, but for details.
  if (asks_for_keys_ || route.needs_admin) add(kUnauthorized.status);
  if (operation.is_probe) {
    const Json schema = words::AnyOf({content[type]["schema"], Reference("schemas", FamilyName(route.errors))});
    responses["503"] = {{"description", "the probe says no"}, {"headers", HeadersShown(503)}, {"content", {{type, {{"schema", schema}}}}}};
  }
  return responses;
}

Json Document::Security(const Route& route) const {
  const Json none = Json::object();
  const Json bearer{{"bearer", Json::array()}};
  const Json header{{"header", Json::array()}};
  if (!asks_for_keys_) return Json::array({none, bearer, header});
  return route.needs_key ? Json::array({bearer, header}) : Json::array();
}

Json Document::Components() {
  Json responses = Json::object();
  for (const FamilyText& family : kFamilies) {
    schemas_[std::string(family.name)] = ErrorBodySchema(family.family);
    AddErrors(family, responses);
  }
  return {
      {"schemas", std::move(schemas_)},
      {"responses", std::move(responses)},
      {"headers", {{"RequestId", Header("the request's name in the log", words::String(), true)}}},
      {"securitySchemes",
       {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}, {"header", {{"type", "apiKey"}, {"in", "header"}, {"name", "X-Api-Key"}}}}}};
}

}  // namespace

std::string OpenApiDocument(const Backend& backend, bool asks_for_keys) { return Dump(Document(backend, asks_for_keys).Write()); }

Operation DescribeOpenApi() { return {.answer = words::AnyObject()}; }

}  // namespace cllm
