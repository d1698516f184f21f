#include "cli/served_model.h"

#include <string>
#include <utility>

#include "cli/commands.h"

namespace cllm {
namespace {

// `tokenizer` outlives it.
std::unique_ptr<GrammarCompiler> MakeGrammarCompiler(const Tokenizer& tokenizer, const GrammarLimits& limits) {
  const auto vocabulary = [&tokenizer] {
    Vocabulary made{.ends = tokenizer.end_of_generation_tokens()};
    for (int token = 0; token < tokenizer.vocab_size(); ++token) made.pieces.push_back(tokenizer.Piece(token, false));
    return made;
  };
  return std::make_unique<GrammarCompiler>(
      vocabulary, GrammarOptions{.compile_command = {"/proc/self/exe", kCompileGrammarCommand, std::to_string(limits.max_compile_mb),
                                                     std::to_string(limits.compile_timeout_s)},
                                 .limits = limits});
}

}  // namespace

Result<std::unique_ptr<ServedModel>> ServedModel::Create(const ServeOptions& options, std::function<void()> on_step_sent, StepTurns* turns,
                                                         const WorkWatch& watch) {
  auto loaded = LoadEngine(options, watch);
  if (!loaded) return std::unexpected(loaded.error());
  auto text = ModelText::Create(*loaded->model, loaded->chat_template);
  if (!text) return std::unexpected(text.error());
  std::unique_ptr<ServedModel> served(new ServedModel(std::move(*loaded), std::move(*text)));
  if (served->facts().generates) served->grammars_ = MakeGrammarCompiler(served->loaded_.model->tokenizer(), options.grammars);
  served->service_ = std::make_unique<Service>(*served->text_, *served->loaded_.engine, options.scheduler, std::move(on_step_sent),
                                               options.max_input_tokens, options.result_cache, served->grammars_.get(), turns);
  if (const Status ready = served->service_->WaitUntilReady(); !ready) return std::unexpected(ready.error());
  return served;
}

}  // namespace cllm
