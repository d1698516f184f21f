"""A server for the clients of other projects."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator

import pytest
import requests

START_TIMEOUT_S = 180.0
CONTEXT = 512


@pytest.fixture(scope="module")
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base address of a server's OpenAI endpoints. A request may have as many tokens as its tests' file says in CONTEXT."""
    log_path = tmp_path_factory.mktemp("server") / "log"
    command = [os.environ["CLLM_PROGRAM"], "serve", os.environ["CLLM_MODEL"], "--host", "127.0.0.1", "--port", "0",
               "--ctx-size", str(getattr(request.module, "CONTEXT", CONTEXT)), "--default-temperature", "0"]
    with log_path.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not (found := re.search(r"serving on (http://\S+) ", log_path.read_text())):
                assert process.poll() is None and time.monotonic() < deadline, log_path.read_text()
                time.sleep(0.05)
            requests.get(found[1] + "/readyz", timeout=START_TIMEOUT_S).raise_for_status()
            yield found[1] + "/v1"
        finally:
            process.terminate()
