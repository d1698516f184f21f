// A model that stays in memory as long as it is held.
#pragma once

#include <memory>
#include <utility>

#include "api/backend.h"
#include "models/remote_model.h"

namespace cllm {

// Of one in this process, which may be asked as long as the registry is there, or of one in a process of its own; or of none.
class ModelLease {
 public:
  ModelLease() = default;
  ModelLease(std::nullptr_t) {}
  ModelLease(std::shared_ptr<const Backend> backend) : backend_(std::move(backend)) {}
  ModelLease(std::shared_ptr<const RemoteModel> remote) : remote_(std::move(remote)) {}

  explicit operator bool() const { return backend_ != nullptr || remote_ != nullptr; }
  bool operator==(const ModelLease&) const = default;
  void reset() { *this = {}; }

  // Null where the model is in a process of its own.
  const std::shared_ptr<const Backend>& backend() const { return backend_; }
  const Backend* operator->() const { return backend_.get(); }
  const Backend& operator*() const { return *backend_; }
  // Null where it isn't.
  const std::shared_ptr<const RemoteModel>& remote() const { return remote_; }

 private:
  std::shared_ptr<const Backend> backend_;
  std::shared_ptr<const RemoteModel> remote_;
};

}  // namespace cllm
