#include "api/known_fields.h"

#include <algorithm>

#include "base/nearest_word.h"

namespace cllm {
namespace {

constexpr const char* kHint = nullptr;
constexpr const char* kNever = "[]";
constexpr const char* kOff = "[false]";
constexpr const char* kZero = "[0, false]";
constexpr const char* kOne = "[1]";
constexpr const char* kUnlimited = "[-1]";
constexpr const char* kNoText = R"([""])";
constexpr const char* kNone = R"([[], {}, "", "none", false])";

constexpr KnownField kSharedFields[] = {
    // OpenAI's: accounts, routing and caches.
    {"user", kHint},
    {"metadata", kHint},
    {"client_metadata", kHint},
    {"store", kHint},
    {"service_tier", kHint},
    {"safety_identifier", kHint},
    {"prompt_cache_key", kHint},
    {"prompt_cache_options", kHint},
    {"prompt_cache_retention", kHint},
    // OpenAI's: what an answer may be.
    {"modalities", R"([["text"], []])"},
    {"audio", kNone},
    {"prediction", kNone},
    {"moderation", kNone},
    {"verbosity", R"(["medium"])"},
    {"web_search_options", kNone},
    // OpenAI's Responses.
    {"input", kNever},
    {"instructions", kNever, "a system message"},
    {"previous_response_id", kNever},
    {"max_output_tokens", kNever, "max_tokens"},
    {"truncation", R"(["disabled"])"},
    {"include", kNone},
    {"context_management", kNone},
    // vLLM's.
    {"use_beam_search", kOff},
    {"length_penalty", kOne},
    {"early_stopping", kOff},
    {"truncate_prompt_tokens", kNever},
    {"truncation_side", kHint},
    {"prompt_logprobs", kZero, "/v1/completions or /v1/chat/completions"},
    {"logprob_token_ids", kNone},
    {"guided_decoding_backend", kHint},
    {"guided_whitespace_pattern", kHint},
    {"structural_tag", kNever},
    {"bad_words", kNone, "logit_bias or banned_token_ids"},
    {"spaces_between_special_tokens", kHint},
    {"watermarking", kOff},
    {"prompt_embeds", kNever},
    {"documents", kNone},
    {"chat_template", kNever, "the model's own template, or --chat-template for the server"},
    {"media_io_kwargs", kNone},
    {"mm_processor_kwargs", kNone},
    {"request_id", kHint},
    {"session_id", kHint},
    {"return_tokens_as_token_ids", kOff},
    {"return_token_ids", kOff},
    {"return_token_offsets", kOff},
    {"return_prompt_text", kOff},
    {"return_mm_kwargs", kHint},
    {"routed_experts_prompt_start", kZero},
    {"kv_transfer_params", kNone},
    {"ec_transfer_params", kNone},
    {"vllm_xargs", kNone},
    {"repetition_detection", kNone},
    {"stream_interval", R"([0, 1])"},
    {"logits_processors", kNone},
    // SGLang's.
    {"stop_regex", R"(["", []])", "stop"},
    {"no_stop_trim", kOff, "include_stop_str_in_output"},
    {"lora_path", kNone},
    {"session_params", kNone},
    {"custom_params", kNone},
    {"custom_logit_processor", kNone},
    {"custom_labels", kHint},
    {"images_config", kNone},
    {"bootstrap_host", kNever},
    {"bootstrap_port", kNever},
    {"bootstrap_room", kNever},
    {"routed_dp_rank", kHint},
    {"data_parallel_rank", kHint},
    {"disagg_prefill_dp_rank", kHint},
    {"rid", kHint},
    {"ngram_corpus_id", kNever},
    {"return_hidden_states", kOff},
    {"return_routed_experts", kOff},
    {"routed_experts_start_len", kZero},
    {"return_cached_tokens_details", kOff},
    {"stream_reasoning", kHint},
    {"use_audio_in_video", kOff},
    {"max_dynamic_patch", kNever},
    {"min_dynamic_patch", kNever},
    // llama-server's.
    {"cache_prompt", kHint},
    {"id_slot", kHint},
    {"slot_id", kHint},
    {"n_cache_reuse", kHint},
    {"backend_sampling", kHint},
    {"verbose", kOff},
    {"timings_per_token", kOff, "/v1/chat/completions or /completion"},
    {"return_tokens", kOff},
    {"return_progress", kOff, "/v1/chat/completions or /completion"},
    {"sse_ping_interval", R"([0, -1])"},
    {"n_indent", kZero},
    {"n_keep", kZero},
    {"n_discard", kZero},
    {"t_max_predict_ms", R"([0, -1])", "timeout"},
    {"t_max_prompt_ms", R"([0, -1])", "timeout"},
    {"response_fields", kNone},
    {"n_probs", kZero, "logprobs"},
    {"min_keep", kZero},
    {"post_sampling_probs", kOff},
    {"top_n_sigma", R"([0, -1])"},
    {"xtc_probability", kZero},
    {"xtc_threshold", kHint},
    {"typical_p", kOne},
    {"typ_p", kOne},
    {"tfs_z", kOne},
    {"dynatemp_range", kZero},
    {"dynatemp_exponent", kHint},
    {"dry_multiplier", kZero},
    {"dry_base", kHint},
    {"dry_allowed_length", kHint},
    {"dry_penalty_last_n", kHint},
    {"dry_sequence_breakers", kHint},
    {"mirostat", kZero},
    {"mirostat_mode", kZero},
    {"mirostat_tau", kHint},
    {"mirostat_eta", kHint},
    {"adaptive_target", R"([0, -1, -0.01])"},
    {"adaptive_decay", kHint},
    {"penalize_nl", kHint},
    {"penalty_prompt", kNever},
    {"lora", kNone},
    {"grammar_lazy", kHint},
    {"grammar_triggers", kNone},
    {"grammar_type", kHint},
    {"preserved_tokens", kNone},
    {"chat_format", kHint},
    {"chat_parser", kNoText},
    {"parse_tool_calls", kHint},
    {"generation_prompt", kNoText},
    {"message_delimiters", kNone},
    {"reasoning_control", kOff},
    {"reasoning_budget_message", kNoText},
    {"reasoning_budget_start_tag", kNoText},
    {"reasoning_budget_end_tag", kNoText},
    {"reasoning_budget_end_tags", kNone},
    {"input_prefix", kNoText},
    {"input_suffix", kNoText},
    {"input_extra", kNone},
    {"image_data", kNone},
    {"multimodal_data", kNone},
    {"system_prompt", kNoText, "a system message"},
    // Ollama's.
    {"options", kNone, "the options as fields of the request"},
    {"keep_alive", kHint},
    {"format", kNoText},
    {"template", kNoText, "--chat-template for the server"},
    {"system", kNoText, "a system message"},
    {"raw", kOff},
    {"images", kNone},
    {"think", kNever, "enable_thinking or reasoning_effort"},
    {"num_ctx", kNever, "model.max_context_length for the server"},
    {"num_predict", kNever, "max_tokens"},
    // TGI's and text-generation-webui's.
    {"inputs", kNever},
    {"parameters", kNone, "the parameters as fields of the request"},
    {"max_length", kNever, "max_tokens"},
    {"decoder_input_details", kOff},
    {"return_full_text", kOff, "echo"},
    {"truncate", kNever},
    {"watermark", kOff},
    {"top_n_tokens", kZero, "top_logprobs"},
    {"adapter_id", kNoText},
    {"tool_prompt", kNoText},
    {"guideline", kNoText},
    {"do_sample", R"([true])", "temperature: 0"},
    {"num_beams", kOne},
    {"no_repeat_ngram_size", kZero},
    {"encoder_repetition_penalty", kOne},
    {"guidance_scale", kOne},
    {"negative_prompt", kNoText},
    {"penalty_alpha", kZero},
    {"epsilon_cutoff", kZero},
    {"eta_cutoff", kZero},
    {"smoothing_factor", kZero},
    {"smoothing_curve", kHint},
    {"top_a", kZero},
    {"temperature_last", R"([true])"},
    {"custom_token_bans", kNoText, "banned_token_ids"},
    {"ban_eos_token", kOff, "ignore_eos"},
    {"auto_max_new_tokens", kOff, "max_tokens: -1"},
    // Mistral's, DeepSeek's, Groq's, Together's, Fireworks', DashScope's, xAI's.
    {"safe_prompt", kOff},
    {"prompt_mode", kNever},
    {"guardrails", kNone},
    {"citation_options", R"(["disabled"])"},
    {"compound_custom", kNone},
    {"disable_tool_validation", kHint},
    {"include_domains", kNone},
    {"exclude_domains", kNone},
    {"search_settings", kNone},
    {"search_parameters", R"([{"mode": "off"}, {}])"},
    {"deferred", kOff},
    {"safety_model", kNoText},
    {"context_length_exceeded_behavior", R"(["error"])"},
    {"prompt_truncate_len", kNever},
    {"perf_metrics_in_response", kOff},
    {"raw_output", kOff},
    {"speculation", kNone},
    {"mirostat_target", kHint},
    {"mirostat_lr", kHint},
    {"enable_search", kOff},
    {"search_options", kNone},
    {"result_format", R"(["message"])"},
    {"incremental_output", kHint},
    // OpenRouter's and the gateways'.
    {"models", kHint},
    {"route", kHint},
    {"provider", kHint},
    {"transforms", kNone},
    {"plugins", kNone},
    {"preset", kNoText},
    {"mode", R"(["instruct", ""])"},
    {"usage", kHint},
    {"trace", kHint},
    {"debug", kHint},
    {"tags", kHint},
    {"image_config", kNone},
    {"data_sources", kNone},
    {"enhancements", kNone},
    {"user_security_context", kHint},
    {"cache_control", kHint},
    {"litellm_metadata", kHint},
    {"litellm_params", kHint},
    {"custom_llm_provider", kHint},
    {"drop_params", kHint},
    {"additional_drop_params", kHint},
    {"allowed_openai_params", kHint},
    {"extra_headers", kHint},
    {"extra_body", kNone, "its fields as fields of the request"},
    {"fallbacks", kHint},
    {"num_retries", kHint},
    {"max_retries", kHint},
    {"mock_response", kNoText},
    {"id", kHint},
};

constexpr KnownField kOwnChatFields[] = {
    {"prompt", kNever, "messages, or /v1/completions"},
    {"suffix", kNoText, "/v1/completions"},
    {"echo", kOff, "/v1/completions"},
};

// Those of one dialect of completions that the other doesn't read, too.
constexpr KnownField kOwnCompletionFields[] = {
    {"echo", kOff, "the answer's prompt"},
    {"logprobs", kZero, "n_probs"},
    {"suffix", kNoText, "input_suffix"},
    {"stream_options", kHint},
    {"tools", kNone, "/v1/chat/completions"},
    {"tool_choice", R"(["none", "auto"])", "/v1/chat/completions"},
    {"functions", kNone, "/v1/chat/completions"},
    {"function_call", R"(["none", "auto"])", "/v1/chat/completions"},
    {"parallel_tool_calls", kHint},
    {"messages", kNever, "prompt, or /v1/chat/completions"},
    {"return_raw", kOff},
    {"top_logprobs", kZero, "logprobs"},
    {"reasoning_effort", kNever, "/v1/chat/completions"},
    {"reasoning_format", R"(["none", "auto"])", "/v1/chat/completions"},
    {"separate_reasoning", kHint},
    {"include_reasoning", "[true]", "/v1/chat/completions"},
    {"reasoning", kNone, "/v1/chat/completions"},
    {"thinking", kNone, "/v1/chat/completions"},
    {"reasoning_budget", kUnlimited, "/v1/chat/completions"},
    {"reasoning_budget_tokens", kUnlimited, "/v1/chat/completions"},
    {"thinking_budget_tokens", kUnlimited, "/v1/chat/completions"},
    {"thinking_token_budget", kUnlimited, "/v1/chat/completions"},
    {"thinking_budget", kUnlimited, "/v1/chat/completions"},
    {"enable_thinking", kNever, "/v1/chat/completions"},
    {"chat_template_kwargs", kNone, "/v1/chat/completions"},
    {"add_generation_prompt", "[true]", "/v1/chat/completions"},
    {"continue_final_message", kOff, "/v1/chat/completions"},
};

constexpr KnownField kOwnResponseFields[] = {
    {"background", kOff},
    {"background_options", kNone},
    {"conversation", kNone, "previous_response_id"},
    {"prompt", kNever, "input and instructions"},
    {"max_tool_calls", kHint},
    {"access_programs", kHint},
    {"image", kNone},
    {"messages", kNever, "input"},
    {"max_tokens", kNever, "max_output_tokens"},
    {"max_completion_tokens", kNever, "max_output_tokens"},
    {"n_predict", kNever, "max_output_tokens"},
    {"max_new_tokens", kNever, "max_output_tokens"},
    {"response_format", R"([{"type": "text"}])", "text.format"},
    {"json_schema", kNone, "text.format"},
    {"guided_json", kNone, "text.format"},
    {"guided_regex", kNone, "/v1/chat/completions"},
    {"guided_choice", kNone, "/v1/chat/completions"},
    {"guided_grammar", kNone, "/v1/chat/completions"},
    {"structured_outputs", kNone, "/v1/chat/completions"},
    {"regex", kNone, "/v1/chat/completions"},
    {"ebnf", kNone, "/v1/chat/completions"},
    {"grammar", kNone, "/v1/chat/completions"},
    {"functions", kNone, "tools"},
    {"function_call", R"(["none", "auto"])", "tool_choice"},
    {"n", kOne},
    {"n_cmpl", kOne},
    {"best_of", kOne},
    {"logprobs", kZero, R"(include: ["message.output_text.logprobs"])"},
    {"return_raw", kOff, "/v1/chat/completions"},
    {"suffix", kNoText},
    {"echo", kOff},
    {"add_generation_prompt", "[true]"},
    {"continue_final_message", kOff, "/v1/chat/completions"},
    {"add_special_tokens", kHint},
};

constexpr KnownField kOwnAnthropicFields[] = {
    {"container", kNone},
    {"mcp_servers", kNone},
    {"inference_geo", kHint},
    {"speed", kHint},
    {"anthropic_version", kHint},
    {"anthropic_beta", kHint},
    {"betas", kHint},
    {"context_management", kHint},  // what it takes out of a conversation is what has become long: here the context is the bound
    {"response_format", kNone, "output_config.format"},
    {"max_completion_tokens", kNever, "max_tokens"},
    {"max_new_tokens", kNever, "max_tokens"},
    {"n", kOne},
    {"best_of", kOne},
    {"logprobs", kZero, "/v1/chat/completions"},
    {"top_logprobs", kZero, "/v1/chat/completions"},
    {"prompt", kNever, "messages"},
    {"functions", kNone, "tools"},
    {"function_call", R"(["none", "auto"])", "tool_choice"},
    {"parallel_tool_calls", "[true]", "tool_choice.disable_parallel_tool_use"},
    {"stream_options", kHint},
};

constexpr KnownField kAnthropicBlockFields[] = {
    {"cache_control", kHint},
    {"citations", kNone},
    {"signature", kHint},
    {"caller", kHint},
};

constexpr KnownField kOwnOllamaFields[] = {
    {"context", kNone, "/api/chat"},
    {"truncate", kHint},  // what is too long for the context is an error
    {"shift", kHint},
    {"width", kZero},
    {"height", kZero},
    {"steps", kZero},
    {"response_format", kNone, "format"},
    {"n", kOne},
    {"stream_options", kHint},
};

constexpr KnownField kOllamaOptionFields[] = {
    {"numa", kHint},         {"num_batch", kHint},
    {"num_gpu", kHint},      {"main_gpu", kHint},
    {"low_vram", kHint},     {"f16_kv", kHint},
    {"logits_all", kHint},   {"vocab_only", kOff},
    {"use_mmap", kHint},     {"use_mlock", kHint},
    {"num_thread", kHint},   {"embedding_only", kOff},
    {"num_keep", kHint},     {"tfs_z", kOne},
    {"typical_p", kOne},     {"mirostat", kZero},
    {"mirostat_tau", kHint}, {"mirostat_eta", kHint},
    {"num_gqa", kHint},      {"rope_frequency_base", kHint},
    {"penalize_nl", kHint},  {"penalize_newline", kHint},
    {"num_draft", kHint},    {"draft_num_predict", kHint},
};

constexpr KnownField kOwnEmbeddingFields[] = {
    {"content", kNever, "input"},
    {"messages", kNever, "input"},
    {"prompt", kNever, "input"},
    {"task", kNone, "the task's words in the texts"},
    {"task_type", kNone, "the task's words in the texts"},
    {"input_type", kNone, "the task's words in the texts"},
    {"prompt_name", kNone, "the prompt's words in the texts"},
    {"instruction", kNoText, "its words in the texts"},
    {"output_dtype", R"(["float"])"},
    {"output_dimension", kNever, "dimensions"},
    {"embedding_type", R"(["float"])", "encoding_format"},
    {"embedding_types", R"([["float"]])", "encoding_format"},
    {"embed_dtype", R"(["float32"])"},
    {"endianness", R"(["native", "little"])"},
    {"late_chunking", kOff},
    {"add_special_tokens", "[true]"},
    {"normalized", "[true]", "normalize"},
};

constexpr KnownField kOwnRerankFields[] = {
    {"input", kNever, "query and documents"},
    {"max_chunks_per_doc", kNever, "truncate_prompt_tokens"},
    {"max_tokens_per_doc", kNever, "truncate_prompt_tokens"},
    {"rank_fields", kNone},
    {"instruction", kNoText, "its words in the query"},
    {"activation", kNever, "raw_scores"},
    {"use_activation", "[true]", "raw_scores"},
    {"add_special_tokens", "[true]"},
};

constexpr KnownField kMessageFields[] = {
    {"id", kHint},
    {"annotations", kHint},
    {"cache_control", kHint},
    {"parsed", kHint},
    {"reasoning_details", kHint},
    {"reasoning_signature", kHint},
    {"thinking_blocks", kHint},
    {"provider_specific_fields", kHint},
    {"audio", kNone},
    {"images", kNone},
    {"function_call", kNone},
    {"tool_calls", kNone},
    {"tool_call_id", kNoText},
    {"tools", kNone},
};

constexpr KnownField kContentPartFields[] = {
    {"annotations", kHint}, {"cache_control", kHint}, {"id", kHint},        {"index", kHint},
    {"logprobs", kHint},    {"parsed", kHint},        {"signature", kHint},
};

constexpr KnownField kStreamOptionFields[] = {
    {"include_obfuscation", kHint},
    {"chunk_include_usage", kOff, "continuous_usage_stats"},
};

const KnownField* FindIn(std::span<const KnownField> fields, std::string_view name) {
  const auto found = std::ranges::find_if(fields, [name](const KnownField& field) { return name == field.name; });
  return found == fields.end() ? nullptr : &*found;
}

std::string_view NearIn(std::span<const KnownField> fields, std::string_view word) {
  const auto found = std::ranges::find_if(fields, [word](const KnownField& field) { return IsMisspelt(word, field.name); });
  return found == fields.end() ? "" : found->name;
}

}  // namespace

const KnownField* KnownFields::Find(std::string_view name) const {
  const KnownField* own = FindIn(own_, name);
  return own != nullptr ? own : FindIn(shared_, name);
}

std::string_view KnownFields::Near(std::string_view word) const {
  const std::string_view own = NearIn(own_, word);
  return !own.empty() ? own : NearIn(shared_, word);
}

void KnownFields::ForEach(const std::function<void(const KnownField&)>& see) const {
  std::ranges::for_each(own_, see);
  std::ranges::for_each(shared_, see);
}

KnownFields ChatFields() { return KnownFields(kOwnChatFields, kSharedFields); }
KnownFields CompletionFields() { return KnownFields(kOwnCompletionFields, kSharedFields); }
KnownFields ResponseFields() { return KnownFields(kOwnResponseFields, kSharedFields); }
KnownFields AnthropicFields() { return KnownFields(kOwnAnthropicFields, kSharedFields); }
KnownFields AnthropicBlockFields() { return KnownFields(kAnthropicBlockFields); }
KnownFields OllamaFields() { return KnownFields(kOwnOllamaFields, kSharedFields); }
KnownFields OllamaOptionFields() { return KnownFields(kOllamaOptionFields); }
KnownFields EmbeddingFields() { return KnownFields(kOwnEmbeddingFields, kSharedFields); }
KnownFields RerankFields() { return KnownFields(kOwnRerankFields, kSharedFields); }
KnownFields MessageFields() { return KnownFields(kMessageFields); }
KnownFields ContentPartFields() { return KnownFields(kContentPartFields); }
KnownFields StreamOptionFields() { return KnownFields(kStreamOptionFields); }

bool IsMisspelt(std::string_view word, std::string_view name) {
  constexpr std::size_t kShortest = 3;
  if (name.size() < kShortest || word == name) return false;
  // Spares most of the names the closer look.
  if (word.size() > name.size() + 1 || name.size() > word.size() + 1) return false;
  return EditDistance(word, name) <= 1;
}

}  // namespace cllm
