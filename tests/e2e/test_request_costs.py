"""What one client's request may cost: memory, time and places are bounded before the work is done, and end with the request."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from clients import RawClient, wait_until
from conftest import Program, Server

MIB = 1 << 20
FREED_S = 60.0


@pytest.fixture(scope="module")
def narrow(program: Program, shared_server: Server) -> Iterator[Server]:
    """Few MiB for all requests together, one event loop, and a short queue."""
    before = len(program.servers)
    yield program.serve("-c", 512, "--max-memory-mb", 32, "--num-threads", 1, "--max-queue-size", 4, "-np", 2)
    program.stop_since(before)


# 16 MiB or what the reader allows of it: all that JSON can be made of.
SHAPES = {
    "elements": '{"prompt": [' + ",".join(["{}"] * 1_000_000) + "]}",
    "too many elements": '{"prompt": [' + ",".join(["{}"] * 2_000_000) + "]}",
    "keys": "{" + ",".join(f'"{i}": 0' for i in range(100_000)) + "}",
    "objects of keys": '{"prompt": [' + ",".join(["{" + ",".join(f'"{i}": 0' for i in range(2000)) + "}"] * 400) + "]}",
    "numbers": '{"prompt": [' + ",".join(["-1.5e-30"] * 900_000) + "]}",
    "nested": '{"prompt": ' + "[" * 8_000_000,
    "text": '{"prompt": "' + "x" * (15 * MIB) + '"}',
    "escapes": '{"prompt": "' + "\\u4e2d" * (2 * MIB) + '"}',
    "blanks": '{"prompt": "x", "max_tokens": 1' + " " * (15 * MIB) + "}",
    "unknown fields": "{" + ",".join(f'"unknown {i}": 0' for i in range(2000)) + "}",
    "messages": '{"messages": [' + ",".join(['{"role": "user", "content": "a", "who": 1}'] * 200_000) + "]}",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("path", ["/generate", "/v1/chat/completions", "/tokenize"])
def test_a_long_body_of_any_shape_is_answered(narrow: Server, shape: str, path: str) -> None:
    response = narrow.post_bytes(path, SHAPES[shape].encode())
    # Of a text that is read the tokens may need more memory than there is.
    expected = (200, 400, 503) if path == "/tokenize" else (200, 400)
    assert response.status_code in expected, response.text[:200]
    assert len(response.content) < 1000
    narrow.wait_idle()


def test_a_chat_of_ten_thousand_messages_is_read(narrow: Server) -> None:
    messages = [{"role": "user" if i % 2 == 0 else "assistant", "content": "a", "name": "n"} for i in range(9_999)]
    response = narrow.post("/v1/chat/completions", {"messages": messages})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "context_length_exceeded", "which is what is wrong with it"


def test_stop_strings_are_bounded(narrow: Server) -> None:
    assert narrow.post("/generate", {"prompt": "a", "max_tokens": 1, "stop": ["=" * 1024] * 16}).status_code == 200
    for stop in ["=" * 1025, ["="] * 17]:
        response = narrow.post("/generate", {"prompt": "a", "stop": stop})
        assert response.status_code == 400
        assert response.json()["error"]["message"].startswith("stop must be a string of at most 1024 bytes, or an array of at most 16")


def half_of_a_body(client: RawClient, size: int) -> None:
    """Sends all of a body but its last byte."""
    client.send(f"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode() + b" " * (size - 1))


def test_bodies_together_hold_no_more_than_they_may(narrow: Server) -> None:
    clients = [RawClient(narrow.port) for _ in range(4)]
    try:
        for client in clients[:3]:
            half_of_a_body(client, 8 * MIB)  # a buffer that grows may have twice as much
        half_of_a_body(clients[3], 8 * MIB)
        refused = clients[3].read_response()
        assert refused.status == 429
        assert "http.max_memory_mb" in json.loads(refused.body)["error"]["message"]
        assert refused.headers["retry-after"] == "1"
        assert narrow.generate(prompt="a", max_tokens=1)["generated_tokens"] == 1, "a short request holds nothing"
    finally:
        for client in clients:
            client.close()
    long = {"prompt": "a", "max_tokens": 1, "user": "x" * (8 * MIB)}
    wait_until(lambda: narrow.post("/v1/completions", long).status_code == 200, FREED_S, "room again")


def test_many_answers_share_what_they_have_in_common(narrow: Server) -> None:
    prompt = "word " * 100
    body = {"prompt": prompt, "max_tokens": 1, "n": 6, "stop": ["=" * 1000] * 16, "user": "x" * (4 * MIB)}
    assert len(narrow.post("/v1/completions", body).json()["choices"]) == 6


def test_tokens_of_a_long_text_come_as_the_client_takes_them(narrow: Server) -> None:
    text = "a b c d " * (MIB // 8)
    with RawClient(narrow.port, receive_buffer=4096) as client:
        client.post("/tokenize", {"content": text, "with_pieces": True})
        response = client.read_response()
    assert response.status == 200
    assert "".join(token["piece"] for token in json.loads(response.body)["tokens"]) == text


def test_an_answer_that_finds_no_memory_is_an_error(narrow: Server) -> None:
    response = narrow.post("/tokenize", {"content": "a b c d " * MIB, "with_pieces": True})
    assert response.status_code == 503
    assert "http.max_memory_mb" in response.json()["error"]["message"]
    assert narrow.tokens("a")


def test_who_leaves_ends_the_work(narrow: Server) -> None:
    clients = [RawClient(narrow.port) for _ in range(3)]
    for client in clients:
        client.post("/tokenize", {"content": "ab1 中" * MIB})
    wait_until(lambda: narrow.queue()["open"] > 0, FREED_S, "work")
    for client in clients:
        client.close()
    wait_until(lambda: narrow.queue()["open"] == 0, FREED_S, "no work")


def test_work_counts_against_the_queue(narrow: Server) -> None:
    clients = [RawClient(narrow.port) for _ in range(12)]
    for client in clients:
        client.post("/tokenize", {"content": "ab1 中" * MIB})
    refused = [client for client in clients if client.socket.recv(12)[9:12] == b"429"]
    assert refused, "two run, four wait"
    for client in clients:
        client.close()
    wait_until(lambda: narrow.queue()["open"] == 0, FREED_S, "no work")
