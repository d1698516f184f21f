#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace cllm {

void ConfigureLog(const LogOptions& options) {
  auto logger = std::make_shared<spdlog::logger>("cllm", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(options.level));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace cllm
