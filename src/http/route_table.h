// Which paths there are and what they answer: the one table behind routing, keys, 404s and 405s, errors before routing, the index at /,
// /openapi.json and the table of docs/api.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/error_body.h"
#include "base/status.h"

namespace cllm {

class Handlers;
struct Backend;
struct Operation;
struct HttpCall;

// The path answers OPTIONS too, and where it answers GET, HEAD.
enum class RouteMethod : std::uint8_t { kGet, kPost, kDelete };

// What the query of a probe's path says where it asks for the server's details.
inline constexpr std::string_view kDetailedLevel = "detailed";

inline constexpr std::string_view kJsonType = "application/json; charset=utf-8";

struct Route {
  RouteMethod method;
  // May have a parameter, as in "/v1/models/{id}", which takes all that stands there with its slashes. One path may have a route for each
  // method.
  std::string_view path;
  ErrorFamily errors = ErrorFamily::kCllm;
  void (Handlers::*answer)(HttpCall) const = nullptr;
  Operation (*describe)(const Backend&) = nullptr;  // what it reads and writes, for /openapi.json
  std::string_view description;                     // one line of Markdown; empty where the path is another name of the row before it
  std::string_view content_type = kJsonType;        // of an answer that is no error and no stream
  bool needs_admin = false;                         // only who may manage models is answered
  bool needs_key = true;                            // paths without are probes', whose good answers are logged as debug
  bool logs_itself = false;                         // its access log line has tokens and timings of the generation
};

struct RouteMatch {
  const Route* route = nullptr;  // the first at the path; nothing is there where it is null
  std::string parameter;         // decoded; empty where the route has none
};

// All routes, in the order of the docs.
std::span<const Route> Routes();

// `path` is as clients send it, %xx escapes included and without a query. Case counts, so that a proxy's rules for a path hold.
RouteMatch FindRoute(std::string_view path);

// The one at the same path that answers `method`, a name such as "GET"; nullptr where none does.
const Route* RouteFor(const Route& route, std::string_view method);

// Whether `target`, path and query, asks for what only somebody with a key may have: nobody without one learns what is there, what the
// server does, or whom it does it for.
bool NeedsKey(std::string_view target);

// The errors of the route at `path`; where nothing is there, of the one that shares most of its first segments.
ErrorFamily ErrorFamilyOf(std::string_view path);

// The value of Allow: at the route's path, and of all routes together.
std::string AllowedMethods(const Route& route);
std::string AllMethods();

// The path that somebody who asks for `path` may mean: one that ends alike, or is a typo away; empty where none is like it.
std::string_view NearestPath(std::string_view path);

std::string_view MethodName(RouteMethod method);

// "GET /health" for every route.
std::vector<std::string> EndpointNames();
// The table of docs/api.md.
std::string EndpointsMarkdown();

}  // namespace cllm
