"""lm-eval's model for servers with completions, as it comes: how likely it says that texts are.

Its tasks need data sets; what it asks a server for is the same without them.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests
from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI

PAIRS = [("The capital of France is", " Paris"), ("The capital of France is", " a banana"), ("Once upon a time there was", " a little girl"),
         ("", "The ship sailed on, and nobody knew where the wind would carry it.")]


def model(url: str, **settings: Any) -> LocalCompletionsAPI:
    """With the tokenizer of the server, which it finds by itself."""
    return LocalCompletionsAPI(base_url=url + "/completions", model="any", max_length=512, **settings)


def instances(kind: str, pairs: list[tuple[Any, ...]]) -> list[Instance]:
    return [Instance(kind, {}, pair, n) for n, pair in enumerate(pairs)]


@pytest.mark.parametrize("settings", [{}, {"num_concurrent": 4}, {"batch_size": 3}], ids=str)
def test_likelihoods(url: str, settings: dict[str, Any]) -> None:
    results = model(url, **settings).loglikelihood(instances("loglikelihood", PAIRS))
    assert results == model(url).loglikelihood(instances("loglikelihood", PAIRS)), "whatever is asked for together"
    likelihoods = [likelihood for likelihood, _ in results]
    assert all(likelihood < 0 for likelihood in likelihoods)
    assert likelihoods[0] > likelihoods[1]
    assert not results[1][1], "not what it would have said"


def test_what_the_model_says_is_greedy(url: str) -> None:
    context = "The capital of France is"
    body = {"prompt": context, "max_tokens": 5, "temperature": 0, "logprobs": 0}
    answer = requests.post(url + "/completions", json=body, timeout=60).json()["choices"][0]
    likelihood, is_greedy = model(url).loglikelihood(instances("loglikelihood", [(context, answer["text"])]))[0]
    assert is_greedy
    assert likelihood == pytest.approx(sum(answer["logprobs"]["token_logprobs"]))


def test_rolling_likelihoods(url: str) -> None:
    (likelihood,) = model(url).loglikelihood_rolling(instances("loglikelihood_rolling", [(PAIRS[3][1],)]))
    assert likelihood < 0


def test_generation(url: str) -> None:
    (text,) = model(url).generate_until(instances("generate_until", [("The capital of France is", {"until": ["."], "max_gen_toks": 8})]))
    assert text and "." not in text
