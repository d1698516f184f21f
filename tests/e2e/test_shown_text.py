"""Whatever others have written (names of files, a model's metadata, what servers say): no terminal and no scraper obeys it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import START_TIMEOUT_S, Program, Server
from gguf_writer import tiny_llama
from hub_fixtures import hub, models
from hub_server import HubServer, status

# A title, a cleared screen, C1's CSI, a direction that turns, a line of its own, a carriage return, DEL, a byte that is no UTF-8.
HOSTILE = b"a\x1b]0;t\x07\x1b[2J\xc2\x9b31m\xe2\x80\xaefdp\ncllm: all is well\rb\x7f\xffc"
SHOWN = r"a\x1b]0;t\x07\x1b[2J\x9b31m\u202efdp\ncllm: all is well\x0db\x7f\xffc"
FILE = HOSTILE + b".gguf"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def check_harmless(output: bytes) -> str:
    text = output.decode()  # which is a check, too
    assert not OBEYED.search(text), text
    return text


def run(program: Program, *arguments: object, cwd: Path | None = None) -> tuple[int, str, str]:
    command = [str(program.path), *(os.fsdecode(argument) if isinstance(argument, bytes) else str(argument) for argument in arguments)]
    result = subprocess.run(command, cwd=cwd or program.cwd, capture_output=True, timeout=START_TIMEOUT_S, stdin=subprocess.DEVNULL)
    return result.returncode, check_harmless(result.stdout), check_harmless(result.stderr)


def test_names_of_models(program: Program, hub: HubServer, models: Path) -> None:
    models.mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(models) + b"/" + HOSTILE + b".gguf")).write_bytes(b"GGUF")
    (models / "世界.gguf").write_bytes(b"GGUF")
    code, listed, _ = run(program, "list")
    lines = listed.splitlines()
    assert code == 0 and len(lines) == 3, listed
    assert lines[1].startswith(SHOWN + ".gguf ")
    # The columns stand below each other, also where a character takes two.
    assert [line.index("4 B") for line in lines[1:]] == [len(SHOWN) + 7, len(SHOWN) + 5]
    code, _, errors = run(program, "rm", "-f", HOSTILE + b".gguf")
    assert code == 0 and errors == f"removed {SHOWN}.gguf\n"


@pytest.mark.parametrize("arguments", [
    ["show", FILE], ["serve", FILE], ["run", FILE, "hello"], ["bench", "engine", FILE], ["serve", "--config", HOSTILE],
    ["config", "check", HOSTILE], ["config", "init", "x.yaml", "--model", FILE], ["config", "init", HOSTILE + b"/x/y"], ["rm", HOSTILE],
    ["pull", HOSTILE], ["pull", b"hf:o/" + HOSTILE], ["pull", b"http://h/" + HOSTILE], ["serve", "--log-file", HOSTILE + b"/x", FILE],
    ["serve", b"--" + HOSTILE], [HOSTILE], ["serve", "--port", HOSTILE], ["serve", FILE, "--tls-certificate", HOSTILE, "--tls-key", HOSTILE],
    ["serve", FILE, "--api-key-file", HOSTILE], ["serve", FILE, "--host", HOSTILE], ["run", "--server-url", HOSTILE, "--prompt", "x"],
    ["serve", "--chat-template-file", HOSTILE, FILE], ["pull", "x", "--retries", HOSTILE], ["pull", "x", "--config", HOSTILE]],
    ids=lambda arguments: " ".join("HOSTILE" if isinstance(a, bytes) else a for a in arguments))
def test_errors_of_every_command(program: Program, hub: HubServer, tmp_path: Path, arguments: list[str | bytes]) -> None:
    code, output, errors = run(program, *arguments, cwd=tmp_path)
    lines = (output + errors).splitlines()
    assert code == 1 and lines and not any(line.startswith("cllm: all is well") for line in lines), lines
    assert "\\x1b" in output + errors


def test_every_problem_of_a_configuration_has_its_line(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(b"server:\n  port: x\n  hots: y\n")
    code, _, errors = run(program, "serve", "--config", file)
    lines = errors.splitlines()
    assert code == 1 and len(lines) == 2 and all(line.startswith(f"cllm: {file}:") for line in lines), errors


def hostile_model(tmp_path: Path) -> Path:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + HOSTILE + b".gguf"))
    model = tiny_llama()
    for key in ("general.name", "general.license", "general.description"):
        model.set(key, "string", HOSTILE)
    path.write_bytes(model.bytes())
    return path


def test_a_model_with_a_hostile_name_is_served_and_shown(program: Program, launch: Callable[..., Server], tmp_path: Path) -> None:
    path = hostile_model(tmp_path)
    code, shown, _ = run(program, "show", os.fsencode(path))
    assert code == 0 and shown.count(SHOWN) == 3
    code, shown, _ = run(program, "show", "--json", os.fsencode(path))
    assert code == 0 and "\x1b]0;t\x07" in json.loads(shown)["name"]
    code, _, errors = run(program, "config", "init", "-", "--model", os.fsencode(path))
    assert code == 0, errors

    server = launch(path, "--host", "127.0.0.1", "--port", 0, "-c", 128).wait_ready()
    metrics = check_harmless(server.get("/metrics").content)
    [label] = re.findall(r'^cllm_build_info\{.*model="(.*?)"', metrics, re.MULTILINE)
    assert label == SHOWN.replace("\\", "\\\\")
    assert server.generate(prompt="x", max_tokens=2)["generated_tokens"] >= 1
    path.unlink()
    server.stop()
    check_harmless(server.log.encode())


def test_what_a_server_says(hub: HubServer, program: Program) -> None:
    hub.fault("/m.gguf", status(404, X_Error_Message="no\x1b[2J\x9b31m"))
    hub.redirects["/r.gguf"] = ("ftp://h/\x1b[2J", {})
    for name in ("m", "r"):
        code, output, errors = run(program, "pull", f"{hub.url}/{name}.gguf")
        assert code == 1 and output == "", errors
