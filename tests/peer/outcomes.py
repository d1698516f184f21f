"""What llama.cpp's own server tests say about cLLM, and where they are taken less literally."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    PASSED = "passed"
    MISSING = "missing"  # by design, or not yet
    DIFFERING = "differing"
    SKIPPED = "skipped"  # by llama.cpp itself
    NOT_APPLICABLE = "not applicable"  # not run: it is about what cLLM is not


@dataclass(frozen=True)
class Outcome:
    """Of all tests whose name (`file::test[parameters]`) begins with `tests`; the longest beginning counts."""

    tests: str
    kind: Kind
    reason: str = ""
    shows: str = ""  # a part of the failure


# Patterns of what llama.cpp's test model writes: any word will do.
MODEL_WORDS = {"(going|bed)+", "(Suddenly)+"}

# Parameters of tests with words and prompt lengths of that model: any word, any length.
LOOSENED = {
    "test_chat_completion": ("re_content", "n_prompt"),
    "test_chat_completion_stream": ("re_content", "n_prompt"),
    "test_completion": ("re_content", "n_prompt"),
    "test_completion_stream": ("re_content", "n_prompt"),
}

# That model's answers do not end on their own, ours do: these tests' requests have `ignore_eos`.
ENDLESS = {"test_chat_completion", "test_chat_completion_stream", "test_completion", "test_completion_stream",
           "test_ctx_shift_disabled_stream", "test_ctx_shift_disabled_short_prompt", "test_n_probs", "test_completion_prompt_cache"}

NOT_FOUND = "404 == 200"


def passed(tests: str) -> Outcome:
    return Outcome(tests, Kind.PASSED)


def missing(tests: str, reason: str, shows: str) -> Outcome:
    return Outcome(tests, Kind.MISSING, reason, shows)


def differing(tests: str, reason: str, shows: str) -> Outcome:
    return Outcome(tests, Kind.DIFFERING, reason, shows)


def not_applicable(tests: str, reason: str) -> Outcome:
    return Outcome(tests, Kind.NOT_APPLICABLE, reason)


BASIC = [
    passed("test_basic.py::test_server_start_simple"),
    passed("test_basic.py::test_server_models"),
    missing("test_basic.py::test_server_multiple_addresses", "one address is listened on", "--host 127.0.0.1,::1"),
    passed("test_basic.py::test_server_props"),
    differing("test_basic.py::test_server_slots", "/slots needs no option", "200 == 501"),
    missing("test_basic.py::test_load_split_model", "split models are not loaded", "no model like"),
    missing("test_basic.py::test_no_ui", "there is no page for browsers", "<!doctype html>"),
    missing("test_basic.py::test_server_model_aliases_and_tags", "one alias, no tags", "no option like --tags"),
]

TOKENIZE = [
    passed("test_tokenize.py::test_tokenize_detokenize"),
    passed("test_tokenize.py::test_tokenize_with_pieces"),
    differing("test_tokenize.py::test_tokenize_with_bos", "our model's texts begin with no BOS", "== 1"),
]

COMPLETION = [
    passed("test_completion.py::"),
    differing("test_completion.py::test_completion_with_openai_library", "the fingerprint begins with our name", "startswith"),
    differing("test_completion.py::test_nocache_long_input_prompt", "our model's tokens are longer: the prompt fits", "200 == 400"),
    differing("test_completion.py::test_completion_response_fields[I believe the meaning of life is-32-",
              "our model's prompts begin with no BOS", "'<s> I believ"),
    differing("test_completion.py::test_completion_prompt_cache", "the counts are those of their model", "'prompt_n' in"),
    *[missing(f"test_completion.py::test_logit_bias[False-{openai}]", "biases are of tokens, not of texts", "400 == 200")
      for openai in (False, True)],
    missing("test_completion.py::test_n_probs_post_sampling", "probabilities are the model's own, before samplers", "400 == 200"),
    missing("test_completion.py::test_n_probs_post_backend_sampling", "sampling on the device", "no option like --backend_sampling"),
    Outcome("test_completion.py::test_cache_vs_nocache_prompt", Kind.SKIPPED, "skipped by llama.cpp"),
]

CHAT = [
    passed("test_chat_completion.py::test_chat_completion["),
    differing("test_chat_completion.py::test_chat_completion[None-Book-What is the best book-8-^ blue-",
              "a --chat-template without any Jinja in it is taken for a misspelt name", "neither a Jinja template nor one of"),
    differing("test_chat_completion.py::test_chat_completion_cached_tokens", "the counts are those of their model", "== 77"),
    differing("test_chat_completion.py::test_chat_completion_stream[",
              "the first chunk's content is OpenAI's empty text, not null", "'' is None"),
    differing("test_chat_completion.py::test_logprobs_stream", "the first chunk's content is OpenAI's empty text, not null", "'' is None"),
    differing("test_chat_completion.py::test_chat_completion_with_openai_library", "the fingerprint begins with our name", "startswith"),
    missing("test_chat_completion.py::test_chat_template", "answers have no __verbose; /apply-template shows prompts", "'__verbose' in"),
    missing("test_chat_completion.py::test_chat_template_continue_final_message_vllm_compat",
            "answers have no __verbose; /apply-template shows prompts", "'__verbose' in"),
    passed("test_chat_completion.py::test_chat_template_continue_final_message_mutual_exclusion"),
    passed("test_chat_completion.py::test_apply_chat_template"),
    passed("test_chat_completion.py::test_completion_with_response_format"),
    differing("test_chat_completion.py::test_completion_with_response_format[response_format1-",
              "a list of items is an older draft's way: 400, with the place where it stands", "400 == 200"),
    passed("test_chat_completion.py::test_completion_with_json_schema"),
    passed("test_chat_completion.py::test_completion_with_grammar"),
    passed("test_chat_completion.py::test_completion_with_invalid_grammar"),
    passed("test_chat_completion.py::test_invalid_chat_completion_req"),
    differing("test_chat_completion.py::test_invalid_chat_completion_req[messages7]",
              "two assistant messages at the end are the template's business", "200 == 400"),
    differing("test_chat_completion.py::test_chat_completion_with_timings_per_token",
              "the first chunk's content is OpenAI's empty text, not null", "'' is None"),
    passed("test_chat_completion.py::test_logprobs"),
    passed("test_chat_completion.py::test_logit_bias"),
    differing("test_chat_completion.py::test_context_size_exceeded",
              "the error has OpenAI's type and code, which litellm and langchain look for",
              "'invalid_request_error' == 'exceed_context_size_error'"),
    passed("test_chat_completion.py::test_return_progress"),
    differing("test_chat_completion.py::test_return_progress[64-4-False]", "our model's tokens are longer: two steps compute the prompt", "3 == 4"),
    passed("test_chat_completion.py::test_chat_completions_multiple_choices"),
    missing("test_chat_completion.py::test_chat_completions_token_count", "/tokenize with messages counts a chat's tokens", NOT_FOUND),
    missing("test_chat_completion.py::test_verbose_debug", "answers have no __verbose", "400 == 200"),
]

CTX_SHIFT = [
    passed("test_ctx_shift.py::"),
    missing("test_ctx_shift.py::test_ctx_shift_enabled", "a full context ends the answer", "no option like --context-shift"),
    differing("test_ctx_shift.py::test_ctx_shift_disabled_short_prompt[-1-", "the counts are those of their model", "== 248"),
    differing("test_ctx_shift.py::test_ctx_shift_disabled_long_prompt", "our model's tokens are longer: the prompt fits", "200 != 200"),
]

SECURITY = [
    passed("test_security.py::test_access_public_endpoint"),
    passed("test_security.py::test_openai_library_correct_api_key"),
    missing("test_security.py::test_access_static_assets_without_api_key", "there is no page for browsers", "Expected 200 for /"),
    passed("test_security.py::test_incorrect_api_key"),
    passed("test_security.py::test_correct_api_key"),
    differing("test_security.py::test_cors_options", "no origin is allowed unless it is configured", "401 == 200"),
    missing("test_security.py::test_cors_origins_localhost_", "origins are named in full, localhost is no word for all of its ports",
            "neither * nor an origin"),
    missing("test_security.py::test_cors_origins_defaults_to_localhost_with_tools_enabled",
            "no tools run in the server", "no option like --tools"),
    missing("test_security.py::test_cors_proxy_only_forwards_explicit_proxy_headers",
            "no proxy for pages", "no option like --ui-mcp-proxy"),
    missing("test_security.py::test_local_media_file", "no images", "no model like"),
]

EMBEDDING = [
    passed("test_embedding.py::"),
    *[differing(f"test_embedding.py::test_embedding_mixed_input[{name}", reason, "400 == 200")
      for name, reason in {"-False": "an empty text is an error", "input3-": "a text is words or ids, not both",
                           "input7-": "a text is words or ids, not both", "input8-": "a text is no object",
                           "input9-": "a text is no object", "input10-": "a text is no object"}.items()],
    differing("test_embedding.py::test_embedding_content_text_same_as_string", "a text is no object", "400 == 200"),
    missing("test_embedding.py::test_embedding_pooling_none", "a text has one vector, not one a token", "died with return code"),
    differing("test_embedding.py::test_embedding_error_prompt_too_long", "the error has OpenAI's words", "too large"),
]

INFILL = [
    missing("test_infill.py::", "our test model has no tokens for gaps; src/model/infill_test.cc has vocabularies that do",
            "no model like ggml-org/test-model-stories260K-infill"),
    Outcome("test_infill.py::test_with_qwen_model", Kind.SKIPPED, "slow"),
]

IGNORE_EOS = [passed("test_ignore_eos.py::")]

ANTHROPIC = [
    passed("test_compat_anthropic.py::"),
    differing("test_compat_anthropic.py::test_anthropic_tool_result_with_image", "images are refused with 400, not 500", "400 == 500"),
    differing("test_compat_anthropic.py::test_anthropic_vision_format_accepted", "images are refused with 400, not 500", "400 == 500"),
    missing("test_compat_anthropic.py::test_anthropic_vision_base64_with_multimodal_model", "no images", "no model like"),
    differing("test_compat_anthropic.py::test_anthropic_empty_messages", "a chat without a message is an error", "400 == 200"),
]

RESPONSES = [
    passed("test_compat_oai_responses.py::"),
    missing("test_compat_oai_responses.py::test_responses_stream_with_llama_telemetry",
            "neither timings nor progress in Responses, nor its paths without /v1", "there is nothing at /responses"),
]

TEMPLATE = [
    passed("test_template.py::"),
    *[missing(f"test_template.py::test_reasoning[{template}-", "whether a model thinks is said by requests, not by an option of the server",
              "no option like --reasoning") for template in (
        "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B-on", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B-off", "Qwen-Qwen3-0.6B-off",
        "Qwen-QwQ-32B-off", "CohereForAI-c4ai-command-r7b-12-2024-tool_use-off")],
]

TOOLS = [
    passed("test_tool_call.py::"),
    *[differing(f"test_tool_call.py::test_completion_without_tool_call_fast[{case}-CompletionMode.STREAMED]",
                "the first chunk's content is OpenAI's empty text", "Expected non empty content delta") for case in (
        "meta-llama-Llama-3.3-70B-Instruct-128-tools0-None", "meta-llama-Llama-3.3-70B-Instruct-128-tools1-None",
        "meta-llama-Llama-3.3-70B-Instruct-128-tools2-none")],
]

# Files about what cLLM is not.
ELSEWHERE = [
    not_applicable("test_compat_gcp.py::", "Google's prediction wrapper"),
    not_applicable("test_rerank.py::", "ranking has a model of its own, and tests of its own in tests/e2e"),
    not_applicable("test_kv_keep_only_active.py::", "the log of a cache in the host's memory beside the slots"),
    not_applicable("test_lora.py::", "no adapters are loaded"),
    not_applicable("test_mcp_servers.py::", "no tools run in the server"),
    not_applicable("test_metrics.py::", "the metrics page has names of its own"),
    not_applicable("test_proxy.py::", "no proxy for pages"),
    not_applicable("test_router.py::", "one model a server"),
    not_applicable("test_sleep.py::", "a server does not sleep"),
    not_applicable("test_slot_save.py::", "nothing is saved to disk"),
    not_applicable("test_speculative.py::", "no drafts"),
    not_applicable("test_stream.py::", "streams are not kept for those who come back"),
    not_applicable("test_tools_builtin.py::", "no tools run in the server"),
    not_applicable("test_vision_api.py::", "no images"),
]

OUTCOMES = [*BASIC, *TOKENIZE, *COMPLETION, *CHAT, *CTX_SHIFT, *SECURITY, *EMBEDDING, *INFILL, *IGNORE_EOS, *ANTHROPIC, *RESPONSES, *TEMPLATE, *TOOLS,
            *ELSEWHERE]
