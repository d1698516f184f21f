"""Programs for agents, as they come: their settings name the server's address, a key and a model."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

CONTEXT = 9728  # what Codex says of itself and its tools has 9,000 tokens, more than the small model was trained for
TIMEOUT_S = 400.0
QUESTION = "Name a fruit."
CODEX = """
model = "any"
model_provider = "cllm"
[model_providers.cllm]
name = "cllm"
base_url = "{url}"
env_key = "CLLM_KEY"
wire_api = "responses"
"""

PROGRAMS = Path(os.environ.get("CLLM_NODE_PROGRAMS", "/nowhere")) / ".bin"
pytestmark = pytest.mark.skipif(not PROGRAMS.is_dir(), reason="the programs were not asked for (PROGRAMS=1)")


def outcome(home: Path, program: str, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit status of a program that knows no other home, and what it prints."""
    result = subprocess.run([PROGRAMS / program, *arguments], cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S,
                            env={**os.environ, "HOME": str(home), **environment}, check=False)
    return result.returncode, result.stdout + result.stderr


def claude(url: str, home: Path, *arguments: str) -> dict:
    """The result of a question to Claude Code without its tools, of which it has 20,000 tokens."""
    code, printed = outcome(home, "claude", "-p", "--system-prompt", "Be brief.", "--tools", "", "--output-format", "json", *arguments, QUESTION,
                            ANTHROPIC_BASE_URL=url.removesuffix("/v1"), ANTHROPIC_AUTH_TOKEN="none", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1")
    assert code == 0, printed
    return json.loads(printed)


def test_claude_code(url: str, tmp_path: Path) -> None:
    answer = claude(url, tmp_path)
    assert not answer["is_error"] and answer["result"] and answer["usage"]["output_tokens"] > 0
    assert claude(url, tmp_path, "--continue")["num_turns"] >= 1


def test_codex(url: str, tmp_path: Path) -> None:
    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex/config.toml").write_text(CODEX.format(url=url))
    code, printed = outcome(tmp_path, "codex", "exec", "--skip-git-repo-check", "--json", QUESTION, CLLM_KEY="none")
    events = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert [event["item"]["text"] for event in events if event["type"] == "item.completed" and event["item"]["type"] == "agent_message"], printed
    # A small model may find no end; then Codex says that the answer was cut.
    assert (code == 0 and events[-1]["type"] == "turn.completed") or "max_output_tokens" in events[-1]["error"]["message"], printed
