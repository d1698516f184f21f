"""Open WebUI in a browser, as it comes. It brings gigabytes along, so it runs where it is: CLLM_OPEN_WEBUI is the folder of a Python
environment that has `open-webui` and `playwright`, and a Chromium is installed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

ENVIRONMENT = os.environ.get("CLLM_OPEN_WEBUI")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
START_TIMEOUT_S = 600
RUN_TIMEOUT_S = 1200


@contextmanager
def served(command: list[object], port: int, log: Path, **variables: str) -> Iterator[str]:
    """The address of a server whose /health is good."""
    with log.open("wb") as out, subprocess.Popen([str(word) for word in command], stdout=out, stderr=out, env=os.environ | variables) as process:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_TIMEOUT_S
        while not is_healthy(address):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield address
        process.terminate()


def is_healthy(address: str) -> bool:
    try:
        return requests.get(address + "/health", timeout=10).ok
    except requests.ConnectionError:
        return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.skipif(not ENVIRONMENT or not CHROMIUM, reason="Open WebUI (CLLM_OPEN_WEBUI) or Chromium is not there")
def test_open_webui_chats_and_stops(tmp_path: Path) -> None:
    programs, (mine, its) = Path(ENVIRONMENT) / "bin", (free_port(), free_port())
    # Its prompts describe its own tools, in more than 6,000 tokens.
    serve = [os.environ["CLLM_PROGRAM"], "serve", os.environ["CLLM_MODEL"], "--host", "127.0.0.1", "--port", mine, "-c", 8192, "-np", 2]
    settings = {"DATA_DIR": str(tmp_path / "data"), "WEBUI_SECRET_KEY": "none", "OPENAI_API_KEY": "none", "ENABLE_OLLAMA_API": "false",
                "RAG_EMBEDDING_ENGINE": "openai", "OFFLINE_MODE": "true", "HF_HUB_OFFLINE": "1", "ENABLE_TITLE_GENERATION": "false",
                "ENABLE_TAGS_GENERATION": "false", "ENABLE_FOLLOW_UP_GENERATION": "false"}
    with served(serve, mine, tmp_path / "cllm.log") as server, served(
            [programs / "open-webui", "serve", "--host", "127.0.0.1", "--port", its], its, tmp_path / "open_webui.log",
            OPENAI_API_BASE_URL=server + "/v1", **settings) as address:
        script = Path(__file__).with_name("open_webui_browser.py")
        run = subprocess.run([programs / "python", script, address, server, CHROMIUM], capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
        assert run.returncode == 0, run.stderr
        said = json.loads(run.stdout)
        assert said["answer"].strip() and said["stopped_after"] < 5
        requests_log = (tmp_path / "cllm.log").read_text()
    assert "outcome=cancelled" in requests_log
