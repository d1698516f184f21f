#include "cli/model_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "http/answer_reader.h"

namespace cllm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBetweenLooksAtLoad(20);
constexpr std::chrono::seconds kBetweenFigures(1);
constexpr std::chrono::seconds kAnswerTime(2);
constexpr std::chrono::seconds kTimeToEnd(5);

std::unexpected<Error> SocketError(const std::string& path) {
  return Fail(ErrorCode::kInternal, fmt::format("the socket {}: {}", path, std::strerror(errno)));
}

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return Fail(ErrorCode::kInternal, fmt::format("the path {} is too long for a socket", path));
  std::ranges::copy(path, address.sun_path);
  return address;
}

// Closes it when it goes.
struct OwnDescriptor {
  int number = -1;
  explicit OwnDescriptor(int given) : number(given) {}
  OwnDescriptor(const OwnDescriptor&) = delete;
  OwnDescriptor& operator=(const OwnDescriptor&) = delete;
  ~OwnDescriptor() {
    if (number >= 0) close(number);
  }
  int Take() { return std::exchange(number, -1); }
};

Result<int> Listen(const std::string& path) {
  const auto address = AddressOf(path);
  if (!address) return std::unexpected(address.error());
  unlink(path.c_str());
  OwnDescriptor listener(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const auto* generic = reinterpret_cast<const sockaddr*>(&*address);
  if (listener.number < 0 || bind(listener.number, generic, sizeof(*address)) != 0 || chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 ||
      listen(listener.number, SOMAXCONN) != 0) {
    return SocketError(path);
  }
  return listener.Take();
}

// What of the load of its only model a server tells in its details.
double ProgressIn(const std::string& health) {
  const auto body = nlohmann::json::parse(health, nullptr, false);
  const auto at = nlohmann::json::json_pointer("/data/models/0/load_progress");
  return !body.is_discarded() && body.contains(at) && body[at].is_number() ? body[at].get<double>() : 0;
}

}  // namespace

Result<std::unique_ptr<PrivateFolder>> PrivateFolder::Create() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  const std::filesystem::path base = runtime != nullptr && *runtime != '\0' ? runtime : std::filesystem::temp_directory_path();
  std::string path = (base / "cllm-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr)
    return Fail(ErrorCode::kInternal, fmt::format("cannot make the folder {}: {}", path, std::strerror(errno)));
  return std::unique_ptr<PrivateFolder>(new PrivateFolder(std::move(path)));
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Result<std::unique_ptr<ModelProcess>> ModelProcess::Start(const Options& options, const WorkWatch& watch) {
  std::unique_ptr<ModelProcess> process(new ModelProcess(options));
  if (Status status = process->Launch(); !status) return std::unexpected(status.error());
  if (Status status = process->WaitUntilLoaded(watch); !status) return std::unexpected(status.error());
  return process;
}

Status ModelProcess::Launch() {
  const auto listener = Listen(options_.socket);
  if (!listener) return std::unexpected(listener.error());
  const OwnDescriptor listens(*listener);  // only the process' own is left: when that ends nobody can connect
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return SocketError(options_.socket);
  const OwnDescriptor child_end(ends[0]);
  parent_end_ = ends[1];
  auto child = RunningChild::Start({.command = options_.command, .descriptors = {*listener, child_end.number}});
  if (!child) return std::unexpected(child.error());
  child_ = std::move(*child);
  return {};
}

Status ModelProcess::WaitUntilLoaded(const WorkWatch& watch) {
  while (true) {
    if (const std::string how = how_it_ended(); !how.empty()) {
      return Fail(ErrorCode::kUnavailable, fmt::format("its process ended while it loaded ({}): the log says why", how));
    }
    const std::string health = Get("/health?level=detailed");
    if (health.contains(R"("status":"healthy")")) break;
    if (Status wanted = watch.Report(ProgressIn(health)); !wanted) return wanted;
    std::this_thread::sleep_for(kBetweenLooksAtLoad);
  }
  description_ = Get("/openapi.json");
  figures_ = {.health = Get("/health?level=detailed"), .metrics = Get("/metrics")};
  figures_thread_ = std::jthread([this](const std::stop_token& stop) { KeepFigures(stop); });
  return {};
}

ModelProcess::~ModelProcess() {
  figures_thread_ = {};
  if (child_) {
    child_->Signal(SIGTERM);
    child_->WaitUntil(Clock::now() + kTimeToEnd);
    child_.reset();
  }
  if (parent_end_ >= 0) close(parent_end_);
  unlink(options_.socket.c_str());
}

Result<int> ModelProcess::Connect() const {
  const auto address = AddressOf(options_.socket);
  if (!address) return std::unexpected(address.error());
  OwnDescriptor connection(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // It is there at once, or the process has a queue of connections as long as it may be.
  if (connection.number < 0 || connect(connection.number, reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0) {
    return SocketError(options_.socket);
  }
  return connection.Take();
}

std::string ModelProcess::Get(const char* target) const {
  const auto connected = Connect();
  if (!connected) return {};
  const OwnDescriptor connection(*connected);
  fcntl(connection.number, F_SETFL, 0);
  const timeval time{.tv_sec = kAnswerTime.count(), .tv_usec = 0};
  setsockopt(connection.number, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
  if (send(connection.number, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) return {};
  AnswerReader answer;
  std::string body;
  std::array<char, std::size_t{16} << 10> block{};
  while (!answer.is_complete()) {
    const ssize_t count = recv(connection.number, block.data(), block.size(), 0);
    if (count <= 0 || !answer.Add({block.data(), static_cast<std::size_t>(count)})) return {};
    body += answer.TakeBody();
  }
  return body;
}

// Whoever asks the server for figures gets these, and waits for no process.
void ModelProcess::KeepFigures(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, stop, kBetweenFigures, [] { return false; }) && !stop.stop_requested()) {
    lock.unlock();
    Figures fresh{.health = Get("/health?level=detailed"), .metrics = Get("/metrics")};
    lock.lock();
    if (!fresh.health.empty()) figures_.health = std::move(fresh.health);
    if (!fresh.metrics.empty()) figures_.metrics = std::move(fresh.metrics);
  }
}

RemoteModel::Figures ModelProcess::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

}  // namespace cllm
