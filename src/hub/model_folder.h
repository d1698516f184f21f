// The folder of models: where each is kept, what is there, and where it came from.
//
//   <root>/SmolLM2-135M-Instruct.Q4_1.gguf           built-in names
//   <root>/hf/<owner>/<repo>/<file>.gguf             repositories
//   <root>/url/<host>-<8 digits of a sum>/<file>.gguf  addresses
//   <file>.gguf.origin                               where it came from, as JSON
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "hub/reference.h"

namespace cllm {

struct ModelOrigin {
  std::string source = {};     // an address without its query, or "pypi:" and the package; empty: not known
  std::string sha256 = {};     // of the file when it came
  std::string reference = {};  // what the user had asked for
};

struct ModelEntry {
  std::string name;  // that `cllm serve` and `cllm rm` take
  std::filesystem::path file;
  std::int64_t size = 0;         // bytes on disk
  std::int64_t whole_size = -1;  // of an unfinished one, where it is known
  std::int64_t modified_unix_s = 0;
  std::string source = {};  // empty: not known
  bool unfinished = false;  // only a .part is there
};

class ModelFolder {
 public:
  explicit ModelFolder(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }

  // Where files go; nothing needs to be there.
  std::filesystem::path PathOfKnown(std::string_view file) const { return root_ / file; }
  std::filesystem::path PathInRepo(const std::string& owner, const std::string& repo, const std::string& file) const;
  Result<std::filesystem::path> PathOfUrl(const ModelReference& reference) const;

  Status WriteOrigin(const std::filesystem::path& file, const ModelOrigin& origin) const;
  ModelOrigin ReadOrigin(const std::filesystem::path& file) const;

  // Everything there, unfinished ones too, by name.
  std::vector<ModelEntry> List() const;

  // The entry that a user may mean by the text: its name, what it was pulled as, its path inside the folder, or its file
  // name with or without ".gguf". Nothing where none or several fit.
  std::optional<ModelEntry> Find(std::string_view text) const;

  // Deletes the model with all that belongs to it, and folders that are empty then. kUnavailable while it is being pulled.
  Status Remove(const ModelEntry& entry) const;

 private:
  std::string NameOf(const std::filesystem::path& file) const;
  std::optional<ModelEntry> EntryOf(const std::filesystem::path& path) const;

  std::filesystem::path root_;
};

}  // namespace cllm
