"""Calls as formats write them whose marks are control tokens, that have no words of their own, or that write arguments one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from conftest import Server
from gguf_writer import tiny_bpe_llama

LOOK = {
    "type": "function",
    "function": {"name": "look", "strict": True, "parameters": {
        "type": "object", "properties": {"at": {"type": "string", "enum": ["sky", "sea"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["at", "days"], "additionalProperties": False}},
}
TURNS = "{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}{% for t in tools %}{{ t.function.name }}{% endfor %}"
# By which llama.cpp knows the formats.
MINISTRAL = TURNS + "{# [SYSTEM_PROMPT] [TOOL_CALLS] [ARGS] #}"
GPT_OSS = TURNS + "{% if add_generation_prompt %}<|start|>assistant{% endif %}{# <|channel|> #}"
ASK = [{"role": "user", "content": "hi"}]
FIRST_MARK = 259
NO_THOUGHTS = {ord("["): -100}  # in letters


@pytest.fixture
def serve_marks(launch: Callable[..., Server], tmp_path: Path) -> Callable[..., Server]:
    """serve_marks(template, marks): a model that talks nonsense, whose vocabulary has the marks as control tokens."""
    def start(template: str, *marks: str) -> Server:
        path = tmp_path / "marks.gguf"
        path.write_bytes(tiny_bpe_llama("gpt-2", marks).set("tokenizer.chat_template", "string", template).bytes())
        return launch(path, "--host", "127.0.0.1", "--port", 0, "-c", 256).wait_ready()
    return start


def ask(server: Server, **fields) -> dict:
    body = {"messages": ASK, "tools": [LOOK], "max_tokens": 200, "temperature": 1, "logprobs": True, "parallel_tool_calls": False, **fields}
    response = requests.post(server.url + "/v1/chat/completions", json=body, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]


def check_call(choice: dict) -> None:
    (call,) = choice["message"]["tool_calls"]
    arguments = json.loads(call["function"]["arguments"])
    assert call["function"]["name"] == "look" and set(arguments) == {"at", "days"}
    assert arguments["at"] in ("sky", "sea") and 1 <= arguments["days"] <= 9


def tokens_of(choice: dict) -> list[str]:
    return [token["token"] for token in choice["logprobs"]["content"]]


def test_marks_that_are_control_tokens_come_as_such(serve_marks: Callable[..., Server]) -> None:
    server = serve_marks(MINISTRAL, "[TOOL_CALLS]", "[ARGS]", "[OTHER]")
    for seed in range(6):
        choice = ask(server, tool_choice="required", seed=seed, logit_bias=NO_THOUGHTS)
        check_call(choice)
        tokens = tokens_of(choice)
        assert tokens.count("[TOOL_CALLS]") == tokens.count("[ARGS]") == 1 and "[OTHER]" not in tokens and "[" not in tokens, tokens
        # Where nobody demands a call, it is masked as soon as the token has come, however it came.
        free = ask(server, seed=seed, logit_bias={FIRST_MARK: 100})
        check_call(free)
        assert tokens_of(free)[0] == "[TOOL_CALLS]" and "[OTHER]" not in tokens_of(free)
    again = [ask(server, tool_choice="required", seed=3, logit_bias=NO_THOUGHTS) for _ in range(2)]
    assert again[0]["logprobs"] == again[1]["logprobs"]


def test_spelled_marks_are_still_marks(serve_marks: Callable[..., Server]) -> None:
    server = serve_marks(MINISTRAL)
    choice = ask(server, tool_choice="required", seed=1, logit_bias={ord("H"): -100})
    check_call(choice)
    assert "".join(tokens_of(choice)).strip().startswith("[TOOL_CALLS]look[ARGS]") and "[" in tokens_of(choice)


def test_thoughts_before_a_demanded_call_are_closed_by_their_token(serve_marks: Callable[..., Server]) -> None:
    server = serve_marks(MINISTRAL, "[THINK]", "[/THINK]", "[TOOL_CALLS]", "[ARGS]")
    choice = ask(server, tool_choice="required", seed=1, logit_bias={FIRST_MARK: 100}, reasoning_budget=4)
    check_call(choice)
    tokens = tokens_of(choice)
    assert tokens[0] == "[THINK]" and 5 <= tokens.index("[/THINK]") <= 8 and tokens.count("[TOOL_CALLS]") == 1, tokens


def test_channels_are_masked_from_a_function_as_recipient_on(serve_marks: Callable[..., Server]) -> None:
    server = serve_marks(GPT_OSS, "<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|constrain|>")
    choice = ask(server, tool_choice="required", seed=1, logit_bias={FIRST_MARK + 2: -100, FIRST_MARK + 3: 100})
    check_call(choice)
    assert "".join(tokens_of(choice)).startswith(" to=functions.look<|channel|>"), "behind the header that the prompt has begun"
    assert {"<|channel|>", "<|message|>"} <= set(tokens_of(choice))
    free = ask(server, seed=1, logit_bias={FIRST_MARK + 2: 100}, max_tokens=4)
    assert free["finish_reason"] == "length" and set(tokens_of(free)) == {"<|channel|>"}, "nothing holds before a recipient"


# As Llama 3 does it.
BARE_JSON = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.tool_calls %}{% for t in m.tool_calls %}{\"name\": \"{{ t.function.name }}\", \"parameters\": {{ t.function.arguments | tojson }}}{% endfor %}"
    "{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if tools %}{{ tools | tojson }}\n{% endif %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_bare_objects_are_masked_from_the_name_of_a_tool_on(serve: Callable[..., Server]) -> None:
    server = serve("-c", 2048, "--chat-template", BARE_JSON)
    messages: list[dict] = []
    for number, place in enumerate(("sea", "sky", "sea")):
        call = {"id": f"c{number}", "type": "function", "function": {"name": "look", "arguments": json.dumps({"at": place, "weeks": number})}}
        messages += [{"role": "user", "content": f"Look at the {place}."}, {"role": "assistant", "content": "", "tool_calls": [call]},
                     {"role": "tool", "tool_call_id": f"c{number}", "content": "clear"}]
    messages.append({"role": "user", "content": "Look at the sea."})
    choice = ask(server, messages=messages, temperature=0, return_raw=True)
    assert choice["raw_text"].startswith('{"name": "look"'), choice
    check_call(choice)


QWEN_CODER = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if tools %}{% for t in tools %}{{ t.function.name }}\n{% endfor %}{% endif %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    "{# <tool_call>\n<function=f>\n<parameter=a> #}"
)
HARVEST = {
    "type": "function",
    "function": {"name": "harvest", "strict": True, "parameters": {
        "type": "object",
        "properties": {
            "field": {"type": "string", "enum": ["north", "a \"b\""]},
            "code": {"type": "string", "pattern": "^[a-z]{2,4}$"},
            "days": {"type": "integer", "minimum": 1, "maximum": 9},
            "when": {"type": "object", "properties": {"hour": {"type": "integer", "minimum": 0, "maximum": 23}}, "required": ["hour"], "additionalProperties": False},
            "note": {"type": "string", "maxLength": 12},
        },
        "required": ["field", "code", "days", "when", "note"], "additionalProperties": False}},
}


def test_arguments_that_are_written_one_by_one_keep_their_schemas(serve: Callable[..., Server]) -> None:
    server = serve("-c", 1024, "--chat-template", QWEN_CODER)
    choice = ask(server, tools=[HARVEST], tool_choice="required", seed=1, return_raw=True)
    assert choice["finish_reason"] == "tool_calls", choice
    arguments = json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"])
    assert arguments["field"] in ("north", 'a "b"') and 2 <= len(arguments["code"]) <= 4 and arguments["code"].isalpha()
    assert 1 <= arguments["days"] <= 9 and set(arguments["when"]) == {"hour"} and 0 <= arguments["when"]["hour"] <= 23
    assert len(arguments["note"]) <= 12 and "<parameter=field>\n" in choice["raw_text"]
    tool = json.loads(json.dumps(HARVEST))
    tool["function"]["parameters"]["properties"]["code"]["pattern"] = "^.{2}$"
    body = {"messages": ASK, "tools": [tool], "tool_choice": "required", "max_tokens": 4}
    refused = requests.post(server.url + "/v1/chat/completions", json=body, timeout=60)
    assert refused.status_code == 400 and "/properties/code: 'pattern'" in refused.json()["error"]["message"], refused.text
    tool["function"]["strict"] = False
    relaxed = requests.post(server.url + "/v1/chat/completions", json=body, timeout=60)
    assert relaxed.status_code == 200 and relaxed.headers["X-cLLM-Relaxed-Schema"] == "tools[0].function.parameters/properties/code", relaxed.headers
