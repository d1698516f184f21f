"""The result cache: a repeated request has the same answer, frame by frame, and says that it was a hit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import openai
import pytest
import requests
from clients import ANSWER_TIMEOUT_S, Json
from conftest import Program, Server

CACHE = "X-cLLM-Cache"
STORY = "Once upon a time, in a small village by the sea,"


@pytest.fixture(scope="module")
def caching(program: Program, shared_server: Server) -> Iterator[Server]:
    before = len(program.servers)
    yield program.serve("--result-max-memory-mb", 16, "--no-prefix")  # what earlier tests asked is no prefix of later ones
    program.stop_since(before)


def frames(server: Server, body: Json) -> tuple[str, list[str]]:
    """The header and the frames, ids aside."""
    with requests.post(server.url + "/generate_stream", json=body, stream=True, timeout=ANSWER_TIMEOUT_S) as response:
        assert response.status_code == 200
        lines = [line for line in response.iter_lines(decode_unicode=True) if line]
        return response.headers[CACHE], [line.split('"id"')[0] + line.partition(",")[2] for line in lines]


@pytest.mark.parametrize("sampling", [{"temperature": 0, "seed": 1}, {"temperature": 1.0, "seed": 7}])
def test_a_repeat_is_a_hit(caching: Server, sampling: Json) -> None:
    body = {"prompt": STORY, "max_tokens": 24, "ignore_eos": True, **sampling}
    first = caching.post("/generate", body)
    again = caching.post("/generate", body)
    assert (first.headers[CACHE], again.headers[CACHE]) == ("miss", "hit")
    for key in ("text", "generated_tokens", "prompt_tokens", "finish_reason"):
        assert again.json()["data"][key] == first.json()["data"][key]
    # The same answer, streamed; then streamed in the first place.
    header, replayed = frames(caching, body)
    assert header == "hit"
    assert len(replayed) > 5
    fresh_header, fresh = frames(caching, {**body, "stop": ["§§"]})
    assert fresh_header == "miss"
    assert replayed == fresh


def test_an_unseeded_sample_is_never_a_hit(caching: Server) -> None:
    body = {"prompt": STORY, "max_tokens": 4, "temperature": 1.0}
    assert [caching.post("/generate", body).headers[CACHE] for _ in range(2)] == ["miss", "miss"]


def test_openai_clients_see_cached_tokens(caching: Server) -> None:
    client = openai.OpenAI(base_url=caching.url + "/v1", api_key="x")
    ask = {"model": "m", "prompt": "Tell me", "max_tokens": 5, "temperature": 0}
    first, again = (client.completions.create(**ask).usage for _ in range(2))
    assert first.prompt_tokens_details.cached_tokens == 0
    assert again.prompt_tokens_details.cached_tokens == again.prompt_tokens == first.prompt_tokens


def test_the_metrics_count_it(caching: Server) -> None:
    body = {"prompt": "A prompt of its own", "max_tokens": 3, "temperature": 0}

    def hits() -> float:
        line = next(line for line in caching.get("/metrics").text.splitlines()
                    if line.startswith("cllm_result_cache_hits_total"))
        return float(line.split()[1])
    before = hits()
    for _ in range(3):
        caching.generate(**body)
    assert hits() == before + 2


def test_off_by_default(serve: Callable[..., Server]) -> None:
    server = serve()
    body = {"prompt": f"{STORY} {STORY}", "max_tokens": 3, "temperature": 0}  # longer than what is computed anew after a prefix
    first, again = (server.post("/generate", body).headers[CACHE] for _ in range(2))
    assert first == "miss" and again.startswith("prefix=")


def test_an_old_answer_is_computed_again(serve: Callable[..., Server]) -> None:
    server = serve("--result-max-memory-mb", 1, "--result-ttl-s", 0.001)
    body = {"prompt": STORY, "max_tokens": 3, "temperature": 0}
    for _ in range(20):  # more than 1 ms apart, most of them
        server.generate(**body)
    assert "\ncllm_result_cache_evictions_total 0\n" not in server.get("/metrics").text
