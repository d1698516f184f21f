"""Streams that wait for their first token say that they are alive; what fails after that is an error event."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import requests
from clients import ANSWER_TIMEOUT_S, Json
from conftest import Server

LONG = {"prompt": "Count:", "max_tokens": 4000, "ignore_eos": True}
ASK = [{"role": "user", "content": "hi"}]


@pytest.fixture
def busy(serve: Callable[..., Server]) -> Iterator[Server]:
    """A server whose only place is taken."""
    server = serve("-np", 1, "--max-context-length", 4096, "--keep-alive-ms", 500)
    with server.open_stream(**LONG) as stream:
        frames = iter(stream)
        next(frames)
        yield server


def lines_of(server: Server, path: str, body: Json) -> tuple[requests.Response, Iterator[str]]:
    response = requests.post(server.url + path, json={"stream": True, **body}, stream=True, timeout=ANSWER_TIMEOUT_S)
    return response, response.iter_lines(decode_unicode=True)


@pytest.mark.parametrize(("path", "word"), [
    ("/v1/chat/completions", ": waiting"),
    ("/v1/messages", "event: ping"),
])
def test_a_stream_that_waits_says_so(busy: Server, path: str, word: str) -> None:
    response, lines = lines_of(busy, path, {"messages": ASK, "max_tokens": 2, "timeout": 3})
    with response:
        assert response.status_code == 200 and response.headers["content-type"].startswith("text/event-stream")
        read = list(lines)
    assert read[0] == word and read.count(word) > 2
    # Its deadline passed while it waited: by then it had begun.
    last = [json.loads(line[6:]) for line in read if line.startswith("data: ")][-1]
    assert last["error"]["type"] == "timeout_error"


def test_what_fails_at_once_keeps_its_status(busy: Server) -> None:
    response, lines = lines_of(busy, "/v1/chat/completions", {"messages": ASK, "max_tokens": 2, "timeout": 0.01})
    with response:
        assert response.status_code == 408, list(lines)


def test_whole_answers_are_left_alone(busy: Server) -> None:
    answer = busy.post("/v1/chat/completions", {"messages": ASK, "max_tokens": 2, "timeout": 0.5})
    assert answer.status_code == 408 and answer.json()["error"]["type"] == "timeout_error"
