"""How likely the model finds a prompt: echo with logprobs, as evaluation harnesses ask for it, and vLLM's prompt_logprobs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import requests
from clients import Stream, in_parallel
from conftest import Server

URL = "/v1/completions"
TEXT = "Once upon a time there was a little girl who lived in a village near the forest."
LONG = " ".join(f"Day {n}: the ship sailed on, and nobody knew where the wind would carry it." for n in range(1, 20))


def ask(server: Server, url: str = URL, **fields: object) -> dict[str, Any]:
    response = server.post(url, {"temperature": 0, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def scored(server: Server, prompt: object, **fields: object) -> dict[str, Any]:
    return ask(server, prompt=prompt, **{"echo": True, "logprobs": 1, "max_tokens": 1, **fields})["choices"][0]


def test_scores_are_what_generating_the_tokens_one_by_one_says(server: Server) -> None:
    """Byte for byte: with a prompt that grows, each token is forced and says its log-probability as an answer's."""
    ids = server.tokens(TEXT)
    prompt = scored(server, ids, max_tokens=0, logprobs=3)["logprobs"]
    assert prompt["token_logprobs"][0] is None and prompt["top_logprobs"][0] is None
    for n in range(1, len(ids)):
        one = ask(server, prompt=ids[:n], max_tokens=1, logprobs=3, allowed_token_ids=[ids[n]])["choices"][0]["logprobs"]
        assert one["tokens"][0] == prompt["tokens"][n]
        assert one["token_logprobs"][0] == prompt["token_logprobs"][n]
        assert one["top_logprobs"][0] == prompt["top_logprobs"][n]


def test_text_and_offsets_go_on_from_prompt_to_answer(server: Server) -> None:
    choice = scored(server, TEXT, max_tokens=4, logprobs=2)
    logprobs = choice["logprobs"]
    assert choice["text"].startswith(TEXT)
    assert "".join(logprobs["tokens"]) == choice["text"]
    ends = [*logprobs["text_offset"][1:], len(choice["text"])]
    assert [choice["text"][begin:end] for begin, end in zip(logprobs["text_offset"], ends, strict=True)] == logprobs["tokens"]
    assert {len(logprobs[name]) for name in logprobs} == {len(server.tokens(TEXT)) + 4}
    answer = ask(server, prompt=TEXT, max_tokens=4, logprobs=2)["choices"][0]
    assert choice["text"] == TEXT + answer["text"]
    assert logprobs["token_logprobs"][-4:] == answer["logprobs"]["token_logprobs"]


def test_a_prompt_alone(server: Server) -> None:
    body = ask(server, prompt=TEXT, max_tokens=0, echo=True, logprobs=0)
    assert body["choices"][0]["text"] == TEXT
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 0
    assert body["usage"]["prompt_tokens"] == len(body["choices"][0]["logprobs"]["tokens"])
    nothing = ask(server, prompt=TEXT, max_tokens=0)
    assert nothing["choices"][0]["text"] == ""
    assert nothing["usage"]["completion_tokens"] == 0


def test_several_prompts_of_text_and_tokens(server: Server) -> None:
    ids = server.tokens(TEXT)
    choices = ask(server, prompt=[TEXT, ids], max_tokens=1, echo=True, logprobs=1)["choices"]
    assert choices[0]["logprobs"] == choices[1]["logprobs"] == scored(server, TEXT)["logprobs"]


def test_a_stream_begins_with_the_scored_prompt(server: Server) -> None:
    whole = scored(server, TEXT, max_tokens=3)
    with Stream(server.url + URL, {"prompt": TEXT, "temperature": 0, "max_tokens": 3, "echo": True, "logprobs": 1, "stream": True}) as stream:
        chunks = [chunk["choices"][0] for chunk in stream]
    assert chunks[0]["text"] == TEXT
    assert len(chunks[0]["logprobs"]["tokens"]) == len(server.tokens(TEXT))
    assert "".join(chunk["text"] for chunk in chunks) == whole["text"]
    for name, values in whole["logprobs"].items():
        assert sum((chunk["logprobs"][name] for chunk in chunks), []) == values


def test_prompt_logprobs_of_completions_and_chats(server: Server) -> None:
    ids = server.tokens(TEXT)
    choice = ask(server, prompt=ids, max_tokens=1, prompt_logprobs=2, echo=True, logprobs=2)["choices"][0]
    scores = choice["prompt_logprobs"]
    assert scores[0] is None and len(scores) == len(ids)
    for token, logprob, entry in zip(ids[1:], choice["logprobs"]["token_logprobs"][1:], scores[1:], strict=False):
        assert entry[str(token)]["logprob"] == logprob
        ranks = {value["rank"]: value["logprob"] for value in entry.values()}
        assert {1, 2} <= ranks.keys() and len(entry) in (2, 3)
        assert all(ranks[a] >= ranks[b] for a, b in pairwise(sorted(ranks)))
    assert "".join(entry[str(token)]["decoded_token"] for token, entry in zip(ids[1:], scores[1:], strict=True)) in TEXT
    chat = ask(server, "/v1/chat/completions", messages=[{"role": "user", "content": "Hi"}], max_tokens=1, prompt_logprobs=0)
    assert len(chat["prompt_logprobs"]) == chat["usage"]["prompt_tokens"]
    assert all(len(entry) == 1 for entry in chat["prompt_logprobs"][1:])


def test_what_cant_be_is_refused_by_name(server: Server) -> None:
    for fields, field in [({"prompt_logprobs": 1, "stream": True}, "prompt_logprobs"), ({"prompt_logprobs": 21}, "prompt_logprobs"),
                          ({"echo": True, "logprobs": 21}, "logprobs")]:
        response = server.post(URL, {"prompt": TEXT, **fields})
        assert response.status_code == 400
        assert response.json()["error"]["param"] == field


def test_scores_dont_depend_on_what_is_computed_beside(server: Server) -> None:
    alone = scored(server, LONG, logprobs=5)
    others = [{"prompt": f"{n} " + "word " * (5 * n), "max_tokens": 40, "temperature": 0.7, "seed": n} for n in range(6)]

    def run(body: dict[str, Any]) -> Any:
        return server.post(URL, {"ignore_eos": True, **body}).json()["choices"][0]

    request = {"prompt": LONG, "temperature": 0, "max_tokens": 1, "echo": True, "logprobs": 5}
    for result in in_parallel(run, [*others, request, request])[-2:]:
        assert result == alone
    server.post(URL, {"prompt": LONG, "max_tokens": 1})
    assert scored(server, LONG, logprobs=5) == alone, "nor on what is in the cache"


def loglikelihood(url: str, ids: list[int], context: int) -> tuple[float, bool]:
    """The request and the parser of lm-eval's local-completions (0.4.13), word for word."""
    body = {"model": "any", "prompt": [ids], "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": True}
    choice = requests.post(url + URL, json=body, timeout=60).json()["choices"][0]
    tokens = choice["logprobs"]["token_logprobs"][context:-1]
    tops = choice["logprobs"]["top_logprobs"][context:-1]
    return sum(tokens), all(token == max(top.values()) for token, top in zip(tokens, tops, strict=False))


def test_an_evaluation_harness_reads_its_likelihoods(server: Server) -> None:
    context = server.tokens("The capital of France is")
    greedy = ask(server, prompt=context, max_tokens=1, logprobs=0)["choices"][0]["logprobs"]
    likelihood, is_greedy = loglikelihood(server.url, [*context, *server.tokens(greedy["tokens"][0])], len(context))
    assert likelihood == greedy["token_logprobs"][0] and is_greedy
    other, other_is_greedy = loglikelihood(server.url, [*context, *server.tokens(" banana")], len(context))
    assert other < likelihood and not other_is_greedy


def test_the_token_that_ends_the_text_stands_behind_the_prompt(server: Server) -> None:
    """A harness leaves out the last token, the generated one: there has to be one, also where the model would end the text."""
    ids = server.tokens(TEXT)
    greedy = scored(server, ids)["logprobs"]
    end = server.tokens(greedy["tokens"][-1])
    ended = scored(server, ids, stop_token_ids=end)
    assert ended["finish_reason"] == "stop" and ended["text"] == TEXT
    assert ended["logprobs"]["tokens"] == greedy["tokens"]
    assert ended["logprobs"]["token_logprobs"] == greedy["token_logprobs"]
