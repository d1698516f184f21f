// Which streams begin with copies of another's keys and values.
//
// A prompt whose prefix is in another stream gets a copy of it. As long as both are there, attention may read either; where it reads
// the same for all that share a prefix, it reads it once (as in "cascade" attention; L. Ye et al. 2024, "ChunkAttention", section 3).
#pragma once

#include <vector>

namespace cllm {

class StreamOrigins {
 public:
  explicit StreamOrigins(int streams) : origins_(streams) {}

  // The first `tokens` of `from` are in `to` now, which was empty.
  void Copied(int from, int to, int tokens);

  // All of `from` is in `to` now, which was empty, and `from` is empty.
  void Moved(int from, int to);

  // Of `stream` only the first `tokens` are left; what follows will be overwritten.
  void Cut(int stream, int tokens);

  // Whether any stream has an origin.
  bool empty() const;

  // The stream whose first `tokens` stand for those of `stream`: the same for all that share them, if only by way of others.
  int SourceOf(int stream, int tokens) const;

 private:
  struct Origin {
    int stream = 0;
    int tokens = 0;  // that are the same; 0 where there is no origin
  };
  std::vector<Origin> origins_;  // by stream; never in a circle
};

}  // namespace cllm
