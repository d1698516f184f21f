"""The same request has the same bytes, whatever is computed beside it, by however many threads, and whether its prefix is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from clients import in_parallel
from conftest import Program, Server

STORY = " ".join(f"Day {n}: the ship sailed on, and nobody knew where the wind would carry it." for n in range(1, 20))
REQUESTS = [
    {"prompt": "The capital of France is", "max_tokens": 24, "temperature": 0, "logprobs": 5},
    {"prompt": "Once upon a time", "max_tokens": 24, "temperature": 0.9, "seed": 11, "logprobs": 5},
    {"prompt": STORY, "max_tokens": 16, "temperature": 0, "logprobs": 5},
]
FLAGS = ("--max-context-length", 1024, "--request-timeout", 300)


def answer(server: Server, body: dict[str, Any]) -> Any:
    """Text and log-probabilities, every digit of them."""
    return server.post("/v1/completions", {**body, "ignore_eos": True}).json()["choices"]


@pytest.fixture(scope="module")
def alone(program: Program) -> list[Any]:
    """Each request by itself, on one thread, nothing kept between them."""
    before = len(program.servers)
    server = program.serve(*FLAGS, "--no-prefix", "-t", 1)
    answers = [answer(server, body) for body in REQUESTS]
    program.stop_since(before)
    return answers


@pytest.mark.parametrize("flags", [("--no-prefix",), ()], ids=["no-prefix-cache", "prefix-cache"])
def test_beside_others(serve: Callable[..., Server], alone: list[Any], flags: tuple[str, ...]) -> None:
    server = serve(*FLAGS, *flags)
    others = [{"prompt": f"{n} " + "word " * (5 * n), "max_tokens": 10 + n, "temperature": 0.7, "seed": n} for n in range(1, 14)]
    for _ in range(3):
        together = in_parallel(lambda body: answer(server, body), [*REQUESTS, *others])
        assert together[: len(REQUESTS)] == alone


def test_a_known_prefix_changes_nothing(serve: Callable[..., Server], alone: list[Any]) -> None:
    server = serve(*FLAGS)
    for _ in range(3):
        assert [answer(server, body) for body in REQUESTS] == alone
    assert server.health()["engine"]["cached_prompt_tokens"] > 0


def test_a_prefix_that_many_share_is_read_where_it_was_computed(serve: Callable[..., Server], program: Program) -> None:
    """Copies outlive their origin, and slots go to others in between."""
    bodies = [{"prompt": f"{STORY} On day {n} of the voyage to port {n % 3}" if n % 4 else f"{n} {STORY}", "max_tokens": 4 + 7 * n % 40,
               "temperature": 0, "logprobs": 5} for n in range(14)]
    before = len(program.servers)
    plain = program.serve(*FLAGS, "--no-prefix")
    expected = [answer(plain, body) for body in bodies]
    program.stop_since(before)
    server = serve(*FLAGS, "--n-seq-max", 5)
    for _ in range(2):
        assert in_parallel(lambda body: answer(server, body), bodies) == expected
    assert server.health()["engine"]["cached_prompt_tokens"] > 12 * 256
