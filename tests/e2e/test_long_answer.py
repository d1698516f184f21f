"""An answer that takes longer than the usual time limits of clients, servers and proxies."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import requests
from conftest import Server

TAKES_S = 90
CONTEXT = 8192
FIELDS = {"prompt": "Once upon a time", "ignore_eos": True}


@pytest.mark.slow
def test_an_unstreamed_answer_that_takes_90_s_arrives(serve: Callable[..., Server]) -> None:
    server = serve("--n-threads", 1, "-c", CONTEXT, "-np", 1, "--request-timeout", 300)
    trial = server.generate(**FIELDS, max_tokens=64)
    # The longer the text, the slower the step: this estimate is on the safe side of 90 s.
    tokens = min(CONTEXT - 64, int(1.1 * TAKES_S * trial["tokens_per_second"]))
    start = time.monotonic()
    response = requests.post(server.url + "/generate", json={**FIELDS, "max_tokens": tokens}, timeout=330)
    took_s = time.monotonic() - start
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    assert data["generated_tokens"] == tokens and data["finish_reason"] == "length" and data["text"]
    assert took_s > TAKES_S, f"{tokens} tokens took only {took_s:.0f} s"
    assert data["response_time"] == pytest.approx(took_s, abs=2)
