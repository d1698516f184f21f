"""What llama.cpp's own server tests say about cLLM, and where they are taken less literally."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    PASSED = "passed"
    MISSING = "missing"  # by design, or not yet
    DIFFERING = "differing"
    SKIPPED = "skipped"  # by llama.cpp itself


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
}

# That model's answers do not end on their own, ours do: these tests' requests have `ignore_eos`.
ENDLESS = {"test_chat_completion", "test_chat_completion_stream", "test_ctx_shift_disabled_stream"}

NATIVE = "llama-server's own dialect, /completion, comes with issue 6"
NOT_FOUND = "404 == 200"
NATIVE_NOT_FOUND = "there is nothing at /completion"


def passed(tests: str) -> Outcome:
    return Outcome(tests, Kind.PASSED)


def missing(tests: str, reason: str, shows: str) -> Outcome:
    return Outcome(tests, Kind.MISSING, reason, shows)


def differing(tests: str, reason: str, shows: str) -> Outcome:
    return Outcome(tests, Kind.DIFFERING, reason, shows)


BASIC = [
    passed("test_basic.py::test_server_start_simple"),
    passed("test_basic.py::test_server_models"),
    missing("test_basic.py::test_server_multiple_addresses", "one address is listened on", "--host 127.0.0.1,::1"),
    missing("test_basic.py::test_server_props", "/props comes with issue 6", NOT_FOUND),
    missing("test_basic.py::test_server_slots", "places are no resource of the API; /health?level=detailed and /metrics count them",
            "404 == 501"),
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
    missing("test_completion.py::", NATIVE, NATIVE_NOT_FOUND),
    passed("test_completion.py::test_completion_stream_with_openai_library"),
    passed("test_completion.py::test_json_prompt_mtm_error_when_not_supported"),
    passed("test_completion.py::test_completion_unified[256-4-n_predict_vals1"),  # expects nothing
    differing("test_completion.py::test_completion_with_openai_library", "the fingerprint begins with our name", "startswith"),
    Outcome("test_completion.py::test_cache_vs_nocache_prompt", Kind.SKIPPED, "skipped by llama.cpp"),
    missing("test_completion.py::test_n_probs_post_backend_sampling", "sampling on the device, seen through /completion",
            "no option like --backend_sampling"),
    missing("test_completion.py::test_cancel_request",
            "it looks at /slots; tests/e2e/test_disconnect.py has the same at /v1", "no option like --slots"),
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
    *[missing(f"test_chat_completion.py::test_completion_with_response_format[response_format{number}-",
              "constrained answers are not supported yet",
              "400 == 200") for number in range(4)],
    *[passed(f"test_chat_completion.py::test_completion_with_response_format[response_format{number}-") for number in range(4, 8)],
    missing("test_chat_completion.py::test_completion_with_json_schema", "constrained answers are not supported yet", "400 == 200"),
    missing("test_chat_completion.py::test_completion_with_grammar", "constrained answers are not supported yet", "400 == 200"),
    passed("test_chat_completion.py::test_completion_with_invalid_grammar"),
    passed("test_chat_completion.py::test_invalid_chat_completion_req"),
    differing("test_chat_completion.py::test_invalid_chat_completion_req[messages7]",
              "two assistant messages at the end are the template's business", "200 == 400"),
    missing("test_chat_completion.py::test_chat_completion_with_timings_per_token", "timings in answers come with issue 6",
            "timings_per_token is not supported"),
    passed("test_chat_completion.py::test_logprobs"),
    passed("test_chat_completion.py::test_logit_bias"),
    differing("test_chat_completion.py::test_context_size_exceeded",
              "the error has OpenAI's type and code, which litellm and langchain look for",
              "'invalid_request_error' == 'exceed_context_size_error'"),
    missing("test_chat_completion.py::test_return_progress", "progress of prompts is not streamed", "return_progress is not supported"),
    passed("test_chat_completion.py::test_chat_completions_multiple_choices"),
    missing("test_chat_completion.py::test_chat_completions_token_count", "no endpoint counts a chat's tokens", NOT_FOUND),
    missing("test_chat_completion.py::test_verbose_debug", "answers have no __verbose", "400 == 200"),
]

CTX_SHIFT = [
    missing("test_ctx_shift.py::", NATIVE, NATIVE_NOT_FOUND),
    missing("test_ctx_shift.py::test_ctx_shift_enabled", "a full context ends the answer", "no option like --context-shift"),
    passed("test_ctx_shift.py::test_ctx_shift_disabled_stream"),
]

SECURITY = [
    passed("test_security.py::test_access_public_endpoint"),
    passed("test_security.py::test_openai_library_correct_api_key"),
    missing("test_security.py::test_access_static_assets_without_api_key", "there is no page for browsers", "Expected 200 for /"),
    missing("test_security.py::test_incorrect_api_key", NATIVE + "; its error has no type without the dialect", "KeyError: 'type'"),
    missing("test_security.py::test_correct_api_key", NATIVE, "404 == 200"),
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

OUTCOMES = [*BASIC, *TOKENIZE, *COMPLETION, *CHAT, *CTX_SHIFT, *SECURITY, *EMBEDDING]
