#include "cli/server_facts.h"

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "formats/gguf_file.h"
#include "model/model_facts.h"
#include "model/pooling.h"

namespace cllm {
namespace {

std::int64_t ModifiedUnixSeconds(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0 ? status.st_mtime : 0;
}

// The same for the same program, file and settings that decide an answer, and in all likelihood another one for others. FNV-1a.
std::string Fingerprint(const ServeOptions& options, const ServedModel& model, const std::string& version) {
  const ModelFacts& facts = model.facts();
  const SamplingParams& sampling = options.defaults.sampling;
  const LlamaCppOptions& engine = options.llama_cpp;
  const std::string text = fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}", version, facts.name, facts.architecture,
                                       facts.quantization, facts.parameters, facts.file_bytes, ModifiedUnixSeconds(options.model.path),
                                       model.engine().name, model.engine().max_context, engine.kv_type, engine.flash_attention,
                                       engine.rope_scaling, engine.rope_freq_base, sampling.temperature, sampling.top_p, sampling.top_k);
  std::uint32_t hash = 2166136261U;
  for (const unsigned char byte : text) hash = (hash ^ byte) * 16777619U;
  return fmt::format("cllm-{}-{:08x}", version, hash);
}

// What the file alone tells.
ServerFacts FromFile(const ServeOptions& options, const ModelFacts& facts, const std::string& version) {
  return {.version = version,
          .card = {.id = ModelIdOf(options), .created_unix_s = ModifiedUnixSeconds(options.model.path)},
          .model_path = options.model.path,
          .model_description = fmt::format("{} {}", facts.architecture, facts.quantization),
          .architecture = facts.architecture,
          .quantization = facts.quantization,
          .chat_template = facts.chat_template,
          .model_parameters = facts.parameters,
          .model_bytes = facts.weight_bytes,
          .vocab_size = static_cast<int>(facts.vocab_size),
          .embedding_size = static_cast<int>(facts.embedding_size),
          .trained_context = static_cast<int>(facts.trained_context)};
}

}  // namespace

std::string ModelIdOf(const ServeOptions& options) {
  return options.alias.empty() ? std::filesystem::path(options.model.path).stem().string() : options.alias;
}

ServerFacts FactsOfServed(const ServeOptions& options, const ServedModel& model, const std::string& version) {
  const EngineCapabilities& engine = model.engine();
  ServerFacts facts = FromFile(options, model.facts(), version);
  facts.card.fingerprint = Fingerprint(options, model, version);
  facts.vocab_size = engine.vocab_size;
  const Tokenizer& tokenizer = model.tokenizer();
  const auto piece = [&](std::optional<TokenId> token) { return token ? tokenizer.Piece(*token, true) : std::string(); };
  facts.bos_token = piece(tokenizer.beginning());
  facts.eos_token = piece(tokenizer.end());
  facts.knows_gaps = tokenizer.infill_tokens().has_value();
  facts.capabilities = CapabilityNames(model.facts(), model.pooling());
  facts.engine_name = engine.name;
  facts.kv_bytes_per_token = model.kv_bytes_per_token();
  facts.kv_tokens_capacity = engine.generates ? static_cast<std::int64_t>(engine.max_sequences) * engine.max_context : 0;
  return facts;
}

ServerFacts FactsOfFile(const ServeOptions& options, const std::string& version) {
  const auto file = GgufFile::Open(options.model.path);
  const auto facts = file ? ReadModelFacts(*file) : Result<ModelFacts>(std::unexpected(file.error()));
  ServerFacts told = FromFile(options, facts ? *facts : ModelFacts(), version);
  const auto pooling = facts ? ChoosePooling(*facts, options.model.pooling) : Result<Pooling>(std::unexpected(facts.error()));
  if (pooling) told.capabilities = CapabilityNames(*facts, *pooling);
  return told;
}

}  // namespace cllm
