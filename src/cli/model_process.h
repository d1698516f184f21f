// The process of an isolated model, as its server sees it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/running_child.h"
#include "base/work_watch.h"
#include "models/remote_model.h"

namespace cllm {

// The files that the process gets from its server, by their numbers there.
inline constexpr int kListenerDescriptor = 3;  // a Unix socket that listens
inline constexpr int kParentDescriptor = 4;    // a pipe that ends with the server

// A folder of this process' own, for sockets; it goes with the object.
class PrivateFolder {
 public:
  static Result<std::unique_ptr<PrivateFolder>> Create();
  ~PrivateFolder();
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  explicit PrivateFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

class ModelProcess : public RemoteModel {
 public:
  struct Options {
    std::string id;
    std::vector<std::string> command{};  // what is started
    std::string socket;                  // the path at which it is reached
    int max_context = 0;
  };
  // Starts it and blocks until the model is in memory there. `watch` may end that.
  static Result<std::unique_ptr<ModelProcess>> Start(const Options& options, const WorkWatch& watch);
  // Lets it end what it has, for a moment.
  ~ModelProcess() override;

  const std::string& id() const override { return options_.id; }
  int max_context() const override { return options_.max_context; }
  Result<int> Connect() const override;
  bool has_ended() const override { return child_->has_ended(); }
  std::string how_it_ended() const override { return child_->how_it_ended(); }
  Figures figures() const override;
  const std::string& description() const override { return description_; }

 private:
  explicit ModelProcess(Options options) : options_(std::move(options)) {}
  Status Launch();
  Status WaitUntilLoaded(const WorkWatch& watch);
  // Blocks, not for long; empty where it doesn't answer with 200.
  std::string Get(const char* target) const;
  void KeepFigures(const std::stop_token& stop);

  const Options options_;
  int parent_end_ = -1;  // of the pipe that ends with this process
  std::unique_ptr<RunningChild> child_;
  std::string description_;
  mutable std::mutex mutex_;  // guards the next
  Figures figures_;
  std::condition_variable_any changed_;
  std::jthread figures_thread_;  // last: it uses the others
};

}  // namespace cllm
