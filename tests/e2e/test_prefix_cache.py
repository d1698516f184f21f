"""Prefixes of prompts that are computed once: counters, headers, and the same answers as without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from clients import RawClient, in_parallel, wait_until
from conftest import Program, Server

CACHE = "X-cLLM-Cache"
STORY = " ".join(f"Chapter {n}: the old fisherman went out to sea again." for n in range(1, 25))
GREEDY = {"temperature": 0, "ignore_eos": True}
ROWS_AFTER_PREFIX = 1  # computed anew: its logits are wanted


@pytest.fixture(scope="module")
def plain(program: Program, shared_server: Server) -> Iterator[Server]:
    """A server without the cache."""
    before = len(program.servers)
    yield program.serve("--no-prefix", "--max-context-length", 1024, "--request-timeout", 300)
    program.stop_since(before)


def engine(server: Server) -> dict[str, int]:
    server.wait_idle()
    return server.health()["engine"]


def test_a_repeat_computes_its_last_rows_only(serve: Callable[..., Server], plain: Server) -> None:
    server = serve("--max-context-length", 1024, "--request-timeout", 300)
    body = {"prompt": STORY, "max_tokens": 8, **GREEDY}
    answers = [server.post("/generate", body) for _ in range(2)]
    tokens = answers[0].json()["data"]["prompt_tokens"]
    cached = tokens - ROWS_AFTER_PREFIX
    assert [answer.headers[CACHE] for answer in answers] == ["miss", f"prefix={cached}"]
    assert engine(server)["prompt_tokens"] == tokens + ROWS_AFTER_PREFIX
    assert engine(server)["cached_prompt_tokens"] == cached
    texts = {answer.json()["data"]["text"] for answer in answers} | {plain.generate(**body)["text"]}
    assert len(texts) == 1
    with server.open_stream(**body) as stream:
        assert stream.response.headers[CACHE] == f"prefix={cached}"


def test_several_answers_share_their_prompt(serve: Callable[..., Server]) -> None:
    server = serve("--max-context-length", 1024, "--request-timeout", 300)
    response = server.post("/v1/completions", {"prompt": STORY, "max_tokens": 4, "n": 4, "seed": 1, "ignore_eos": True})
    usage = response.json()["usage"]
    assert usage["completion_tokens"] == 16
    assert engine(server)["prompt_tokens"] == usage["prompt_tokens"] + 3 * ROWS_AFTER_PREFIX


def test_the_next_turn_of_a_chat_goes_on(serve: Callable[..., Server], plain: Server) -> None:
    server = serve("--max-context-length", 1024, "--request-timeout", 300)
    messages = [{"role": "user", "content": STORY}]
    ask = {"max_tokens": 20, **GREEDY}
    first = server.post("/v1/chat/completions", {"messages": messages, **ask}).json()
    messages += [first["choices"][0]["message"], {"role": "user", "content": "And then?" + " Tell me." * 30}]
    second = server.post("/v1/chat/completions", {"messages": messages, **ask}).json()
    cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached > first["usage"]["prompt_tokens"] - 5
    assert plain.post("/v1/chat/completions", {"messages": messages, **ask}).json()["usage"] == second["usage"] | {
        "prompt_tokens_details": {"cached_tokens": 0}}


def cached(server: Server, prompt: str, tokens: int, seed: int | None = None) -> int:
    """Asks, and says how much of the prompt was there already."""
    ask = {"messages": [{"role": "user", "content": prompt}], "max_tokens": tokens, "ignore_eos": True}
    response = server.post("/v1/chat/completions", {**ask, **({"temperature": 0} if seed is None else {"seed": seed})})
    found = response.json()["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert response.headers[CACHE] == (f"prefix={found}" if found else "miss")
    return found


@pytest.mark.parametrize("sampled", [False, True], ids=["greedy", "sampled"])
@pytest.mark.parametrize("tokens", [8, 120])
def test_a_short_prompt_that_repeats_hits_behind_any_answer(serve: Callable[..., Server], tokens: int, sampled: bool) -> None:
    server = serve("--max-context-length", 1024, "--request-timeout", 300, "--n-seq-max", 4)
    found = [cached(server, "Write a poem.", tokens, seed if sampled else None) for seed in range(6)]
    assert found[0] == 0 and min(found[1:]) == max(found[1:]) > 10, found


def test_short_prompts_share_their_system_prompt(serve: Callable[..., Server]) -> None:
    server = serve("--max-context-length", 1024, "--request-timeout", 300, "--n-seq-max", 4)
    found = [cached(server, f"{topic}: write a poem about it.", 100, seed=1) for topic in ("Sea", "Wind", "Fire", "Rain", "Sand", "Moon")]
    assert found[0] == 0 and min(found[1:]) >= 15, "the template's own system prompt"


def test_long_conversations_stay_beside_a_short_prompt(serve: Callable[..., Server]) -> None:
    server = serve("--max-context-length", 1024, "--request-timeout", 300, "--n-seq-max", 4)
    stories = [f"{n}: {STORY} {STORY}" for n in range(3)]
    for story in stories:
        cached(server, story, 4)
    assert min([cached(server, "Write a poem.", 120, seed) for seed in range(4)][1:]) > 10
    assert [cached(server, story, 4) > 400 for story in stories] == [True] * 3


def first_token(server: Server, prompt: str) -> dict[str, float]:
    """The likeliest first tokens of the answer with their logprobs."""
    answer = server.post("/v1/completions", {"prompt": prompt, "max_tokens": 1, "temperature": 0, "logprobs": 3}).json()
    return answer["choices"][0]["logprobs"]["top_logprobs"][0]


def assert_same_first_tokens(found: list[dict[str, float]], alone: list[dict[str, float]]) -> None:
    """llama.cpp's sums depend on what else is in the batch and on how a prompt is cut; a wrong prefix is far off."""
    for ours, theirs in zip(found, alone, strict=True):
        best = max(theirs, key=theirs.__getitem__)
        assert ours[best] == pytest.approx(theirs[best], abs=0.3)


def test_many_at_once_compute_their_prefix_once(serve: Callable[..., Server], plain: Server) -> None:
    server = serve("--max-context-length", 1024, "--request-timeout", 300, "--n-seq-max", 8)
    prompts = [f"{STORY} The end, number {n}, came" for n in range(12)]
    found = in_parallel(lambda prompt: first_token(server, prompt), prompts)
    figures = engine(server)
    prefix = len(server.tokens(STORY))
    assert figures["prompt_tokens"] < prefix + 12 * (ROWS_AFTER_PREFIX + 10)
    assert figures["cached_prompt_tokens"] >= 11 * (prefix - ROWS_AFTER_PREFIX)
    assert_same_first_tokens(found, [first_token(plain, prompt) for prompt in prompts])


def test_a_leader_that_leaves_takes_nobody_with_it(serve: Callable[..., Server]) -> None:
    flags = ("--max-context-length", 4096, "--request-timeout", 300, "--n-batch", 16)
    server = serve(*flags)
    prefix = " ".join(f"Chapter {n}: the old fisherman went out to sea again." for n in range(1, 121))
    prompts = [f"{prefix} The end, number {n}, came" for n in range(4)]
    with RawClient(server.port) as leader, ThreadPoolExecutor() as pool:
        leader.post("/generate_stream", {"prompt": prompts[0], "max_tokens": 400, **GREEDY})
        wait_until(lambda: server.queue()["running"] == 1, 10, "the leader runs")
        followers = [pool.submit(first_token, server, prompt) for prompt in prompts[1:]]
        wait_until(lambda: (queue := server.queue())["running"] + queue["queued"] == 4, 10, "the scheduler has all")
        leader.socket.setblocking(False)
        with pytest.raises(BlockingIOError):  # an answer begins with its first token: the prompt is still being computed
            leader.socket.recv(1)
        leader.close()
        found = [follower.result() for follower in followers]
    assert engine(server)["prompt_tokens"] < 1.1 * len(server.tokens(prefix)), "who takes the lead goes on from there"
    alone = serve(*flags, "--no-prefix")
    assert_same_first_tokens(found, [first_token(alone, prompt) for prompt in prompts[1:]])


def test_a_prefix_that_makes_way_twice_is_whole(serve: Callable[..., Server]) -> None:
    """Where slots in use are neighbours: two that start in one step push a kept prefix on, the second from where the first put it."""
    flags = ("--max-context-length", 1024, "--request-timeout", 300, "--n-seq-max", 4, "--kv-type", "f32")
    end = f"{STORY} The end,"
    alone = first_token(serve(*flags, "--no-prefix"), end)
    server = serve(*flags)
    with server.open_stream(prompt="Once", max_tokens=900, **GREEDY) as running:
        frames = iter(running)
        next(frames)  # and kept: what is no longer read is cancelled
        server.generate(prompt=STORY, max_tokens=1, **GREEDY)
        server.post("/v1/completions", {"prompt": "Nothing like it", "max_tokens": 4, "n": 2, "seed": 1})
        assert first_token(server, end) == pytest.approx(alone, abs=0.01)


def test_switched_off_nothing_is_kept(plain: Server) -> None:
    plain.generate(prompt=STORY, max_tokens=2, **GREEDY)
    assert plain.post("/generate", {"prompt": STORY, "max_tokens": 2, **GREEDY}).headers[CACHE] == "miss"
    plain.wait_idle()
    assert plain.health()["kv"]["idle_tokens"] == 0
