// GET /metrics: what the server counts and measures, in the text format that Prometheus reads.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "api/backend.h"
#include "models/model_lease.h"

namespace cllm {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

// `with_names`: each figure of a model has its name as a label.
std::string MetricsPage(std::span<const ModelLease> models, bool with_names);
Operation DescribeMetrics();

}  // namespace cllm
