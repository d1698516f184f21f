"""Who comes first, who waits how long, and what ends an answer: through the real program."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from clients import wait_until
from conftest import Server

HOLD = {"prompt": "Once upon a time", "max_tokens": 1500, "temperature": 0, "ignore_eos": True}
SHORT = {"prompt": "Hello", "max_tokens": 2, "temperature": 0, "ignore_eos": True}


def queued(server: Server) -> int:
    return server.health()["queue"]["queued"]


@pytest.mark.parametrize("how", ["body", "header"])
def test_a_priority_overtakes(serve: Callable[..., Server], how: str) -> None:
    server = serve("--n-seq-max", 1)
    order: list[str] = []

    def ask(name: str, priority: int) -> None:
        body: dict[str, Any] = {**SHORT, "max_tokens": 40}  # so that no thread of ours can be late by a whole answer
        headers = {}
        if how == "body":
            body["priority"] = priority
        else:
            headers["X-cLLM-Priority"] = str(priority)
        assert server.post("/generate", body, headers=headers).status_code == 200
        order.append(name)
    with ThreadPoolExecutor(3) as pool, server.open_stream(**HOLD) as holder:
        frames = iter(holder)
        next(frames)
        for count, (name, priority) in enumerate([("first", 0), ("urgent", 90), ("patient", -90)], 1):
            pool.submit(ask, name, priority)
            wait_until(lambda: queued(server) == count, 20, f"{count} waiting")
        holder.close()
    assert order == ["urgent", "first", "patient"]


@pytest.mark.parametrize("value", ["high", "101", "1.5"])
def test_a_wrong_priority_header_is_named(server: Server, value: str) -> None:
    response = server.post("/generate", SHORT, headers={"X-cLLM-Priority": value})
    assert response.status_code == 400
    assert response.json()["error"]["field"] == "X-cLLM-Priority"


def test_a_queue_timeout_ends_what_waits_and_nothing_else(serve: Callable[..., Server]) -> None:
    server = serve("--n-seq-max", 1, "--queue-timeout", 1)
    with server.open_stream(**HOLD) as holder:
        frames = iter(holder)
        next(frames)
        response = server.post("/generate", SHORT)
        assert response.status_code == 408
        assert "scheduler.queue_timeout" in response.json()["error"]["message"]
        assert next(frames)["done"] is False


def test_who_would_end_too_late_is_told_when_to_come_back(serve: Callable[..., Server]) -> None:
    """Once the queue has been seen to move, a request whose time is shorter than the queue is refused at once."""
    server = serve("--n-seq-max", 1, "--request-timeout", 600)
    body = {**SHORT, "max_tokens": 60}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: server.generate(**body), range(8)))
        with server.open_stream(**HOLD) as holder:
            frames = iter(holder)
            next(frames)
            waiting = [pool.submit(server.generate, **body) for _ in range(3)]
            wait_until(lambda: queued(server) == 3, 20, "three waiting")
            response = server.post("/generate", {**SHORT, "timeout": 0.01})
            assert response.status_code == 429
            assert int(response.headers["retry-after"]) >= 1
            assert "this one may take 0.01 s" in response.json()["error"]["message"]
            holder.close()
        assert all(answer.result()["finish_reason"] for answer in waiting)


def test_restrictions_of_tokens(server: Server) -> None:
    allowed = server.tokens(" yes") + server.tokens(" no")
    text = server.generate(prompt="Is the sky blue?", max_tokens=5, temperature=0, allowed_token_ids=allowed)["text"]
    assert set(text.split()) <= {"yes", "no"} and text
    usual = server.generate(**{**SHORT, "max_tokens": 1})["text"]
    banned = server.tokens(usual)
    assert server.generate(**{**SHORT, "max_tokens": 1}, banned_token_ids=banned)["text"] != usual


def test_min_tokens_and_stop_tokens(server: Server) -> None:
    plain = server.generate(**{**SHORT, "max_tokens": 12})
    stop = server.tokens(plain["text"])[1]
    stopped = server.generate(**{**SHORT, "max_tokens": 12}, stop_token_ids=[stop])
    assert stopped["finish_reason"] == "stop" and stopped["generated_tokens"] == 1
    later = server.generate(**{**SHORT, "max_tokens": 12}, stop_token_ids=[stop], min_tokens=6)
    assert later["generated_tokens"] >= 6
