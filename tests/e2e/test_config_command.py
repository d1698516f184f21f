"""`cllm config check|init` and `cllm man`, and that what they print is understood by what reads it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Program

FIVE_MISTAKES = """\
server:
  prot: 8080
  host: [1, 2]
scheduler:
  max_queue_size: -1
backend:
  llama_cpp:
    n_threads: many
    n_batch: 512
    n_batch: 256
"""


def test_check_names_all_mistakes_with_their_lines(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(FIVE_MISTAKES)
    result = program.run("config", "check", file)
    lines = result.stdout.splitlines()
    assert result.returncode == 1 and result.stderr == ""
    assert [int(line.removeprefix(f"{file}:").split(":")[0]) for line in lines] == [2, 3, 5, 8, 10], result.stdout
    assert "server.port" in lines[0]


def test_serve_refuses_with_the_same_messages(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(FIVE_MISTAKES)
    checked = program.run("config", "check", file).stdout.splitlines()
    served = program.run("serve", "--config", file)
    assert served.returncode == 1
    assert served.stderr.splitlines() == [f"cllm: {line}" for line in checked]


def test_init_writes_what_check_accepts_and_spares_what_is_there(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    assert program.run("config", "init", file, "--model", program.model).returncode == 0
    checked = program.run("config", "check", file)
    assert (checked.returncode, checked.stdout) == (0, f"{file}: ok\n")
    file.write_text("mine")
    refused = program.run("config", "init", file)
    assert refused.returncode == 1 and "--force" in refused.stderr and file.read_text() == "mine"
    assert program.run("config", "init", file, "--force").returncode == 0 and "n_threads:" in file.read_text()
    printed = program.run("config", "init", "-")
    assert printed.returncode == 0 and keys(printed.stdout) == keys(file.read_text())


def keys(text: str) -> list[str]:
    """The keys that a file sets; the values depend on the memory that is free at the moment."""
    return [line.split(":")[0] for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def test_a_warning_is_no_error(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("server:\n  num_threads: 2\n  min_threads: 3\n")
    result = program.run("config", "check", file)
    first, last = result.stdout.splitlines()
    assert first.startswith(f"{file}:3: warning: server.min_threads: ") and last == f"{file}: ok" and result.returncode == 0


def test_check_looks_at_the_model(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"

    def check(path: object, more: str = "") -> tuple[int, str]:
        file.write_text(f'model:\n  path: "{path}"\n{more}')
        result = program.run("config", "check", file)
        return result.returncode, result.stdout.splitlines()[0]

    assert check(program.model) == (0, f"{file}: ok")
    assert check("smollm2-135m") == (0, f"{file}: ok")
    for path in ["/none.gguf", tmp_path, "smolm2-135m", "hf:only-one-part"]:
        code, line = check(path)
        assert code == 1 and line.startswith(f"{file}:2: model.path: "), line
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(program.model.read_bytes()[:5000])
    code, line = check(cut)
    assert code == 1 and "damaged" in line
    code, line = check(program.model, "  max_context_length: 100000\n  quantization: q8_0\n")
    assert code == 0 and line.startswith(f"{file}:3: warning: model.max_context_length: 100000"), line


def test_check_reads_the_file_that_serve_would_read(program: Program, tmp_path: Path) -> None:
    assert "config init" in program.run("config", "check", cwd=tmp_path).stderr
    (tmp_path / "config.yaml").write_text("server: {prot: 1}\n")
    assert program.run("config", "check", cwd=tmp_path).stdout.startswith("config.yaml:1: unknown key")


def test_output_that_cannot_be_written_is_a_failure(program: Program) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run([program.path, "man"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 1 and "No space left" in result.stderr


def test_the_manual_page_is_right_for_groff(program: Program) -> None:
    page = program.run("man").stdout
    assert "n_seq_max" in page and "probe" not in page
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True, check=False)
    assert result.returncode == 0 and result.stderr == ""
