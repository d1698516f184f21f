"""What the tests of pulls and of models by name share: a server in the place of Hugging Face, and empty folders."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Program
from gguf_writer import F32, Gguf, Tensor
from hub_server import HubServer

END_TIMEOUT_S = 60.0
BODY = Gguf(tensors=[Tensor("t", [99_968], F32, random.Random(1).randbytes(4 * 99_968))]).bytes()  # 390.6 KiB
SUM = hashlib.sha256(BODY).hexdigest()
PATH = "/files/model.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A server, and an environment in which it is Hugging Face and all folders are new."""
    server = HubServer()
    for name in ("HF_TOKEN", "http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield server
    server.close()


@pytest.fixture
def second(hub: HubServer) -> Iterator[HubServer]:
    server = HubServer()
    yield server
    server.close()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "cache/cllm/models"


Pull = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def pull(program: Program, hub: HubServer) -> Pull:
    """pull(what, options): runs `cllm pull` to its end, without waits between tries."""
    return lambda *arguments: program.run("pull", "--retry-delay", 0, *arguments)


def start(program: Program, *arguments: object) -> subprocess.Popen[str]:
    """Does not wait. SIGINT is as it is for what a user starts, also where the tests themselves run in the background."""
    return subprocess.Popen([str(program.path), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def check_pulled(result: subprocess.CompletedProcess[str], body: bytes = BODY) -> Path:
    """The path is all of standard output, the file is whole and nothing else of the pull is left."""
    assert result.returncode == 0, result.stderr
    file = Path(result.stdout.removesuffix("\n"))
    assert file.read_bytes() == body
    assert {path.name for path in file.parent.iterdir()} == {file.name, file.name + ".origin"}
    return file


def check_failed(result: subprocess.CompletedProcess[str], *marks: str, code: int = 1) -> None:
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    error = result.stderr.splitlines()[-1]
    assert error.startswith("cllm: ")
    for mark in marks:
        assert mark in error, error


def parts(models: Path) -> list[Path]:
    return sorted(models.rglob("*.part"))


def part_size(models: Path) -> int:
    return sum(path.stat().st_size for path in parts(models))
