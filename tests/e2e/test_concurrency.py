"""Many clients at once: they advance together, wait in line, time out, and hurt nobody."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from clients import Answer, in_parallel, wait_until
from conftest import Server

WORDS = ["river", "mountain", "teacher", "engine", "garden", "winter", "music", "bread", "letter", "ocean"]
TWIN_TOKENS = 6


def prompt_of(i: int) -> str:
    return f"The {WORDS[i % 10]} and the {WORDS[i // 10 % 10]}"


def test_five_streams_advance_together(server: Server) -> None:
    streams = [server.open_stream(prompt=prompt_of(i), max_tokens=150, ignore_eos=True) for i in range(5)]
    iterators = [iter(stream) for stream in streams]
    firsts = [next(iterator) for iterator in iterators]
    assert not any(frame["done"] for frame in firsts)
    assert server.queue()["running"] == 5  # each has begun, none has finished
    before = server.health()["engine"]
    answers = in_parallel(lambda i: Answer.of([firsts[i], *iterators[i]]), list(range(5)))
    after = server.health()["engine"]
    assert all(answer.last["generated_tokens"] == 150 for answer in answers)
    # One step serves several streams.
    steps = after["steps"] - before["steps"]
    assert after["generated_tokens"] - before["generated_tokens"] > 2.5 * steps


def request_of(i: int) -> dict:
    """Even ones are greedy, odd ones sampled with a seed of their own."""
    sampling = {"temperature": 0} if i % 2 == 0 else {"temperature": 0.8, "seed": i}
    return {"prompt": prompt_of(i), "max_tokens": TWIN_TOKENS, "ignore_eos": True, **sampling}


def test_a_hundred_streams_equal_their_unstreamed_twins(serve: Callable[..., Server]) -> None:
    # A hundred at eight a time last long under a sanitizer; none may be refused for that.
    server = serve("-c", 128, "-np", 8, "--request-timeout", 300)
    streamed = in_parallel(lambda i: server.stream(**request_of(i)), list(range(100)))
    whole = in_parallel(lambda i: server.generate(**request_of(i)), list(range(100)))
    assert all(answer.last["generated_tokens"] == TWIN_TOKENS for answer in streamed)
    for i, (stream, twin) in enumerate(zip(streamed, whole)):
        assert stream.last["prompt_tokens"] == twin["prompt_tokens"] == len(server.tokens(prompt_of(i)))
        assert stream.last["finish_reason"] == twin["finish_reason"] == "length"
    different = [i for i in range(100) if streamed[i].text != whole[i]["text"]]
    print(f"{len(different)} of 100 twins differ: {different}")
    assert not different
    queue = server.queue()
    assert queue["accepted"] == 200 and queue["refused"] == 0
    server.wait_idle()


def test_a_request_beyond_n_seq_max_waits_and_completes(serve: Callable[..., Server]) -> None:
    server = serve("-np", 1, "-c", 256)
    with server.open_stream(prompt=prompt_of(1), max_tokens=200, ignore_eos=True) as running:
        frames = iter(running)
        next(frames)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(server.generate, prompt=prompt_of(2), max_tokens=3, ignore_eos=True)
            wait_until(lambda: server.queue()["queued"] == 1, 10, "queued == 1")
            assert server.queue()["running"] == 1
            assert list(frames)[-1]["generated_tokens"] == 200
            assert waiting.result()["generated_tokens"] == 3


@pytest.mark.parametrize("path", ["/generate", "/generate_stream", "/v1/completions"])
def test_a_full_queue_refuses_with_retry_after(serve: Callable[..., Server], path: str) -> None:
    server = serve("--n-seq-max", 1, "--max-queue-size", 1)
    long = {"prompt": prompt_of(1), "max_tokens": 2000, "ignore_eos": True}
    with server.open_stream(**long) as running:
        frames = iter(running)  # kept: an iterator that dies closes its stream
        next(frames)
        with ThreadPoolExecutor() as pool:
            pool.submit(server.generate, prompt=prompt_of(2), max_tokens=1)
            wait_until(lambda: server.queue()["open"] == 2, 10, "open == 2")
            response = server.post(path, {"prompt": prompt_of(3), "max_tokens": 1})
            assert response.status_code == 429 and int(response.headers["retry-after"]) >= 1
            assert response.json()["error"]["code"] == "queue_full"
            assert server.queue()["refused"] == 1
            assert server.post_bytes(path, b"{").status_code == 429, "nothing is read that can't be let in"
            running.close()
    server.wait_idle()
    assert server.generate(prompt=prompt_of(4), max_tokens=1)


def test_the_deadline_ends_queued_running_and_streaming_requests(serve: Callable[..., Server]) -> None:
    server = serve("-np", 1, "-c", 4096, "--request-timeout", 1.5)
    long = {"prompt": prompt_of(1), "max_tokens": 4000, "ignore_eos": True}
    with server.open_stream(**long) as stream, ThreadPoolExecutor() as pool:
        frames = iter(stream)
        next(frames)
        queued = pool.submit(server.post, "/generate", {"prompt": prompt_of(2), "max_tokens": 4000, "timeout": 0.3})
        assert queued.result().status_code == 408
        assert queued.result().json()["error"]["code"] == "timed_out"
        last = list(frames)[-1]
        assert stream.ended_well
    assert last["done"] is True and last["error"]["code"] == "timed_out" and set(last) == {"id", "error", "done"}
    for path in ("/generate", "/v1/completions"):
        start = time.monotonic()
        response = server.post(path, long)
        assert response.status_code == 408 and response.json()["error"]["code"] == "timed_out"
        assert 1.0 < time.monotonic() - start < 15
    # A stream that had no text yet answers with the status itself.
    assert server.post("/generate_stream", {**long, "timeout": 0.001}).status_code == 408
    server.wait_idle()


def test_a_long_prompt_goes_in_chunks_beside_a_running_stream(serve: Callable[..., Server]) -> None:
    server = serve("-c", 1024, "-b", 32, "-np", 2)
    long_prompt = "word " * 400
    chunks = len(server.tokens(long_prompt)) // 32
    with server.open_stream(prompt=prompt_of(1), max_tokens=1000, ignore_eos=True) as stream, ThreadPoolExecutor() as pool:
        frames = iter(stream)
        next(frames)
        before = server.health()["engine"]
        prefill = pool.submit(server.generate, prompt=long_prompt, max_tokens=1, ignore_eos=True)
        seen = 0
        while not prefill.done():
            assert not next(frames)["done"], "the stream ended before the prompt was computed"
            seen += 1
        after = server.health()["engine"]
        assert prefill.result()["generated_tokens"] == 1
    # The stream gets a token at every step, and so at every chunk of the prompt. We may read them somewhat late.
    steps = after["steps"] - before["steps"]
    assert steps >= chunks and after["generated_tokens"] - before["generated_tokens"] >= steps
    assert seen >= chunks // 2


def test_health_answers_quickly_while_32_requests_run(serve: Callable[..., Server]) -> None:
    server = serve("--n-seq-max", 32, "--max-context-length", 256, "--request-timeout", 300)
    body = {"max_tokens": 200, "ignore_eos": True}
    streams = in_parallel(lambda i: server.open_stream(prompt=prompt_of(i), **body), list(range(32)))
    try:
        wait_until(lambda: server.queue()["running"] == 32, 30, "running == 32")
        times = []
        for _ in range(50):
            start = time.monotonic()
            assert server.get("/health").status_code == 200
            times.append(time.monotonic() - start)
        assert server.queue()["running"] == 32
    finally:
        for stream in streams:
            stream.close()
    print(f"/health: median {sorted(times)[25] * 1e3:.1f} ms, most {max(times) * 1e3:.1f} ms")
    assert max(times) < 0.1
    server.wait_idle()
