"""Every command in README and docs/ runs: the fenced `sh` blocks are taken out and executed, one after the other."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import ROOT, Program, Server

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TIMEOUT_S = 120
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass
class Command:
    page: Path
    line: int
    text: str
    answers: list[str]  # lines of the block that follows, where that shows an answer

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}: {self.text}"


def commands_of(block: str) -> list[tuple[int, str]]:
    """The commands of a block with their lines: comments cut, continued lines joined."""
    found = []
    pending, first = "", 0
    for number, line in enumerate(block.split("\n")):
        first = first if pending else number
        pending += re.sub(r"(^|\s+)#.*$", "", line)
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        if pending.strip():
            found.append((first, pending.strip()))
        pending = ""
    return found


def read(page: Path) -> list[Command]:
    text = page.read_text()
    fences = list(FENCE.finditer(text))
    commands = []
    for fence, following in zip(fences, [*fences[1:], None]):
        if fence[1] != "sh":
            continue
        adjacent = following and following[1] != "sh" and not text[fence.end():following.start()].strip()
        answers = following[2].splitlines() if adjacent else []
        first_line = text[:fence.start()].count("\n") + 2
        commands += [Command(page, first_line + number, command, answers) for number, command in commands_of(fence[2])]
    return commands


COMMANDS = [command for page in PAGES for command in read(page)]


def shape(value: object) -> object:
    """What must stay the same between the answer in the page and the real one: keys, and kinds of values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def payloads(lines: list[str]) -> list[object]:
    """The JSON objects among some lines, frames of a stream included."""
    texts = [line.removeprefix("data: ") for line in lines]
    return [json.loads(text) for text in texts if text.startswith("{")]


class Runner:
    """Knows how each kind of command is run here."""

    def __init__(self, program: Program, server: Server, folder: Path) -> None:
        self.program = program
        self.server = server
        self.folder = folder

    def shell(self, text: str) -> subprocess.CompletedProcess[str]:
        """Runs a line with this build's program, this server's address and a home of its own."""
        local = text.replace("localhost:8080", f"127.0.0.1:{self.server.port}").replace("build/cllm", str(self.program.path))
        local = local.replace("MODEL.gguf", str(self.program.model))
        local = re.sub(r"(^|\s)tools/", rf"\1{ROOT}/tools/", local)
        return subprocess.run(["bash", "-c", local], cwd=self.folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
                              stdin=subprocess.DEVNULL,
                              env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})

    def succeeds(self, command: Command) -> str:
        result = self.shell(command.text)
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
        return result.stdout

    def succeeds_with(self, command: Command, more: str) -> None:
        self.succeeds(replace(command, text=f"{command.text} {more}"))

    def short_bench(self, command: Command) -> None:
        self.succeeds_with(command, "--streams 1 --prompt-tokens 8 --generate-tokens 4 --repetitions 1")

    def short_answer(self, command: Command) -> None:
        self.succeeds_with(command, "--max-tokens 4")

    def short_chat(self, command: Command) -> None:
        self.succeeds_with(command, "--prompt Hello --max-tokens 4")

    def short_benchmark(self, command: Command) -> None:
        self.succeeds_with(command, f"--server-url http://127.0.0.1:{self.server.port} --requests 2 --max-tokens 4")

    def curl(self, command: Command) -> None:
        result = self.shell(command.text.replace("curl ", "curl -sS --fail-with-body ", 1))
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
        real = payloads(result.stdout.splitlines())
        shown = payloads(command.answers)
        if shown:
            assert [shape(value) for value in real][0] in [shape(value) for value in shown], command

    def models(self, command: Command) -> None:
        """In a folder of models of its own, in which the default model is: nothing of the user's is removed."""
        cache = self.folder / "cache"
        default = cache / "cllm/models/SmolLM2-135M-Instruct.Q4_1.gguf"
        default.parent.mkdir(parents=True, exist_ok=True)
        if not default.exists():
            default.symlink_to(self.program.model)
        self.succeeds(replace(command, text=f"XDG_CACHE_HOME={shlex.quote(str(cache))} {command.text}"))

    def make(self, command: Command) -> None:
        # What the targets do is too long for here, or is this very test: that they exist and expand is looked at.
        words = [word for word in shlex.split(command.text) if word != "MODEL=FILE"]
        result = subprocess.run([words[0], "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{command}\n{result.stderr}"


KINDS: list[tuple[str, Callable[[Runner, Command], object]]] = [
    (r"curl ", Runner.curl),
    (r"make ", Runner.make),
    (r"build/cllm bench engine\b", Runner.short_bench),
    (r"build/cllm (version|show|serve --print-config|config|man)\b", Runner.succeeds),
    (r"source <\(build/cllm completion ", Runner.succeeds),
    (r"build/cllm (list|pull|rm)\b", Runner.models),
    (r"tools/unified_benchmark.py ", Runner.short_benchmark),
    (r'(echo .*\| )?build/cllm run .*"$', Runner.short_answer),
    (r"build/cllm run ", Runner.short_chat),
]


@pytest.fixture(scope="module")
def runner(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(program, program.serve(), tmp_path_factory.mktemp("docs"))


def test_there_are_commands_and_each_is_of_a_known_kind() -> None:
    print(f"{len(COMMANDS)} commands in {len({command.page for command in COMMANDS})} pages")
    unknown = [str(command) for command in COMMANDS if not any(re.match(kind, command.text) for kind, _ in KINDS)]
    assert COMMANDS and not unknown, "\n".join(unknown)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_the_command_runs(runner: Runner, command: Command) -> None:
    if command.text.endswith("| man -l -") and not shutil.which("man"):
        pytest.skip("man is not installed")
    run = next(run for kind, run in KINDS if re.match(kind, command.text))
    run(runner, command)


def test_the_python_of_the_readme_runs(runner: Runner) -> None:
    for fence in FENCE.finditer((ROOT / "README.md").read_text()):
        if fence[1] == "python":
            code = fence[2].replace("localhost:8080", f"127.0.0.1:{runner.server.port}")
            result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
            assert result.returncode == 0 and result.stdout.strip(), result.stderr
