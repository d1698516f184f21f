"""Nobody learns from a cache what another has asked: two keys, and one key with two salts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from clients import ANSWER_TIMEOUT_S
from conftest import Server

SECRET = "The patient's name is Ada Lovelace, and the diagnosis that she was given last week is the following: " * 3
BODY = {"prompt": SECRET, "max_tokens": 4, "temperature": 0, "ignore_eos": True}
OPTIONS = ("--api-key", "ada,bob,cyd", "--result-max-memory-mb", 8)


class Asker:
    def __init__(self, server: Server, key: str) -> None:
        self.url, self.headers = server.url, {"Authorization": f"Bearer {key}"}

    def ask(self, path: str = "/generate", **fields: object) -> str:
        """What the answer says of the caches."""
        response = requests.post(self.url + path, json={**BODY, **fields}, headers=self.headers, timeout=ANSWER_TIMEOUT_S)
        assert response.status_code == 200, response.text
        return response.headers["X-cLLM-Cache"]

    def hits(self) -> list[float]:
        """What the counters say of prefixes, of results and of grammars."""
        page = requests.get(self.url + "/metrics", headers=self.headers, timeout=ANSWER_TIMEOUT_S).text.splitlines()
        figures = dict(line.split() for line in page if line.startswith("cllm_") and "{" not in line)
        return [float(figures[f"cllm_{name}_total"]) for name in ("prefix_cached_tokens", "result_cache_hits", "grammar_cache_hits")]


def test_two_keys_share_nothing(serve: Callable[..., Server]) -> None:
    server = serve(*OPTIONS)
    ada, bob, cyd = (Asker(server, key) for key in ("ada", "bob", "cyd"))
    assert ada.ask() == "miss"
    before = bob.hits()
    assert bob.ask() == "miss", "a guess at all of it"
    assert cyd.ask(prompt=SECRET[:120] + " a cold") == "miss", "a guess at its beginning"
    assert bob.hits() == before
    assert ada.ask() == "hit"
    assert ada.ask(max_tokens=2).startswith("prefix="), "its own are there"
    choice = {"guided_choice": ["Ada Lovelace", "Alan Turing"], "ignore_eos": False}
    ada.ask(**choice)
    grammars = bob.hits()[2]
    bob.ask(**choice)
    assert bob.hits()[2] == grammars, "what others let their answers be"
    ada.ask(**choice, max_tokens=2)
    assert bob.hits()[2] == before[2] + 1


def test_two_salts_of_one_key_share_nothing(serve: Callable[..., Server]) -> None:
    ada = Asker(serve(*OPTIONS), "ada")
    assert ada.ask(cache_salt="one") == "miss"
    before = ada.hits()
    assert ada.ask(cache_salt="two") == ada.ask("/v1/completions", extra_key="three") == ada.ask("/completion", max_tokens=3) == "miss"
    assert ada.hits() == before
    assert ada.ask(cache_salt="one") == "hit"
    assert ada.ask("/v1/completions", cache_salt="one", max_tokens=3).startswith("prefix=")


@pytest.mark.parametrize("options", [("--api-key", "ada,bob", "--cache-share", "all"), ("--api-key", "ada")])
def test_caches_are_shared_where_that_is_wanted_or_there_is_one_key(serve: Callable[..., Server], options: tuple[str, ...]) -> None:
    server = serve(*options, "--result-max-memory-mb", 8)
    asker, other = Asker(server, "ada"), Asker(server, options[1].split(",")[-1])
    assert asker.ask() == "miss"
    assert other.ask() == "hit"
    assert other.ask(max_tokens=2).startswith("prefix=")
