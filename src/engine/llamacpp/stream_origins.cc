#include "engine/llamacpp/stream_origins.h"

#include <algorithm>

namespace cllm {

void StreamOrigins::Copied(int from, int to, int tokens) {
  const int source = SourceOf(from, tokens);
  if (source != to) origins_[to] = {source, tokens};
}

void StreamOrigins::Moved(int from, int to) {
  origins_[to] = origins_[from];
  origins_[from] = {};
  for (Origin& origin : origins_) {
    if (origin.tokens > 0 && origin.stream == from) origin.stream = to;
  }
}

// The copies have no source beyond the cut: one of them becomes that of the others.
void StreamOrigins::Cut(int stream, int tokens) {
  origins_[stream].tokens = std::min(origins_[stream].tokens, tokens);
  const auto is_cut = [&](const Origin& origin) { return origin.stream == stream && origin.tokens > tokens; };
  const auto heir = std::ranges::max_element(origins_, {}, [&](const Origin& origin) { return is_cut(origin) ? origin.tokens : 0; });
  if (!is_cut(*heir)) return;
  const int heir_stream = static_cast<int>(heir - origins_.begin());
  heir->tokens = tokens;
  for (Origin& origin : origins_) {
    if (is_cut(origin)) origin.stream = heir_stream;
  }
}

bool StreamOrigins::empty() const {
  return std::ranges::all_of(origins_, [](const Origin& origin) { return origin.tokens == 0; });
}

int StreamOrigins::SourceOf(int stream, int tokens) const {
  while (tokens > 0 && origins_[stream].tokens >= tokens) stream = origins_[stream].stream;
  return stream;
}

}  // namespace cllm
