"""POST /generate and /generate_stream: shapes, equality of whole and streamed answers, stop strings, limits."""

from __future__ import annotations

import re

import pytest
from conftest import Server

STORY = "Once upon a time, in a small village by the sea,"
CHINESE = "人工智能是计算机科学的一个分支，它企图了解智能的实质，并生产出一种新的能以人类智能相似的方式做出反应的智能机器。"
EMOJI = "Repeat these: 😀 🎉 👩‍👩‍👧 🇩🇪 😀 🎉 👩‍👩‍👧 🇩🇪 😀 🎉"
GREEDY = {"temperature": 0}
SEEDED = {"temperature": 1.0, "top_p": 0.95, "top_k": 50, "seed": 1234}


def test_shape_of_a_whole_answer(server: Server) -> None:
    response = server.post("/generate", {"prompt": STORY, "max_tokens": 8, "ignore_eos": True})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    body = response.json()
    assert set(body) == {"data", "success"} and body["success"] is True
    data = body["data"]
    assert set(data) == {"id", "response_time", "text", "tokens_per_second", "generated_tokens", "prompt_tokens",
                         "finish_reason", "seed"}
    assert re.fullmatch("[0-9a-f]{32}", data["id"])
    assert data["response_time"] > 0
    assert data["tokens_per_second"] == pytest.approx(8 / data["response_time"])
    assert data["generated_tokens"] == 8
    assert data["prompt_tokens"] == len(server.tokens(STORY))
    assert data["finish_reason"] == "length"
    assert isinstance(data["seed"], int)


def test_shape_of_the_frames(server: Server) -> None:
    answer = server.stream(prompt=STORY, max_tokens=8, ignore_eos=True)
    assert answer.frames
    for frame in answer.frames:
        assert set(frame) == {"id", "token", "done"}
        assert re.fullmatch("[0-9a-f]{32}", frame["id"]) and frame["token"]
    assert set(answer.last) == {"id", "token", "done", "generated_tokens", "prompt_tokens", "finish_reason", "seed"}
    assert answer.last["token"] == ""
    assert answer.last["generated_tokens"] == 8 and answer.last["finish_reason"] == "length"
    assert answer.last["prompt_tokens"] == len(server.tokens(STORY))


def test_stream_true_is_the_same_as_generate_stream(server: Server) -> None:
    fields = {"prompt": STORY, "max_tokens": 6, **GREEDY}
    with server.open_stream("/generate", stream=True, **fields) as stream:
        frames = list(stream)
    assert "".join(frame["token"] for frame in frames) == server.stream(**fields).text


def test_ids_differ(server: Server) -> None:
    assert len({server.generate(prompt=STORY, max_tokens=1)["id"] for _ in range(3)}) == 3


@pytest.mark.parametrize("sampling", [GREEDY, SEEDED], ids=["greedy", "seeded"])
@pytest.mark.parametrize("prompt", [STORY, CHINESE, EMOJI], ids=["english", "chinese", "emoji"])
def test_streamed_equals_whole(server: Server, prompt: str, sampling: dict) -> None:
    fields = {"prompt": prompt, "max_tokens": 24, "ignore_eos": True, **sampling}
    whole = server.generate(**fields)
    streamed = server.stream(**fields)  # decodes each frame strictly as UTF-8
    assert streamed.text == whole["text"]
    for name in ("generated_tokens", "prompt_tokens", "finish_reason"):
        assert streamed.last[name] == whole[name]


def test_characters_of_several_tokens_are_never_split(server: Server) -> None:
    """Hot sampling draws byte tokens, which are parts of characters: they wait, or become U+FFFD."""
    for seed in range(2):
        fields = {"prompt": EMOJI, "max_tokens": 30, "ignore_eos": True, "temperature": 2.0, "seed": seed}
        assert server.stream(**fields).text == server.generate(**fields)["text"]


def test_greedy_is_repeatable(server: Server) -> None:
    fields = {"prompt": STORY, "max_tokens": 16, **GREEDY}
    answers = [server.generate(**fields, seed=seed)["text"] for seed in (1, 2, 3)]
    assert answers[0] == answers[1] == answers[2]


def test_the_seed_that_was_used_repeats_the_answer(server: Server) -> None:
    fields = {"prompt": STORY, "max_tokens": 16, "temperature": 1.5, "ignore_eos": True}
    first, second = server.generate(**fields), server.generate(**fields)
    assert first["seed"] != second["seed"] and first["text"] != second["text"]
    assert server.generate(**fields, seed=first["seed"])["text"] == first["text"]
    assert server.stream(**fields, seed=second["seed"]).text == second["text"]


@pytest.mark.parametrize("seed", [0, 2**32, 2**53 + 1, 2**63 - 1])
def test_a_given_seed_comes_back(server: Server, seed: int) -> None:
    assert server.generate(prompt=STORY, max_tokens=1, seed=seed)["seed"] == seed
    assert server.stream(prompt=STORY, max_tokens=1, seed=seed).last["seed"] == seed


def test_seed_minus_one_is_random(server: Server) -> None:
    assert server.generate(prompt=STORY, max_tokens=1, seed=-1)["seed"] >= 0


def greedy_text(server: Server, tokens: int) -> str:
    return server.generate(prompt=STORY, max_tokens=tokens, ignore_eos=True, **GREEDY)["text"]


@pytest.mark.parametrize("length", [1, 5, 15])
def test_stop_strings_also_across_tokens(server: Server, length: int) -> None:
    text = greedy_text(server, 24)
    stop = text[30:30 + length]
    expected = text[:text.index(stop)]
    fields = {"prompt": STORY, "max_tokens": 24, "ignore_eos": True, "stop": stop, **GREEDY}
    whole = server.generate(**fields)
    assert whole["text"] == expected and whole["finish_reason"] == "stop"
    streamed = server.stream(**fields)
    assert streamed.text == expected and streamed.last["finish_reason"] == "stop"
    assert streamed.last["generated_tokens"] == whole["generated_tokens"] < 24


def test_the_first_of_several_stop_strings_counts(server: Server) -> None:
    text = greedy_text(server, 24)
    stops = [text[40:48], text[20:28], "never said"]
    expected = text[:min(text.index(stop) for stop in stops[:2])]
    assert server.generate(prompt=STORY, max_tokens=24, ignore_eos=True, stop=stops, **GREEDY)["text"] == expected


def test_text_that_only_began_a_stop_string_is_given_in_the_end(server: Server) -> None:
    text = greedy_text(server, 12)
    stop = text[-6:] + "\0never"  # the whole end of the answer is held back until the answer ends
    fields = {"prompt": STORY, "max_tokens": 12, "ignore_eos": True, "stop": [stop], **GREEDY}
    assert server.generate(**fields)["text"] == text
    streamed = server.stream(**fields)
    assert streamed.text == text and streamed.last["finish_reason"] == "length"
    assert len("".join(frame["token"] for frame in streamed.frames[:-1])) <= len(text) - 6


def test_no_frame_shows_a_part_of_a_stop_string_that_came(server: Server) -> None:
    text = greedy_text(server, 24)
    stop = text[30:50]
    streamed = server.stream(prompt=STORY, max_tokens=24, ignore_eos=True, stop=stop, **GREEDY)
    assert text.startswith(streamed.text) and len(streamed.text) == text.index(stop)


CHAT = "<|im_start|>user\nSay just: yes<|im_end|>\n<|im_start|>assistant\n"


def test_the_model_may_stop_and_ignore_eos_forbids_it(server: Server) -> None:
    stopped = server.generate(prompt=CHAT, max_tokens=200, **GREEDY)
    assert stopped["finish_reason"] == "stop" and stopped["generated_tokens"] < 200
    assert "<|im_end|>" not in stopped["text"]
    length = stopped["generated_tokens"] + 10
    longer = server.generate(prompt=CHAT, max_tokens=length, ignore_eos=True, **GREEDY)
    assert longer["finish_reason"] == "length" and longer["generated_tokens"] == length
    assert longer["text"].startswith(stopped["text"])


def test_a_bound_above_the_room_is_cut_and_a_prompt_without_room_refused_with_both_numbers(server: Server) -> None:
    prompt = "word " * 480
    room = 512 - len(server.tokens(prompt))
    data = server.generate(prompt=prompt, max_tokens=300, ignore_eos=True)
    assert data["max_tokens"] == data["generated_tokens"] == room and data["finish_reason"] == "length"
    prompt = "word " * 600
    error = server.post("/generate", {"prompt": prompt, "max_tokens": 300}).json()["error"]
    assert error["code"] == "context_length_exceeded" and error["field"] == "prompt"
    for number in (len(server.tokens(prompt)), 512):
        assert str(number) in error["message"]
    response = server.post("/generate_stream", {"prompt": "word " * 1000})
    assert response.status_code == 400 and "512" in response.json()["error"]["message"]


def test_the_context_can_be_filled_to_the_last_token(server: Server) -> None:
    prompt = "word " * 495
    room = 512 - len(server.tokens(prompt))
    assert 0 < room < 100
    data = server.generate(prompt=prompt, max_tokens=room, ignore_eos=True)
    assert data["generated_tokens"] == room
    assert "max_tokens" not in data
    data = server.generate(prompt=prompt, max_tokens=room + 1, ignore_eos=True)
    assert (data["generated_tokens"], data["finish_reason"], data["max_tokens"]) == (room, "length", room)
    data = server.generate(prompt=prompt, max_tokens=-1, ignore_eos=True)
    assert data["generated_tokens"] == room and "max_tokens" not in data


EDGES = [{"temperature": 0}, {"temperature": 1e-6}, {"temperature": 2}, {"top_p": 0}, {"top_p": 1}, {"top_k": -1},
         {"top_k": 0}, {"top_k": 1}, {"top_k": 2**31 - 1}, {"min_p": 0}, {"min_p": 1}, {"repetition_penalty": 1},
         {"repetition_penalty": 2}, {"presence_penalty": -2}, {"presence_penalty": 2}, {"frequency_penalty": 2},
         {"stop": []}, {"stop": ["never said"] * 16}, {"max_tokens": 1}, {"logit_bias": {"100": 100}},
         {"repeat_last_n": 0}, {"repeat_last_n": -1}]


@pytest.mark.parametrize("edge", EDGES, ids=str)
def test_edges_of_the_parameters(server: Server, edge: dict) -> None:
    fields = {"prompt": STORY, "max_tokens": 4, "ignore_eos": True, **edge}
    assert server.generate(**fields)["generated_tokens"] == fields["max_tokens"]


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 0}, {"min_p": 1}, {"temperature": 1e-6}], ids=str)
def test_sampling_narrowed_to_one_token_is_greedy(server: Server, narrow: dict) -> None:
    fields = {"temperature": 1.0, **narrow}
    text = server.generate(prompt=STORY, max_tokens=12, ignore_eos=True, **fields)["text"]
    assert text == greedy_text(server, 12)


def test_null_fields_mean_the_default(server: Server) -> None:
    names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed", "stop", "ignore_eos", "stream")
    assert server.generate(prompt=STORY, max_tokens=2, **dict.fromkeys(names))["generated_tokens"] <= 2


def test_tokenize_and_detokenize_are_inverse(server: Server) -> None:
    for text in (STORY, CHINESE, EMOJI):
        assert server.post("/detokenize", {"tokens": server.tokens(text)}).json()["content"] == text
