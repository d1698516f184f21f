#include "api/llama_progress.h"

#include <cmath>

#include "api/openai_fields.h"
#include "api/schema_words.h"

namespace cllm {
namespace {

double PerSecond(int count, double seconds) { return seconds > 0 ? count / seconds : 0; }
double MillisecondsEach(int count, double seconds) { return count > 0 ? 1e3 * seconds / count : 0; }

}  // namespace

LlamaProgress ReadLlamaProgress(JsonObject& object, bool is_stream, GenerateRequest& request) {
  LlamaProgress progress;
  progress.shows_timings = object.Bool("timings_per_token").value_or(false);
  progress.shows_prompt = object.Bool("return_progress").value_or(false);
  request.wants_prompt_progress = is_stream && progress.shows_prompt;
  return progress;
}

void LlamaProgress::AddTo(Json& piece, const TextDelta& delta) const {
  if (shows_timings) piece["timings"] = LlamaTimings(delta.counts, delta.times);
  if (!delta.prompt_computed) return;
  piece["prompt_progress"] = {{"total", delta.counts.prompt},
                              {"cache", delta.counts.cached},
                              {"processed", *delta.prompt_computed},
                              {"time_ms", std::llround(1e3 * delta.times.prompt_s)}};
}

void LlamaProgress::AddTo(Json& answer, const GenerationEnd& end) const {
  if (shows_timings) answer["timings"] = LlamaTimings(CountsOf(end), end.times());
}

Json LlamaTimings(const TokenCounts& counts, const AnswerTimes& times) {
  const int computed = counts.prompt - counts.cached;
  return {{"cache_n", counts.cached},
          {"prompt_n", computed},
          {"prompt_ms", 1e3 * times.prompt_s},
          {"prompt_per_token_ms", MillisecondsEach(computed, times.prompt_s)},
          {"prompt_per_second", PerSecond(computed, times.prompt_s)},
          {"predicted_n", counts.generated},
          {"predicted_ms", 1e3 * times.generation_s},
          {"predicted_per_token_ms", MillisecondsEach(counts.generated, times.generation_s)},
          {"predicted_per_second", PerSecond(counts.generated, times.generation_s)}};
}

Json LlamaProgress::TimingsSchema() {
  const Json count = words::Integer();
  const Json number = words::Number();
  return words::Record({{"cache_n", count},
                        {"prompt_n", count},
                        {"prompt_ms", number},
                        {"prompt_per_token_ms", number},
                        {"prompt_per_second", number},
                        {"predicted_n", count},
                        {"predicted_ms", number},
                        {"predicted_per_token_ms", number},
                        {"predicted_per_second", number}});
}

Json LlamaProgress::PromptSchema() {
  const Json count = words::Integer();
  return words::Record({{"total", count}, {"cache", count}, {"processed", count}, {"time_ms", count}});
}

}  // namespace cllm
