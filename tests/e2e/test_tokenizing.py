"""Texts that ended the process or kept a worker for minutes with llama.cpp's pre-tokenizers as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Program, Server
from gguf_writer import tiny_bpe_llama

# These go through std::regex in llama.cpp, which calls itself for each character.
PRE_TOKENIZERS = ["deepseek-llm", "tekken", "gpt-4o", "superbpe"]
MIB = 1 << 20
TEXTS = {"letters": "a", "digits": "7", "spaces": " ", "new lines": "\n", "marks": "!", "Chinese": "中", "words": "the ",
         "control tokens": "<|im_end|>"}


@pytest.fixture(scope="module", params=PRE_TOKENIZERS)
def bpe_server(request: pytest.FixtureRequest, program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("bpe") / f"{request.param}.gguf"
    path.write_bytes(tiny_bpe_llama(request.param).bytes())
    before = len(program.servers)
    yield program.launch(path, "--host", "127.0.0.1", "--port", 0, "-c", 256).wait_ready()
    program.stop_since(before)


@pytest.mark.parametrize("text", TEXTS)
def test_a_long_text_gets_its_tokens(bpe_server: Server, text: str) -> None:
    content = TEXTS[text] * (30_000 // len(TEXTS[text]))
    response = bpe_server.post("/tokenize", {"content": content})
    assert response.status_code == 200, response.text
    tokens = response.json()["tokens"]
    assert tokens
    assert bpe_server.post("/detokenize", {"tokens": tokens}).json()["content"] == content


def test_a_mebibyte_gets_its_tokens(bpe_server: Server) -> None:
    assert bpe_server.post("/tokenize", {"content": "ab1 中" * (MIB // 7)}).status_code == 200


def test_a_prompt_that_cannot_fit_is_refused(bpe_server: Server) -> None:
    text = "a" * 30_000
    for path, body in {"/v1/completions": {"prompt": text}, "/v1/chat/completions": {"messages": [{"role": "user", "content": text}]},
                       "/generate": {"prompt": text}}.items():
        response = bpe_server.post(path, body)
        assert response.status_code == 400, response.text
        assert "context" in response.text
    assert bpe_server.get("/health").status_code == 200
