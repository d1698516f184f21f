"""Clients that leave or stop reading: their place is freed, nobody else notices; and frames come without delay."""

from __future__ import annotations

import itertools
import socket
import statistics
import time
from collections.abc import Callable, Iterator

import pytest
from clients import RawClient, wait_until
from conftest import Server

STORY = "Once upon a time"
LONG = {"prompt": STORY, "max_tokens": 1900, "ignore_eos": True}
PATHS = ["/generate", "/generate_stream", "/v1/completions", "/v1/chat/completions"]
FREED_S = 30.0


@pytest.fixture(scope="module")
def small_server(program, shared_server) -> Iterator[Server]:
    """One sequence at a time, small prompt chunks."""
    before = len(program.servers)
    yield program.serve("-c", 2048, "-np", 1, "-b", 64)
    program.stop_since(before)


@pytest.fixture
def small(small_server: Server) -> Iterator[Server]:
    """Idle when a test begins; afterwards no long answer may have been computed to its end for somebody who left."""
    small_server.wait_idle()
    before = small_server.health()["engine"]["generated_tokens"]
    yield small_server
    assert small_server.health()["engine"]["generated_tokens"] - before < LONG["max_tokens"]


def body_of(path: str, **fields: object) -> dict:
    body = {**LONG, **fields}
    if path == "/v1/chat/completions":
        body["messages"] = [{"role": "user", "content": body.pop("prompt")}]
    return body


@pytest.mark.parametrize("path", PATHS)
def test_while_running(small: Server, path: str) -> None:
    with RawClient(small.port) as client:
        client.post(path, body_of(path))
        wait_until(lambda: small.queue()["running"] == 1 and small.health()["kv"]["tokens"] > 20, 60, "some answer tokens")
    wait_until(small.is_idle, FREED_S, "the place to be free")
    assert small.health()["kv"]["tokens"] == 0


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_in_the_middle_of_an_openai_stream(small: Server, path: str) -> None:
    with small.open_stream(path, **body_of(path, stream=True)) as stream:
        frames = iter(stream)
        assert all(next(frames)["choices"] for _ in range(4))
    wait_until(small.is_idle, FREED_S, "the place to be free")


def test_in_the_middle_of_a_stream_on_a_closing_connection(small: Server) -> None:
    with RawClient(small.port) as client:
        client.post("/generate_stream", LONG, version="1.0")
        client.read_until(b'"token"')
    wait_until(small.is_idle, FREED_S, "the place to be free")


def test_in_prefill(small: Server) -> None:
    prompt = "word " * 1500
    before = small.health()["engine"]
    with RawClient(small.port) as client:
        client.post("/generate", {"prompt": prompt, "max_tokens": 10})
        wait_until(lambda: small.health()["kv"]["tokens"] >= 64, 60, "the first chunk of the prompt")
        client.reset()
    wait_until(small.is_idle, FREED_S, "the place to be free")
    after = small.health()["engine"]
    assert after["prompt_tokens"] - before["prompt_tokens"] < 1500, "the whole prompt was computed: too late to see anything"
    assert after["generated_tokens"] == before["generated_tokens"]


@pytest.mark.parametrize("path", ["/generate", "/generate_stream"])
def test_while_queued(small: Server, path: str) -> None:
    with small.open_stream(**LONG) as running:
        frames = iter(running)
        next(frames)
        with RawClient(small.port) as client:
            client.post(path, LONG)
            wait_until(lambda: small.queue()["queued"] == 1, 10, "queued == 1")
        wait_until(lambda: [small.queue()[count] for count in ("queued", "running", "open")] == [0, 1, 1], FREED_S,
                   "the queue to be empty")
        assert next(frames)["done"] is False
    wait_until(small.is_idle, FREED_S, "the place to be free")


def test_right_after_the_request(small: Server) -> None:
    """The connection may be gone before the request is even prepared."""
    accepted = small.queue()["accepted"]
    for _ in range(20):
        with RawClient(small.port) as client:
            client.post("/generate", LONG)
    wait_until(lambda: small.queue()["accepted"] == accepted + 20 and small.is_idle(), FREED_S, "all to be free")
    assert small.generate(prompt=STORY, max_tokens=1)


def test_a_reset_frees_as_a_close_does(small: Server) -> None:
    with RawClient(small.port) as client:
        client.post("/generate", LONG)
        wait_until(lambda: small.queue()["running"] == 1, 10, "running == 1")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close sends RST
    wait_until(small.is_idle, FREED_S, "the place to be free")


def test_pipelined_requests_are_all_freed(server: Server) -> None:
    """A connection's requests run one after the other; those that wait in its buffer go with it."""
    accepted = server.queue()["accepted"]
    with RawClient(server.port) as client:
        for _ in range(3):
            client.post("/generate", {**LONG, "max_tokens": 400})
        wait_until(lambda: server.queue()["running"] == 1, 10, "running == 1")
    wait_until(server.is_idle, FREED_S, "the places to be free")
    assert server.queue()["accepted"] == accepted + 1


def test_closing_idle_connections_cancels_nothing(server: Server) -> None:
    with server.open_stream(prompt=STORY, max_tokens=30, ignore_eos=True) as stream:
        frames = iter(stream)
        next(frames)
        for _ in range(5):
            with RawClient(server.port) as client:
                client.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.read_response().status == 200
        assert list(frames)[-1]["generated_tokens"] == 30


def never_reads(server: Server, tokens: int) -> RawClient:
    client = RawClient(server.port, receive_buffer=2048)
    client.post("/v1/chat/completions", {
        "messages": [{"role": "user", "content": STORY}], "max_tokens": tokens, "ignore_eos": True, "stream": True,
        "logprobs": True, "top_logprobs": 20})  # 2 kB a token
    return client


def test_a_reader_that_stops_reading_hurts_nobody(server: Server) -> None:
    accepted = server.queue()["accepted"]
    with never_reads(server, 150):
        wait_until(lambda: server.queue()["accepted"] == accepted + 1, 10, "the request to be accepted")
        other = server.stream(prompt=STORY, max_tokens=100, ignore_eos=True)
        assert other.last["generated_tokens"] == 100
        server.wait_idle()  # the answer waits in buffers, its place is free


@pytest.mark.slow
def test_a_reader_that_never_reads_is_cut(serve: Callable[..., Server]) -> None:
    server = serve("-c", 8192, "--request-timeout", 600)
    with never_reads(server, 8000):
        wait_until(lambda: server.queue()["running"] == 1, 10, "running == 1")
        server.wait_idle(300)
    assert server.health()["engine"]["generated_tokens"] < 8000


@pytest.mark.parametrize("nodelay", [False, True])
def test_no_gaps_between_frames_beyond_the_step_time(server: Server, nodelay: bool) -> None:
    """Nagle's algorithm and delayed acknowledgements together would show as 40 ms."""
    before = server.health()["engine"]
    if nodelay:
        times = frame_times_with_nodelay(server)
    else:
        with server.open_stream(prompt=STORY, max_tokens=60, ignore_eos=True) as stream:
            assert list(stream)[-1]["done"]
            times = stream.times
    after = server.health()["engine"]
    step_s = (after["computing_s"] - before["computing_s"]) / (after["steps"] - before["steps"])
    gap_s = statistics.median(b - a for a, b in itertools.pairwise(times))
    print(f"median gap {gap_s * 1e3:.1f} ms, step {step_s * 1e3:.1f} ms")
    assert gap_s < step_s + 0.025


def frame_times_with_nodelay(server: Server) -> list[float]:
    times = []
    with RawClient(server.port) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.post("/generate_stream", {"prompt": STORY, "max_tokens": 60, "ignore_eos": True})
        client.read_until(b"\r\n\r\n")
        while b'"done":true' not in client.read_until(b"\n\n"):
            times.append(time.monotonic())
    return times
