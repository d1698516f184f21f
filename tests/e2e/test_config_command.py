"""`cllm config check|init`, `cllm completion` and `cllm man`, and that what they print is understood by what reads it."""

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
    assert printed.returncode == 0 and printed.stdout == file.read_text()


def complete(program: Program, line: str, folder: Path) -> set[str]:
    """What a real bash offers for the last word of a line."""
    script = """
source <("$0" completion bash)
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<< "$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
function=$(complete -p cllm | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$function" cllm "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""
    result = subprocess.run(["bash", "--norc", "-c", script, program.path, line], cwd=folder, capture_output=True, text=True,
                            check=True)
    return {word.strip() for word in result.stdout.splitlines()}


def test_bash_completes(program: Program, tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").touch()
    commands = complete(program, "cllm ", tmp_path)
    assert {"serve", "run", "config", "completion", "man", "show"} <= commands and "probe-model" not in commands
    assert complete(program, "cllm config ", tmp_path) >= {"check", "init"}
    assert complete(program, "cllm serve --kv-type ", tmp_path) >= {"f16", "f32"}
    assert complete(program, "cllm serve --por", tmp_path) == {"--port"}
    assert "tiny.gguf" in complete(program, "cllm serve ti", tmp_path)
    assert complete(program, "cllm completion ", tmp_path) == {"bash", "zsh", "fish"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_parses_its_script(program: Program, tmp_path: Path, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "completion"
    file.write_text(program.run("completion", shell).stdout)
    result = subprocess.run([shell, "-n", file], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and result.stderr == "" and file.stat().st_size > 1000, result.stderr


def test_the_manual_page_is_right_for_groff(program: Program) -> None:
    page = program.run("man").stdout
    assert "n_seq_max" in page and "probe" not in page
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True, check=False)
    assert result.returncode == 0 and result.stderr == ""
