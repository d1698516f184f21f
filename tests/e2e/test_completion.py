"""`cllm completion SHELL`: what real shells offer with the script that it prints."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest
from conftest import Program

# What the shell offers for the last word of a line, in a folder.
Complete = Callable[[str, Path], set[str]]

BASH = """
source "$0"
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<< "$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
function=$(complete -p cllm | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$function" cllm "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""

# The words that reach the list of matches go into a file. Functions of zsh call compadd with -O, -A and -D for their own ends.
ZSH = """
autoload -Uz compinit && compinit -u -D
source $SCRIPT
compadd() {
  local -a words
  if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\\ * ]]; then
    builtin compadd -O words "$@"
    print -rl -- $words >> $FOUND
  fi
  builtin compadd "$@"
}
zstyle ':completion:*' insert-tab false
zle-line-init() {
  BUFFER=$LINE_TO_COMPLETE CURSOR=$#LINE_TO_COMPLETE
  zle complete-word
  BUFFER=exit
  zle accept-line
}
zle -N zle-line-init
PS1='ready> '
"""


def bash(script: Path, line: str, folder: Path) -> set[str]:
    command = ["bash", "--norc", "-c", BASH, script, line]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    # No key was pressed: compopt has no completion to change.
    assert result.stderr in ("", f"{script}: line 0: compopt: not currently executing completion function\n"), result.stderr
    return {word.strip() for word in result.stdout.splitlines()} - {""}


def zsh(script: Path, line: str, folder: Path) -> set[str]:
    home = script.parent / "zsh_home"
    home.mkdir(exist_ok=True)
    (home / ".zshrc").write_text(ZSH)
    found = home / "found"
    found.write_text("")
    environment = {**os.environ, "ZDOTDIR": str(home), "SCRIPT": str(script), "FOUND": str(found), "TERM": "xterm", "LINE_TO_COMPLETE": line}
    child = pexpect.spawn("zsh", ["-d", "-i"], cwd=str(folder), env=environment, encoding="utf-8", timeout=30, dimensions=(200, 200))
    child.expect(pexpect.EOF)
    child.close()
    assert "not found" not in child.before and "error" not in child.before, child.before
    return {word.removesuffix("=") for word in found.read_text().splitlines()} - {""}


def fish(script: Path, line: str, folder: Path) -> set[str]:
    command = ["fish", "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"', script, line]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    return {offer.split("\t")[0] for offer in result.stdout.splitlines()}


@pytest.fixture(params=[bash, zsh, fish], ids=lambda shell: shell.__name__)
def complete(request: pytest.FixtureRequest, program: Program, tmp_path_factory: pytest.TempPathFactory) -> Complete:
    shell = request.param.__name__
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script = tmp_path_factory.mktemp("script") / shell
    script.write_text(program.run("completion", shell).stdout)
    return lambda line, folder: request.param(script, line, folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.gguf").touch()
    return tmp_path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_parses_its_script(program: Program, tmp_path: Path, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "completion"
    file.write_text(program.run("completion", shell).stdout)
    result = subprocess.run([shell, "-n", file], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and result.stderr == "" and file.stat().st_size > 1000, result.stderr


def test_commands(complete: Complete, folder: Path) -> None:
    commands = complete("cllm ", folder)
    assert {"serve", "run", "config", "completion", "man", "show"} <= commands and "probe-model" not in commands
    assert complete("cllm se", folder) == {"serve"}
    assert complete("cllm config ", folder) == {"check", "init"}
    assert complete("cllm completion ", folder) == {"bash", "zsh", "fish"}


def test_flags(complete: Complete, folder: Path) -> None:
    assert complete("cllm serve --por", folder) == {"--port"}
    assert complete("cllm bench engine --kv-t", folder) == {"--kv-type"}
    assert complete("cllm serve --no-use-mm", folder) == {"--no-use-mmap"}
    assert complete("cllm config check --por", folder) == set()
    assert complete("cllm serve -- --por", folder) == set()


def test_values(complete: Complete, folder: Path) -> None:
    assert complete("cllm serve --kv-type ", folder) == {"f32", "f16", "bf16", "q8_0", "q4_0"}
    assert complete("cllm serve --kv-type q", folder) == {"q8_0", "q4_0"}
    assert {word.removeprefix("--kv-type=") for word in complete("cllm serve --kv-type=q", folder)} == {"q8_0", "q4_0"}
    assert complete("cllm serve -sm l", folder) == {"layer"}
    assert complete("cllm serve --config t", folder) == {"tiny.gguf"}
    assert complete("cllm serve --port ", folder) == set()
    assert complete("cllm serve --host t", folder) == set()


def test_a_model_is_a_file_or_a_name(complete: Complete, folder: Path) -> None:
    assert complete("cllm serve ti", folder) == {"tiny.gguf"}
    assert complete("cllm serve smollm2-13", folder) == {"smollm2-135m"}
    assert complete("cllm serve --port 80 --kv-type f16 --no-use-mmap ti", folder) == {"tiny.gguf"}
    assert complete("cllm serve -- ti", folder) == {"tiny.gguf"}


def test_nothing_is_offered_where_no_file_belongs(complete: Complete, folder: Path) -> None:
    assert complete("cllm serve tiny.gguf ti", folder) == set()
    assert complete("cllm run smollm2-135m ti", folder) == set()
    assert complete("cllm run --temperature 0 smollm2-135m ti", folder) == set()
    assert complete("cllm version ti", folder) == set()
    assert complete("cllm completion bash f", folder) == set()
    assert complete("cllm unknown se", folder) == set()
    assert complete("cllm rm smollm2-135m qwen3-0", folder) == {"qwen3-0.6b"}


# "=" ends a word in bash, so that the value is a word of its own; the lines above are those of a shell that is set up otherwise.
def test_bash_takes_the_equals_sign_as_a_word(program: Program, folder: Path) -> None:
    script = folder / "script"
    script.write_text(program.run("completion", "bash").stdout)
    assert bash(script, "cllm serve --kv-type = f", folder) == {"f32", "f16"}
    assert bash(script, "cllm serve --kv-type =", folder) == {"f32", "f16", "bf16", "q8_0", "q4_0"}
    assert bash(script, "cllm serve --kv-type = f16 ti", folder) == {"tiny.gguf"}
