"""Thoughts that are closed after so many tokens, whoever opened them, in free answers and in constrained ones."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import requests
from conftest import Server

TURNS = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.reasoning_content %}{{ '<think>\n' + m.reasoning_content + '\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}"
)
OPENED = TURNS + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
BY_THE_MODEL = TURNS + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
# After which a model opens thoughts itself.
THOUGHT_BEFORE = [
    message
    for city in ("Rome", "Oslo", "Lima")
    for message in (
        {"role": "user", "content": f"What is the weather in {city}?"},
        {"role": "assistant", "content": "Clear.", "reasoning_content": f"The user asks for the weather in {city}. I know that it is clear there, so I say it."},
    )
] + ASK


@pytest.fixture
def thinker(serve: Callable[..., Server]) -> Server:
    return serve("-c", 1024, "--chat-template", OPENED)


def answer(server: Server, **fields) -> tuple[dict, int]:
    """The choice, and how many tokens of it are thoughts."""
    response = requests.post(server.url + "/v1/chat/completions", json={"messages": ASK, "max_tokens": 40, "temperature": 0, "return_raw": True, **fields}, timeout=120)
    assert response.status_code == 200, response.text
    body = response.json()
    return body["choices"][0], body["usage"]["completion_tokens_details"]["reasoning_tokens"]


def test_thoughts_end_with_their_budget(thinker: Server) -> None:
    free, free_tokens = answer(thinker)
    assert free_tokens == 40, "this model goes on and on"
    for name in ("reasoning_budget", "thinking_token_budget"):
        choice, tokens = answer(thinker, **{name: 7})
        assert 7 <= tokens <= 12, "with what closes them"
        assert choice["message"]["content"].strip(), choice
        assert free["message"]["reasoning_content"].strip().startswith(choice["message"]["reasoning_content"].strip())
        assert choice["raw_text"].count("</think>") == 1
    assert answer(thinker, reasoning_budget=-1)[0]["message"] == free["message"]


def test_no_budget_is_no_thoughts(thinker: Server) -> None:
    choice, _ = answer(thinker, reasoning_budget=0)
    assert choice["raw_text"].startswith("</think>") and choice["message"]["content"].strip()
    assert not choice["message"].get("reasoning_content")


def test_what_is_behind_thoughts_still_keeps_its_schema(thinker: Server) -> None:
    schema = {"type": "object", "properties": {"sky": {"enum": ["clear", "grey"]}}, "required": ["sky"]}
    fields = {"response_format": {"type": "json_schema", "json_schema": {"name": "sky", "schema": schema}}, "max_tokens": 100}
    for budget in (0, 5, 20):
        for seed in range(3):
            choice, tokens = answer(thinker, reasoning_budget=budget, temperature=1, seed=seed, **fields)
            assert choice["finish_reason"] == "stop", choice
            assert json.loads(choice["message"]["content"])["sky"] in ("clear", "grey")
            assert tokens <= budget + 5


def test_a_budget_is_the_same_with_log_probabilities_and_in_streams(thinker: Server) -> None:
    plain, tokens = answer(thinker, reasoning_budget=6)
    with_logprobs, other = answer(thinker, reasoning_budget=6, logprobs=True)
    assert (with_logprobs["message"], other) == (plain["message"], tokens)
    body = {"messages": ASK, "max_tokens": 40, "temperature": 0, "reasoning_budget": 6, "stream": True}
    lines = requests.post(thinker.url + "/v1/chat/completions", json=body, timeout=120).text.splitlines()
    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in lines if line.startswith("data: {")]
    assert "".join(delta.get("content") or "" for delta in deltas) == plain["message"]["content"]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == plain["message"]["reasoning_content"]


def test_thoughts_that_the_model_opens_are_counted_from_there(serve: Callable[..., Server]) -> None:
    server = serve("-c", 1024, "--chat-template", BY_THE_MODEL)
    choice, _ = answer(server, messages=THOUGHT_BEFORE, max_tokens=60, reasoning_budget=4)
    assert choice["raw_text"].startswith("<think>"), choice
    before, _, after = choice["raw_text"].partition("</think>")
    assert len(before) < 40 and after.strip(), choice
    assert choice["message"]["reasoning_content"].strip() == before.removeprefix("<think>").strip()


def test_a_model_without_thoughts_has_no_use_for_a_budget(server: Server) -> None:
    assert answer(server, reasoning_budget=0)[0]["message"] == answer(server)[0]["message"]


def test_wrong_budgets_are_named(server: Server) -> None:
    for name in ("reasoning_budget", "thinking_token_budget"):
        response = requests.post(server.url + "/v1/chat/completions", json={"messages": ASK, name: "many"}, timeout=30)
        assert response.status_code == 400 and response.json()["error"]["param"] == name, response.text
