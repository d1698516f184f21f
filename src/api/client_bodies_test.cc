// What real senders send: the bodies of client libraries, programs, benchmarks and gateways, cut to what is particular to them.
// What asks for nothing that there is not is let in, in silence.
#include <span>
#include <string>

#include <gtest/gtest.h>

#include "api/openai_chat.h"
#include "api/openai_completions.h"
#include "api/testing_json.h"
#include "schema/schema_validator.h"

namespace cllm {
namespace {

struct Sent {
  const char* by;
  const char* fields;  // beside the least that there is; these may replace it
};

constexpr Sent kChats[] = {
    {"openai-python", R"({"model": "m"})"},
    {"openai-python, stream", R"({"model": "m", "stream": true})"},
    {"openai-python, all that a script sets", R"({"frequency_penalty": 0, "logit_bias": {}, "logprobs": false, "max_tokens": 64, "n": 1,
      "presence_penalty": 0.0, "seed": -42, "stop": ["\n"], "temperature": 1, "top_p": 1, "user": "u"})"},
    {"openai-python, model_dump of a request", R"({"audio": null, "function_call": null, "functions": null, "logit_bias": null,
      "logprobs": null, "max_completion_tokens": 64, "max_tokens": null, "metadata": {"run": "1"}, "modalities": null, "n": null,
      "parallel_tool_calls": null, "prediction": null, "reasoning_effort": null, "response_format": null, "seed": null, "service_tier": null,
      "stop": null, "store": false, "stream": false, "stream_options": null, "temperature": null, "tool_choice": null, "tools": null,
      "top_logprobs": null, "top_p": null, "verbosity": null, "web_search_options": null, "moderation": null, "prompt_cache_options": null})"},
    {"openai-python, a message back as history", R"({"messages": [{"role": "user", "content": "a"}, {"content": "b", "refusal": null,
      "role": "assistant", "annotations": [], "audio": null, "function_call": null, "tool_calls": null}, {"role": "user", "content": "c"}]})"},
    {"openai-node", R"({"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}], "store": true})"},
    {"openai-node, stream helper", R"({"stream": true, "stream_options": {"include_usage": true}})"},
    {"openai-node, chat in parts", R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]})"},
    {"openai, seed of 64 bits", R"({"seed": -9223372036854775808})"},
    {"openai, safety and caches",
     R"({"safety_identifier": "s", "prompt_cache_key": "k", "prompt_cache_retention": "24h", "service_tier": "flex"})"},
    {"openai-agents",
     R"({"stream": true, "stream_options": {"include_usage": true}, "store": true, "parallel_tool_calls": false, "metadata": null})"},
    {"azure-openai", R"({"data_sources": [], "user_security_context": {"application_name": "a"}, "max_tokens": 800, "top_p": 0.95})"},
    {"openai-go",
     R"({"model": "m", "max_completion_tokens": 100, "stream_options": {"include_usage": true, "include_obfuscation": false}, "stream": true})"},
    {"openai-java", R"({"model": "m", "temperature": 0.7, "n": 1, "logprobs": false})"},
    {"go-openai", R"({"model": "m", "stream": true, "chat_template_kwargs": {"enable_thinking": false}})"},
    {"async-openai (Rust)", R"({"model": "m", "temperature": 0.5, "tools": null})"},
    {"ruby-openai", R"({"model": "m", "temperature": 0.7, "stream": false})"},
    {"Semantic Kernel",
     R"({"model": "m", "temperature": 1, "top_p": 1, "max_tokens": 256, "presence_penalty": 0, "frequency_penalty": 0, "stop": []})"},
    {"Spring AI", R"({"model": "m", "stream": false, "temperature": 0.7, "extra_body": {}})"},
    {"LangChain4j", R"({"model": "m", "temperature": 0.7, "stream": true, "stream_options": {"include_usage": true}})"},
    {"Vercel AI SDK", R"({"model": "m", "max_tokens": 4096, "temperature": 0, "stream": true, "stream_options": {"include_usage": true}})"},
    {"LangChain", R"({"model": "m", "stream": false, "n": 1, "temperature": 0.7, "extra_body": {}, "store": false})"},
    {"LangChain, stream", R"({"model": "m", "stream": true, "stream_options": {"include_usage": true}, "max_completion_tokens": 100})"},
    {"LangChain, history", R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"},
      {"role": "assistant", "content": "b", "refusal": null}, {"role": "user", "content": "c", "name": "Ann"}]})"},
    {"LlamaIndex", R"({"model": "m", "stream": false, "temperature": 0.1, "max_tokens": 256, "additional_kwargs": {}})"},
    {"LiteLLM", R"({"model": "m", "extra_body": {}, "stream": true, "stream_options": {"include_usage": true}})"},
    {"LiteLLM proxy",
     R"({"model": "m", "user": "default_user_id", "metadata": {}, "litellm_metadata": {"a": 1}, "num_retries": 2, "tags": ["x"]})"},
    {"LiteLLM, history with its own fields", R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b",
      "provider_specific_fields": {"refusal": null}, "tool_calls": null, "function_call": null, "thinking_blocks": []},
      {"role": "user", "content": "c"}]})"},
    {"DSPy", R"({"model": "m", "temperature": 0.0, "max_tokens": 1000, "n": 1})"},
    {"instructor, text mode", R"({"model": "m", "max_retries": null, "response_format": {"type": "text"}})"},
    {"guidance", R"({"model": "m", "logprobs": true, "top_logprobs": 5, "stream": true})"},
    {"Pydantic AI", R"({"model": "m", "stream": false, "n": 1, "parallel_tool_calls": true})"},
    {"AutoGen", R"({"model": "m", "stream": false, "cache_seed": 42})"},
    {"CrewAI", R"({"model": "m", "stop": ["\nObservation:"], "stream": false})"},
    {"Haystack", R"({"model": "m", "n": 1, "stream": false, "tools": []})"},
    {"smolagents", R"({"model": "m", "stop": ["Observation:", "Calling tools:"], "max_tokens": 2096})"},
    {"llm (Simon Willison's)", R"({"model": "m", "stream": true, "stream_options": {"include_usage": true}})"},
    {"aider", R"({"model": "m", "temperature": 0, "stream": true, "extra_body": {}})"},
    {"Continue",
     R"({"model": "m", "max_tokens": 4096, "temperature": 0.5, "stream": true, "stream_options": {"include_usage": true}, "stop": null})"},
    {"Cline", R"({"model": "m", "temperature": 0, "stream": true, "stream_options": {"include_usage": true},
      "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]})"},
    {"Cline, -1 as the longest answer", R"({"max_tokens": -1})"},
    {"Roo Code",
     R"({"model": "m", "temperature": 0, "stream": true, "stream_options": {"include_usage": true}, "max_completion_tokens": 8192})"},
    {"Zed", R"({"model": "m", "stream": true, "stop": [], "temperature": 1.0, "max_completion_tokens": null, "prompt_cache_key": "k",
      "parallel_tool_calls": null, "reasoning_effort": null})"},
    {"GitHub Copilot, own model",
     R"({"model": "m", "temperature": 0.1, "top_p": 1, "max_tokens": 4096, "n": 1, "stream": true, "stream_options": {"include_usage": true}})"},
    {"Open WebUI", R"({"stream": true, "model": "m", "stream_options": {"include_usage": true}})"},
    {"Open WebUI, all parameters",
     R"({"stream": true, "model": "m", "temperature": 0.8, "top_p": 0.9, "top_k": 40, "min_p": 0.0, "seed": 42,
      "frequency_penalty": 0.0, "presence_penalty": 0.0, "repeat_penalty": 1.1, "tfs_z": 1, "mirostat": 0, "mirostat_eta": 0.1,
      "mirostat_tau": 5.0, "max_tokens": 128, "stop": ["###"], "logit_bias": {"5": -100}})"},
    {"Open WebUI, titles", R"({"stream": false, "max_completion_tokens": 1000, "metadata": {"task": "title_generation", "chat_id": "c"}})"},
    {"LibreChat",
     R"({"model": "m", "temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "stream": true, "user": "65f",
      "stream_options": {"include_usage": true}})"},
    {"Cherry Studio", R"({"model": "m", "stream": true, "reasoning": {"enabled": false, "exclude": true}, "verbosity": "low"})"},
    {"LobeChat", R"({"model": "m", "temperature": 0.6, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0, "stream": true,
      "reasoning_effort": "medium", "thinking": {"type": "disabled"}})"},
    {"AnythingLLM", R"({"model": "m", "stream": true, "temperature": 0.7, "max_tokens": 1024})"},
    {"SillyTavern", R"({"model": "m", "temperature": 1, "max_tokens": 300, "stream": true, "presence_penalty": 0, "frequency_penalty": 0,
      "top_p": 1, "top_k": 0, "min_p": 0, "top_a": 0, "repetition_penalty": 1, "stop": [], "logit_bias": {}, "n": null, "seed": null})"},
    {"SillyTavern, prefill", R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "Sure:"}]})"},
    {"Jan",
     R"({"model": "m", "stream": true, "temperature": 0.7, "top_p": 0.95, "frequency_penalty": 0, "presence_penalty": 0, "stop": [], "max_tokens": 2048})"},
    {"Dify", R"({"model": "m", "stream": true, "temperature": 0.7, "user": "abc-123", "response_format": {"type": "text"}})"},
    {"n8n",
     R"({"model": "m", "temperature": 0.7, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0, "n": 1, "stream": true, "timeout": 60000})"},
    {"Home Assistant", R"({"model": "m", "max_tokens": 150, "top_p": 1.0, "temperature": 1.0, "user": "01J", "tools": []})"},
    {"promptfoo", R"({"model": "m", "max_tokens": 1024, "temperature": 0})"},
    {"inspect-ai", R"({"model": "m", "max_tokens": 2048, "seed": 42, "temperature": 0.0, "top_p": 1.0, "logprobs": false})"},
    {"inspect-ai, vLLM extras",
     R"({"model": "m", "repetition_penalty": 1.0, "top_k": 50, "skip_special_tokens": true, "ignore_eos": false})"},
    {"lm-eval-harness",
     R"({"model": "m", "max_tokens": 256, "temperature": 0, "stop": ["Question:", "</s>", "<|im_end|>"], "seed": 1234})"},
    {"guidellm", R"({"model": "m", "stream": true, "stream_options": {"include_usage": true, "continuous_usage_stats": true},
      "max_completion_tokens": 128, "stop": null, "ignore_eos": true})"},
    {"vllm bench serve",
     R"({"model": "m", "temperature": 0.0, "max_completion_tokens": 128, "stream": true, "stream_options": {"include_usage": true},
      "ignore_eos": true, "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]})"},
    {"sglang.bench_serving",
     R"({"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 0, "max_completion_tokens": 64,
      "stream": true, "ignore_eos": true})"},
    {"genai-perf",
     R"({"model": "m", "stream": true, "max_tokens": 100, "min_tokens": 100, "ignore_eos": true, "stream_options": {"include_usage": true}})"},
    {"llmperf", R"({"model": "m", "stream": true, "max_tokens": 150})"},
    {"k6 or locust scripts", R"({"max_tokens": 50.0, "temperature": 0.0, "top_k": 40.0, "n": 1.0, "seed": 7.0})"},
    {"vLLM's request, all defaults", R"({"model": "m", "frequency_penalty": 0.0, "logit_bias": null, "logprobs": false, "top_logprobs": 0,
      "max_tokens": null, "n": 1, "presence_penalty": 0.0, "response_format": null, "seed": null, "stop": [], "stream": false,
      "stream_options": null, "temperature": null, "tools": null, "tool_choice": "none", "include_reasoning": true,
      "parallel_tool_calls": true, "user": null, "best_of": null, "use_beam_search": false, "top_k": null, "min_p": null,
      "repetition_penalty": null, "length_penalty": 1.0, "stop_token_ids": [], "include_stop_str_in_output": false, "ignore_eos": false,
      "min_tokens": 0, "skip_special_tokens": true, "spaces_between_special_tokens": true, "truncate_prompt_tokens": null,
      "prompt_logprobs": null, "allowed_token_ids": null, "bad_words": [], "echo": false, "add_generation_prompt": true,
      "continue_final_message": false, "add_special_tokens": false, "documents": null, "chat_template": null, "chat_template_kwargs": null,
      "mm_processor_kwargs": null, "structured_outputs": null, "priority": 0, "request_id": "r", "return_tokens_as_token_ids": null,
      "return_token_ids": null, "cache_salt": null, "kv_transfer_params": null, "vllm_xargs": null, "thinking_token_budget": null,
      "repetition_detection": null, "stream_interval": null, "return_prompt_text": null, "routed_experts_prompt_start": 0})"},
    {"vLLM's client, prefill", R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
      "add_generation_prompt": false, "continue_final_message": true})"},
    {"SGLang's request, all defaults", R"({"model": "default", "frequency_penalty": 0.0, "logprobs": false, "n": 1, "presence_penalty": 0.0,
      "top_k": -1, "min_p": 0.0, "min_tokens": 0, "regex": null, "ebnf": null, "repetition_penalty": 1.0, "stop_token_ids": null,
      "stop_regex": null, "no_stop_trim": false, "ignore_eos": false, "continue_final_message": false, "skip_special_tokens": true,
      "lora_path": null, "session_params": null, "separate_reasoning": true, "stream_reasoning": true, "chat_template_kwargs": null,
      "return_hidden_states": false, "rid": null, "bootstrap_host": null, "custom_logit_processor": null, "custom_params": null,
      "return_routed_experts": false, "images_config": null, "use_audio_in_video": false, "custom_labels": null, "extra_key": null})"},
    {"llama-server's page, reports and controls off", R"({"stream": true, "reasoning_format": "auto", "temperature": 0.8, "max_tokens": -1,
      "dynatemp_range": 0, "dynatemp_exponent": 1, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "xtc_probability": 0, "xtc_threshold": 0.1,
      "typ_p": 1, "repeat_last_n": 64, "repeat_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0, "dry_multiplier": 0,
      "dry_base": 1.75, "dry_allowed_length": 2, "dry_penalty_last_n": -1, "backend_sampling": false, "timings_per_token": false,
      "samplers": ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"]})"},
    {"llama-server's page, continue", R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b",
      "reasoning_content": "c"}], "continue_final_message": true, "add_generation_prompt": false})"},
    {"llama.cpp's server tests",
     R"({"max_tokens": 8, "seed": 42, "temperature": 0.0, "top_k": 1, "cache_prompt": true, "id_slot": -1, "n_keep": 0})"},
    {"llama-cpp-python's client",
     R"({"model": "m", "stream": false, "logits_processors": null, "grammar": null, "tfs_z": 1.0, "mirostat_mode": 0,
      "mirostat_tau": 5.0, "mirostat_eta": 0.1, "repeat_penalty": 1.0, "min_p": 0.05, "typical_p": 1.0, "n": 1, "logit_bias_type": null})"},
    {"Ollama's OpenAI clients",
     R"({"model": "m", "stream": true, "keep_alive": "5m", "options": {}, "format": "", "reasoning_effort": "none"})"},
    {"text-generation-webui", R"({"mode": "instruct", "temperature": 1, "top_k": 0, "typical_p": 1, "epsilon_cutoff": 0, "eta_cutoff": 0,
      "tfs": 1, "top_a": 0, "mirostat_mode": 0, "penalty_alpha": 0, "do_sample": true, "guidance_scale": 1, "negative_prompt": "",
      "encoder_repetition_penalty": 1, "no_repeat_ngram_size": 0, "smoothing_factor": 0, "custom_token_bans": "", "ban_eos_token": false})"},
    {"Hugging Face's InferenceClient", R"({"model": "m", "frequency_penalty": null, "logit_bias": null, "logprobs": null, "max_tokens": 100,
      "stream": false, "tool_prompt": null, "tools": null, "seed": 0})"},
    {"Mistral's SDK",
     R"({"model": "m", "temperature": 0.7, "top_p": 1.0, "max_tokens": 100, "random_seed": 5, "safe_prompt": false, "stream": false,
      "response_format": {"type": "text"}, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "prefix": true}]})"},
    {"DeepSeek's clients", R"({"model": "m", "frequency_penalty": 0, "max_tokens": 2048, "response_format": {"type": "text"}, "tools": null,
      "tool_choice": "none", "logprobs": false, "top_logprobs": null, "thinking": {"type": "enabled"}})"},
    {"Groq's SDK",
     R"({"model": "m", "reasoning_format": "raw", "include_domains": null, "service_tier": "on_demand", "citation_options": "disabled"})"},
    {"Together's SDK", R"({"model": "m", "repetition_penalty": 1.0, "top_k": 50, "min_p": 0, "safety_model": "", "echo": false,
      "context_length_exceeded_behavior": "error"})"},
    {"OpenRouter's SDK",
     R"({"model": "m", "models": ["a", "b"], "provider": {"order": ["x"]}, "route": "fallback", "transforms": [], "plugins": [],
      "usage": {"include": true}, "reasoning": {"effort": "low", "exclude": false}, "include_reasoning": true, "top_a": 0, "session_id": "s"})"},
    {"DashScope's clients",
     R"({"model": "m", "enable_thinking": false, "enable_search": false, "result_format": "message", "incremental_output": true})"},
    {"xAI's SDK", R"({"model": "m", "deferred": false, "search_parameters": {"mode": "off"}})"},
    {"Kong AI gateway", R"({"model": "m", "max_tokens": 512, "temperature": 1.0, "stream": false, "kong_route": "r"})"},
    {"Envoy AI gateway", R"({"model": "m", "stream": true, "stream_options": {"include_usage": true}})"},
    {"Portkey", R"({"model": "m", "max_tokens": 250, "portkey_trace": "t", "metadata": {"_user": "u"}})"},
    {"Cloudflare AI gateway", R"({"model": "m", "stream": true, "max_tokens": 256, "cf_aig": {}})"},
    {"One API", R"({"model": "m", "stream": true, "max_tokens": 0.5e3, "temperature": 0.5, "stream_options": {"include_usage": true}})"},
    {"a client that leaves its stream's options", R"({"stream": false, "stream_options": {"include_usage": true}})"},
    {"a client with the largest number it knows", R"({"max_tokens": 2147483647})"},
    {"a message with a timestamp", R"({"messages": [{"role": "user", "content": "x", "timestamp": 1700000000}]})"},
    {"Anthropic-style cache marks",
     R"({"messages": [{"role": "system", "content": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
      {"role": "user", "content": "x"}]})"},
};

constexpr Sent kCompletions[] = {
    {"openai-python",
     R"({"model": "m", "max_tokens": 16, "temperature": 0, "best_of": 1, "echo": false, "n": 1, "suffix": null, "logprobs": null})"},
    {"LangChain OpenAI", R"({"model": "m", "temperature": 0.7, "max_tokens": 256, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0,
      "n": 1, "best_of": 1, "seed": null, "logprobs": null, "logit_bias": {}, "prompt": ["a", "b"]})"},
    {"guidellm",
     R"({"model": "m", "stream": true, "stream_options": {"include_usage": true, "continuous_usage_stats": true}, "max_tokens": 128,
      "stop": null, "ignore_eos": true})"},
    {"vllm bench serve",
     R"({"model": "m", "temperature": 0.0, "repetition_penalty": 1.0, "max_tokens": 128, "logprobs": null, "stream": true,
      "stream_options": {"include_usage": true}, "ignore_eos": true})"},
    {"sglang.bench_serving", R"({"model": "m", "temperature": 0.0, "best_of": 1, "max_tokens": 128, "stream": true, "ignore_eos": true})"},
    {"vLLM's request, all defaults",
     R"({"model": "m", "best_of": null, "echo": false, "frequency_penalty": 0.0, "logit_bias": null, "logprobs": null,
      "max_tokens": 16, "n": 1, "stop": [], "suffix": null, "use_beam_search": false, "length_penalty": 1.0, "stop_token_ids": [],
      "include_stop_str_in_output": false, "min_tokens": 0, "skip_special_tokens": true, "spaces_between_special_tokens": true,
      "truncate_prompt_tokens": null, "prompt_logprobs": null, "prompt_embeds": null, "add_special_tokens": true, "response_format": null,
      "priority": 0, "request_id": "r", "cache_salt": null})"},
    {"lm-eval-harness, generation",
     R"({"model": "m", "max_tokens": 256, "temperature": 0, "stop": ["\n\n"], "seed": 1234, "prompt": [[1, 2], [3]]})"},
    {"inspect-ai or evals, logprobs", R"({"model": "m", "max_tokens": 1, "logprobs": 5, "temperature": 0, "prompt": [1, 2, 3]})"},
    {"llama-server's clients",
     R"({"n_predict": -1, "temperature": 0.7, "stop": ["</s>"], "repeat_last_n": 256, "repeat_penalty": 1.18, "top_k": 40,
      "top_p": 0.5, "tfs_z": 1, "typical_p": 1, "mirostat": 0, "mirostat_tau": 5, "mirostat_eta": 0.1, "grammar": "", "n_probs": 0,
      "image_data": [], "cache_prompt": true, "slot_id": 0, "stream": true})"},
    {"llama-server's mixed prompt", R"({"prompt": [12, 34, "string", 56, 78], "n_keep": 0, "id_slot": 0, "return_tokens": false})"},
    {"llama.vscode and other editors",
     R"({"n_predict": 64, "samplers": ["penalties", "top_k", "top_p", "min_p", "temperature"], "t_max_predict_ms": 0})"},
    {"Continue, autocomplete",
     R"({"model": "m", "max_tokens": 256, "temperature": 0.01, "stop": ["/src/", "```"], "stream": true, "suffix": ""})"},
    {"SillyTavern",
     R"({"model": "m", "max_new_tokens": 16, "max_tokens": 16, "n_predict": 16, "temperature": 0.7, "top_p": 0.5, "typical_p": 1,
      "repetition_penalty": 1.2, "repeat_penalty": 1.2, "repeat_last_n": 0, "top_k": 40, "smoothing_factor": 0, "smoothing_curve": 1,
      "dry_multiplier": 0, "dry_sequence_breakers": ["*"], "ban_eos_token": false, "top_a": 0, "mirostat_mode": 0, "custom_token_bans": "",
      "xtc_probability": 0, "top_n_sigma": 0, "adaptive_target": -0.01, "grammar": "", "json_schema": null, "logit_bias": [], "stop": ["\nYou:"],
      "samplers": ["penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature", "adaptive_p"]})"},
    {"KoboldAI's bridge", R"({"max_tokens": 80, "temperature": 0.7, "top_a": 0, "typical_p": 1, "rep_pen": 1.1})"},
    {"TGI's benchmark",
     R"({"model": "tgi", "max_tokens": 100, "temperature": 0.5, "details": true, "watermark": false, "decoder_input_details": false})"},
    {"best of three", R"({"n": 1, "best_of": 3, "max_tokens": 20})"},
    {"echo", R"({"echo": true, "max_tokens": 5})"},
};

void ExpectLetIn(const Dialect& dialect, const char* least, std::span<const Sent> all) {
  const Result<SchemaValidator> described = SchemaValidator::Compile(dialect.Describe().request);
  ASSERT_TRUE(described) << described.error().message;
  for (const auto& [by, fields] : all) {
    Json body = Json::parse(least);
    body.update(Json::parse(fields));
    const Result<ParsedCall> call = dialect.Parse(body.dump());
    EXPECT_TRUE(call) << by << ": " << (call ? "" : call.error().message);
    const Status fits = described->Validate(body);
    EXPECT_TRUE(fits) << by << ": " << (fits ? "" : fits.error().message);
  }
}

TEST(ClientBodiesTest, ChatsAreLetIn) {
  ExpectLetIn(OpenAiChatDialect({.id = "toy"}), R"({"messages": [{"role": "user", "content": "hi"}]})", kChats);
}

TEST(ClientBodiesTest, CompletionsAreLetIn) { ExpectLetIn(OpenAiCompletionsDialect({.id = "toy"}), R"({"prompt": "hi"})", kCompletions); }

TEST(ClientBodiesTest, WhatThereIsNotIsRefusedByItsName) {
  const OpenAiChatDialect chat({.id = "toy"});
  const char* least = R"({"messages": [{"role": "user", "content": "hi"}]})";
  for (const auto& [by, fields] :
       {Sent{"tools[0].type", R"({"tools": [{"type": "custom", "custom": {"name": "f"}}], "tool_choice": "auto"})"},
        {"response_format", R"({"response_format": {"type": "json_schema", "json_schema": {}}})"},
        {"sse_ping_interval", R"({"stream": true, "return_progress": true, "sse_ping_interval": 1})"},
        {"modalities", R"({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}})"},
        {"mirostat", R"({"mirostat": 2, "mirostat_tau": 5.0})"},
        {"guided_json", R"({"guided_json": {"type": "object", "unevaluatedProperties": false}})"}}) {
    Json body = Json::parse(least);
    body.update(Json::parse(fields));
    EXPECT_EQ(ErrorOf(chat, body.dump()).field, by) << fields;
  }
}

}  // namespace
}  // namespace cllm
