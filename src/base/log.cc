#include "base/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <mutex>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include "base/escape.h"
#include "base/utf8.h"

namespace cllm {
namespace {

// Begins the payload of an event: no message of ours does, and none begins with what comes from outside.
constexpr char kEventMark = '\x1E';

// JSON's string, quotes included.
std::string JsonString(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t length = CharacterLength(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(1, length));
    if (length == 0) {
      out += "\\ufffd";
    } else if (character == "\"" || character == "\\") {
      (out += '\\') += character;
    } else if (const char32_t point = CodePoint(character); IsObeyed(point)) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(point));
    } else {
      out += character;
    }
    text.remove_prefix(character.size());
  }
  out += '"';
  return out;
}

bool NeedsQuotes(std::string_view text) { return text.empty() || text.find_first_of(" =\"\\") != std::string_view::npos; }

std::string TextValue(const LogValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return fmt::to_string(*number);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{:.4f}", *number);
  std::string text = EscapedForLog(std::get<std::string>(value));
  if (!NeedsQuotes(text)) return text;
  for (std::size_t at = 0; (at = text.find('"', at)) != std::string::npos; at += 2) text.insert(at, 1, '\\');
  return fmt::format("\"{}\"", text);
}

std::string JsonValue(const LogValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return fmt::to_string(*number);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{:.6f}", *number);
  return JsonString(std::get<std::string>(value));
}

// Time, level, message: the same in both formats. The pattern gives everything before the message.
class LineFormatter : public spdlog::formatter {
 public:
  explicit LineFormatter(bool json)
      : json_(json),
        prefix_(json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",)" : "%Y-%m-%d %H:%M:%S.%e %^%l%$ ",
                spdlog::pattern_time_type::local, "") {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    prefix_.format(message, out);
    const std::string_view payload(message.payload.data(), message.payload.size());
    const bool is_event = payload.starts_with(kEventMark);
    std::string text;
    if (is_event) {
      text = payload.substr(1);  // made by LogEvent for this format
    } else {
      text = json_ ? fmt::format("\"message\":{}}}", JsonString(payload)) : EscapedForLog(payload);
    }
    text += '\n';
    out.append(text.data(), text.data() + text.size());
  }

  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<LineFormatter>(json_); }

 private:
  bool json_;
  spdlog::pattern_formatter prefix_;
};

class AppendingFile : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit AppendingFile(std::string path) : path_(std::move(path)) {}
  ~AppendingFile() override {
    if (file_ >= 0) close(file_);
  }

  Status Open() {
    constexpr mode_t kOwnerWritesGroupReads = 0640;
    const int file = open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, kOwnerWritesGroupReads);
    if (file < 0) {
      return InvalidArgument(fmt::format("cannot write logging.file {}: {}", EscapedForLog(path_), std::strerror(errno)), "logging.file");
    }
    const std::lock_guard lock(mutex_);
    if (file_ >= 0) close(file_);
    file_ = file;
    return {};
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    // One write a line, so that the lines of several processes do not mix. A full disk must not stop the server.
    [[maybe_unused]] const ssize_t written = write(file_, line.data(), line.size());
  }
  void flush_() override {}

  std::string path_;
  int file_ = -1;
};

// spdlog holds the process's logger, so that every room can log; its name is where LogEvent learns the format.
constexpr const char* kJsonName = "cllm-json";
constexpr const char* kTextName = "cllm";

}  // namespace

std::string EscapedForLog(std::string_view text) {
  std::string doubled;
  for (const char c : text) doubled += c == '\\' ? std::string("\\\\") : std::string(1, c);
  return Escaped(doubled);
}

Status ConfigureLog(const LogOptions& options) {
  const bool json = options.format == "json";
  spdlog::sink_ptr sink;
  if (options.file.empty()) {
    // spdlog colours where standard error is a terminal; https://no-color.org adds that a user may forbid it.
    const char* no_color = std::getenv("NO_COLOR");
    const bool plain = no_color != nullptr && *no_color != '\0';
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(plain ? spdlog::color_mode::never : spdlog::color_mode::automatic);
  } else {
    auto file = std::make_shared<AppendingFile>(options.file);
    if (Status status = file->Open(); !status) return status;
    sink = std::move(file);
  }
  auto logger = std::make_shared<spdlog::logger>(json ? kJsonName : kTextName, std::move(sink));
  logger->set_formatter(std::make_unique<LineFormatter>(json));
  logger->set_level(spdlog::level::from_str(options.level));
  spdlog::set_default_logger(std::move(logger));
  return {};
}

Status ReopenLog() {
  for (const spdlog::sink_ptr& sink : spdlog::default_logger()->sinks()) {
    if (auto* file = dynamic_cast<AppendingFile*>(sink.get())) return file->Open();
  }
  return {};
}

void LogEvent(spdlog::level::level_enum level, std::string_view event, const LogFields& fields) {
  spdlog::logger* logger = spdlog::default_logger_raw();
  if (!logger->should_log(level)) return;
  const bool json = logger->name() == kJsonName;
  std::string line(1, kEventMark);
  line += json ? fmt::format("\"event\":{}", JsonString(event)) : std::string(event);
  for (const auto& [name, value] : fields) {
    line += json ? fmt::format(",\"{}\":{}", name, JsonValue(value)) : fmt::format(" {}={}", name, TextValue(value));
  }
  if (json) line += '}';
  logger->log(level, spdlog::string_view_t(line));
}

}  // namespace cllm
