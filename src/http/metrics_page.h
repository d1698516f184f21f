// GET /metrics: what the server counts and measures, in the text format that Prometheus reads.
#pragma once

#include <string>
#include <string_view>

#include "api/backend.h"

namespace cllm {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

std::string MetricsPage(const Backend& backend);
Operation DescribeMetrics();

}  // namespace cllm
