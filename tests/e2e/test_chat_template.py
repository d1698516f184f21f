"""Chat prompts become the tokens that llama-server made of them; recorded by bench/compare_chat_tokens.py."""

import json
from pathlib import Path

import pytest

from conftest import Server

RECORDED = json.loads((Path(__file__).parent / "data/smollm2_chat_tokens.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", RECORDED)
def test_prompts_have_llama_servers_tokens(server: Server, name: str) -> None:
    recorded = RECORDED[name]
    prompt = server.post("/apply-template", {"messages": recorded["messages"]}).json()["prompt"]
    assert prompt == recorded["prompt"]
    tokens = server.post("/tokenize", {"content": prompt, "add_special": True}).json()["tokens"]
    assert tokens == recorded["tokens"]
    answer = server.post("/v1/chat/completions", {"messages": recorded["messages"], "max_tokens": 1}).json()
    assert answer["usage"]["prompt_tokens"] == len(tokens)
