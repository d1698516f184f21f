#include "cli/served_model.h"

#include <utility>

namespace cllm {

Result<std::unique_ptr<ServedModel>> ServedModel::Create(const ServeOptions& options, std::function<void()> on_step_sent) {
  auto loaded = LoadEngine(options);
  if (!loaded) return std::unexpected(loaded.error());
  auto text = ModelText::Create(*loaded->model, loaded->chat_template);
  if (!text) return std::unexpected(text.error());
  std::unique_ptr<ServedModel> served(new ServedModel(std::move(*loaded), std::move(*text)));
  served->service_ = std::make_unique<Service>(*served->text_, *served->loaded_.engine, options.scheduler, std::move(on_step_sent),
                                               options.max_input_tokens, options.result_cache);
  if (const Status ready = served->service_->WaitUntilReady(); !ready) return std::unexpected(ready.error());
  return served;
}

}  // namespace cllm
