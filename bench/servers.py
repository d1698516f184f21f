"""What the comparisons share: servers that are started on a free port and stopped, their figures, unique prompts."""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

START_TIMEOUT_S = 120
CACHES_OFF = "--no-cache-prompt --cache-ram 0"  # llama-server's
Command = list[str]


def cores() -> str:
    return subprocess.run(["nproc"], capture_output=True, text=True, check=True).stdout.strip()


def cllm_command(program: str, model: str, places: int, context: int, threads: str, *flags: str) -> Command:
    return [program, "serve", model, "--host", "127.0.0.1", "-np", str(places), "-c", str(context), "-t", threads, *flags]


def llama_server_command(program: str, model: str, places: int, context: int, threads: str, flags: str) -> Command:
    return [program, "-m", model, "--host", "127.0.0.1", "-np", str(places), "-c", str(context * places), "-t", threads,
            "--log-disable", *shlex.split(flags)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def batched_bench(tools: str, model: str, streams: list[int], prompt: int, generate: int, threads: str, *flags: str) -> list[list[float]]:
    """The rows of llama-batched-bench, its columns as it prints them: PP, TG, B, N_KV, T_PP, S_PP, T_TG, S_TG, T, S."""
    command = [str(Path(tools) / "llama-batched-bench"), "-m", model, "-c", str(max(streams) * (prompt + generate + 256)),
               "-npp", str(prompt), "-ntg", str(generate), "-npl", ",".join(map(str, streams)), "-t", threads, "-tb", threads,
               "-b", "512", *flags]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in output.splitlines()]
    figures = [list(map(float, row)) for row in rows if len(row) == 10 and row[0].isdigit()]
    if len(figures) != len(streams):
        sys.exit("llama-batched-bench printed no table")
    return figures


@contextlib.contextmanager
def running(name: str, command: Command) -> Iterator[str]:
    """Starts the server and yields its URL once it is healthy."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with started(name, command, port, url):
        yield url


@contextlib.contextmanager
def started(name: str, command: Command, port: int, url: str, certificate: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Starts the server on the port and yields its process once it is healthy. `certificate` is a file with that of an https URL."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while True:
                with contextlib.suppress(requests.ConnectionError):
                    if requests.get(url + "/health", timeout=5, verify=certificate).status_code == 200:
                        break
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    sys.exit(f"{name} did not start:\n{log.read().decode(errors='replace')[-2000:]}")
                time.sleep(0.1)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


def detail(url: str) -> dict[str, Any]:
    """cLLM's own figures: the data of its detailed health."""
    return requests.get(url + "/health?level=detailed", timeout=30).json()["data"]


def tokens_of(length: int, salt: int) -> list[int]:
    """Token ids that no other prompt begins with; none is special in the models that are used here."""
    return [1000 + (salt * 7919 + i * (31 + salt)) % 20000 for i in range(length)]
