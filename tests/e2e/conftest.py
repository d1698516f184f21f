"""Starts the real program for the tests, on a free port, and shows its log where a test fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from clients import ANSWER_TIMEOUT_S, Answer, Json, Stream, wait_until

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 180.0
END_TIMEOUT_S = 60.0
SHOWN_LOG_LINES = 40
# How the reports of the sanitizers begin, where the program was built with one.
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")


class Server:
    """The running program."""

    def __init__(self, command: list[str], cwd: Path) -> None:
        self.command = command
        self._log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, cwd=cwd, stdout=self._log, stderr=self._log)

    @property
    def log(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode("utf-8", errors="replace")

    @property
    def port(self) -> int:
        """Waits until the log names it, which is when the model is loaded."""
        def logged() -> re.Match[str] | None:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log}"
            return re.search(r"serving on http://[^ ]*:(\d+) ", self.log)
        return int(wait_until(logged, START_TIMEOUT_S, "'serving on' in the log")[1])

    def wait_ready(self) -> Server:
        self.url = f"http://127.0.0.1:{self.port}"
        wait_until(lambda: self.get("/health").status_code == 200, START_TIMEOUT_S, "/health 200")
        return self

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=ANSWER_TIMEOUT_S)

    def post(self, path: str, body: Json, headers: dict[str, str] | None = None) -> requests.Response:
        return requests.post(self.url + path, json=body, headers=headers, timeout=ANSWER_TIMEOUT_S)

    def post_bytes(self, path: str, body: bytes) -> requests.Response:
        return requests.post(self.url + path, data=body, timeout=ANSWER_TIMEOUT_S,
                             headers={"Content-Type": "application/json"})

    def generate(self, **fields: object) -> Json:
        response = self.post("/generate", fields)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def open_stream(self, path: str = "/generate_stream", **fields: object) -> Stream:
        return Stream(self.url + path, fields)

    def stream(self, **fields: object) -> Answer:
        with self.open_stream(**fields) as stream:
            answer = Answer.of(list(stream))
            assert stream.ended_well
        return answer

    def health(self) -> Json:
        return self.get("/health?level=detailed").json()["data"]

    def queue(self) -> Json:
        return self.health()["queue"]

    def tokens(self, text: str) -> list[int]:
        return self.post("/tokenize", {"content": text}).json()["tokens"]

    def is_idle(self) -> bool:
        queue = self.queue()
        return queue["open"] == queue["running"] == queue["queued"] == 0

    def wait_idle(self, timeout: float = 60.0) -> None:
        wait_until(self.is_idle, timeout, "open == running == queued == 0")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait_end(self, timeout: float = END_TIMEOUT_S) -> int:
        return self.process.wait(timeout)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        assert not SANITIZER_REPORT.search(self.log), self.log


class Program:
    """Knows the program and the model, and every server that it started."""

    def __init__(self, config: pytest.Config, cwd: Path) -> None:
        candidates = [ROOT / "build/cllm", ROOT / "build/release/src/cli/cllm"]
        given = config.getoption("--cllm")
        self.path = Path(given).resolve() if given else next(filter(Path.exists, candidates), candidates[0])
        self.given_model = config.getoption("--model")
        self.cwd = cwd  # a folder without config.yaml
        self.servers: list[Server] = []

    @property
    def model(self) -> Path:
        if self.given_model:
            return Path(self.given_model).resolve()
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(cache) / "cllm/models/SmolLM2-135M-Instruct.Q4_1.gguf"

    def run(self, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Runs the program to its end."""
        command = [str(self.path), *map(str, arguments)]
        return subprocess.run(command, cwd=cwd or self.cwd, capture_output=True, text=True, timeout=START_TIMEOUT_S)

    def launch(self, *arguments: object) -> Server:
        """Starts `cllm serve` with exactly these arguments and does not wait."""
        server = Server([str(self.path), "serve", *map(str, arguments)], self.cwd)
        self.servers.append(server)
        return server

    def serve(self, *options: object) -> Server:
        """A server that is ready: the model under test, a free port, and these options."""
        return self.launch(self.model, "--host", "127.0.0.1", "--port", 0, *options).wait_ready()

    def stop_since(self, count: int) -> None:
        while len(self.servers) > count:
            self.servers.pop().stop()


PROGRAM = pytest.StashKey[Program]()


@pytest.fixture(scope="session")
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    the_program = Program(request.config, tmp_path_factory.mktemp("cwd"))
    assert the_program.path.exists(), f"{the_program.path} is missing: `make build`, or name it with --cllm"
    request.config.stash[PROGRAM] = the_program
    yield the_program
    the_program.stop_since(0)


@pytest.fixture(scope="session")
def shared_server(program: Program) -> Server:
    return program.serve("--max-context-length", 512)


@pytest.fixture
def server(shared_server: Server) -> Server:
    """One server for all tests that need nothing special; idle when a test begins."""
    shared_server.wait_idle()
    return shared_server


@pytest.fixture
def serve(program: Program, shared_server: Server) -> Iterator[Callable[..., Server]]:
    """serve(*options) gives a server of the test's own."""
    before = len(program.servers)
    yield program.serve
    program.stop_since(before)


@pytest.fixture
def launch(program: Program, shared_server: Server) -> Iterator[Callable[..., Server]]:
    """launch(*arguments) starts `cllm serve` as it is told and waits for nothing."""
    before = len(program.servers)
    yield program.launch
    program.stop_since(before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    the_program = item.config.stash.get(PROGRAM, None)
    if report.failed and the_program:
        for server in the_program.servers:
            lines = server.log.splitlines()[-SHOWN_LOG_LINES:]
            report.sections.append((f"log of {' '.join(server.command)}", "\n".join(lines)))
    return report
