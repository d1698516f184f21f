"""Compute threads follow the machine: busy processes come and go beside the server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from clients import wait_until
from conftest import Server

pytestmark = pytest.mark.alone

BUSY = [sys.executable, "-c", "while True: pass"]
# Far more than it takes: other programs may run on the same cores.
TIMEOUT_S = 180
LOOK_S = 0.2
QUESTION = {"prompt": "Once upon a time", "max_tokens": 60, "temperature": 0, "ignore_eos": True}


def threads(server: Server) -> int:
    lines = server.get("/metrics").text.splitlines()
    return int(float(next(line for line in lines if line.startswith("cllm_engine_threads ")).split()[1]))


def wait_for_threads(server: Server, holds: Callable[[int], bool], what: str) -> None:
    def looked() -> bool:
        time.sleep(LOOK_S)  # a look costs time of the cores
        return holds(threads(server))
    wait_until(looked, TIMEOUT_S, what)


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    processes = [subprocess.Popen(BUSY) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def asked_without_pause(server: Server, answers: list[str]) -> Iterator[None]:
    """A client that asks the same question again and again, and keeps the answers."""
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answers.append(server.generate(**QUESTION)["text"])

    client = threading.Thread(target=ask)
    client.start()
    try:
        yield
    finally:
        ended.set()
        client.join()


def test_threads_give_way_and_come_back_and_no_byte_changes(serve: Callable[..., Server]) -> None:
    server = serve("--no-prefix")
    cores = len(os.sched_getaffinity(0))
    if cores < 2 or " of at most 1 threads" in server.log or "threads compute" not in server.log:
        pytest.skip("needs two cores, and a model that computes on them")
    first = server.generate(**QUESTION)["text"]
    answers: list[str] = []
    with asked_without_pause(server, answers):
        # Where something else is busy all the time this never comes true.
        wait_for_threads(server, lambda count: count == cores, "all threads")
        with busy_processes(2 * cores):
            wait_for_threads(server, lambda count: count < cores, "fewer threads beside busy processes")
        wait_for_threads(server, lambda count: count == cores, "all threads once they are gone")
    assert set(answers) == {first}
    assert server.health()["engine"]["threads"] == cores


def test_threads_that_are_set_stay(serve: Callable[..., Server]) -> None:
    server = serve("-t", 1)
    server.generate(**QUESTION)
    assert threads(server) == server.health()["engine"]["threads"] == 1
    assert "threads compute" not in server.log
