"""llama-server's own endpoints and vLLM's small ones, asked as their clients do."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import requests
from clients import ANSWER_TIMEOUT_S, Json
from conftest import Server

GREEDY = {"temperature": 0, "n_predict": 8}
PROMPT = "The capital of France is"


def answer(server: Server, path: str = "/completion", **fields: object) -> Json:
    response = server.post(path, fields)
    assert response.status_code == 200, response.text
    return response.json()


def frames_of(server: Server, **fields: object) -> list[Json]:
    response = requests.post(server.url + "/completion", json={"stream": True, **fields}, timeout=ANSWER_TIMEOUT_S)
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in response.text.splitlines() if line]
    assert all(line.startswith("data: {") for line in lines), "no [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


@pytest.mark.parametrize("path", ["/completion", "/completions"])
def test_a_whole_answer(server: Server, path: str) -> None:
    body = answer(server, path, prompt=PROMPT, return_tokens=True, **GREEDY)
    assert body["content"] == server.generate(prompt=PROMPT, temperature=0, max_tokens=8)["text"]
    assert server.post("/detokenize", {"tokens": body["tokens"]}).json()["content"] == body["content"]
    assert body["stop"] and body["stop_type"] == "limit" and body["stopping_word"] == "" and not body["truncated"]
    assert body["prompt"] == PROMPT and body["model"] == server.get("/v1/models").json()["data"][0]["id"]
    assert body["tokens_predicted"] == body["timings"]["predicted_n"] == body["generation_settings"]["n_predict"] == 8
    timings = body["timings"]
    assert timings["prompt_n"] + timings["cache_n"] == body["tokens_evaluated"] == len(server.tokens(PROMPT))
    assert timings["predicted_per_second"] > 0


def test_a_stream_is_what_the_answer_is_whole(server: Server) -> None:
    whole = answer(server, prompt=PROMPT, **GREEDY)
    *pieces, last = frames_of(server, prompt=PROMPT, n_probs=2, **GREEDY)
    assert "".join(piece["content"] for piece in pieces) == whole["content"]
    assert sum(len(piece["tokens"]) for piece in pieces) == 8
    assert all(not piece["stop"] and len(piece["completion_probabilities"]) == len(piece["tokens"]) for piece in pieces)
    assert last["stop"] and last["content"] == "" and last["tokens_predicted"] == 8
    assert {**last, "timings": 0, "generation_settings": 0} == {**whole, "content": "", "timings": 0, "generation_settings": 0}


@pytest.mark.parametrize("path", ["/completion", "/v1/chat/completions"])
def test_a_stream_shows_its_times_and_the_progress_of_its_prompt(serve: Callable[..., Server], path: str) -> None:
    server = serve("-c", 1024, "--batch-size", 64)
    text = "word " * 150
    body = {"prompt": text, "messages": [{"role": "user", "content": text}], "stream": True, "max_tokens": 3, "ignore_eos": True}
    body.pop("messages" if path == "/completion" else "prompt")
    asked = body | {"timings_per_token": True, "return_progress": True}
    first, again = ([frame for frame in server.open_stream(path, **asked)] for _ in range(2))
    progress = [frame["prompt_progress"] for frame in first if "prompt_progress" in frame]
    total = progress[0]["total"]
    assert progress[0] == {"total": total, "cache": 0, "processed": 0, "time_ms": progress[0]["time_ms"]}
    assert [step["processed"] for step in progress[1:]] == [*range(64, total, 64), total], "as its steps are"
    assert sorted(step["time_ms"] for step in progress) == [step["time_ms"] for step in progress]
    timings = [frame["timings"] for frame in first if "timings" in frame]
    assert timings[-1]["prompt_n"] == total and timings[-1]["predicted_n"] == 3
    assert all(before["predicted_n"] <= after["predicted_n"] for before, after in zip(timings, timings[1:]))
    repeated = [frame["prompt_progress"] for frame in again if "prompt_progress" in frame]
    assert repeated[0]["cache"] == repeated[0]["processed"] > 0 and repeated[-1]["processed"] == total
    plain = [frame for frame in server.open_stream(path, **body)]
    assert not any("prompt_progress" in frame for frame in plain)
    assert path == "/completion" or not any("timings" in frame for frame in plain)


def test_several_prompts_are_answered_with_a_list(server: Server) -> None:
    tokens = server.tokens(PROMPT)
    answers = answer(server, prompt=[tokens, PROMPT, {"prompt_string": PROMPT}, [*tokens[:2], "capital of France is"]], **GREEDY)
    assert [each["index"] for each in answers] == [0, 1, 2, 3]
    assert len({each["content"] for each in answers[:3]}) == 1
    assert answers[0]["prompt"] == PROMPT
    pieces = frames_of(server, prompt=[PROMPT, "Once"], **GREEDY)
    assert {piece["index"] for piece in pieces} == {0, 1} and [piece["stop"] for piece in pieces[-2:]] == [True, True]


def test_how_an_answer_ends_is_said(server: Server) -> None:
    word = answer(server, prompt="1 2 3 4 5 6 7", temperature=0, stop=["10"], n_predict=40)
    assert word["stop_type"] == "word" and word["stopping_word"] == "10" and not word["content"].endswith("10")
    nothing = answer(server, prompt=PROMPT, n_predict=0)
    assert nothing["content"] == "" and nothing["tokens_predicted"] == 0
    assert answer(server, prompt=PROMPT, response_fields=["content", "timings/predicted_n"], **GREEDY)["timings/predicted_n"] == 8
    timed = answer(server, prompt="A poem in short lines:\n", ignore_eos=True, n_predict=2000, t_max_predict_ms=200)
    assert timed["stop_type"] == "limit" and timed["has_new_line"] and timed["tokens_predicted"] < 2000


def test_errors_are_llama_servers(server: Server) -> None:
    wrong = server.post("/completion", {"prompt": PROMPT, "n_probs": "x"})
    assert wrong.status_code == 400
    assert wrong.json()["error"]["code"] == 400 and wrong.json()["error"]["type"] == "invalid_request_error"
    infill = server.post("/infill", {"input_prefix": "a", "input_suffix": "b"})
    assert infill.status_code == 501 and infill.json()["error"]["type"] == "not_supported_error"
    long = server.post("/completion", {"prompt": "word " * 100_000})
    assert long.json()["error"]["type"] == "exceed_context_size_error"


def test_what_the_server_is(server: Server) -> None:
    props = server.get("/props").json()
    assert props["model_path"].endswith(".gguf") and props["chat_template"] and props["eos_token"]
    slots = server.get("/slots").json()
    assert len(slots) == props["total_slots"] and {slot["n_ctx"] for slot in slots} == {props["default_generation_settings"]["n_ctx"]}
    assert server.get("/slots?fail_on_no_slot=1").status_code == 200
    assert server.post("/slots/0?action=save", {"filename": "x"}).status_code == 501
    assert server.post("/props", {}).status_code == 501
    assert server.get("/lora-adapters").json() == []
    assert server.post("/lora-adapters", []).json() == {"success": True}
    assert server.post("/lora-adapters", [{"id": 0, "scale": 1}]).status_code == 400


def test_vllms_small_endpoints(server: Server) -> None:
    assert server.get("/version").json()["version"]
    assert server.get("/tokenizer_info").json()["eos_token"] == server.get("/props").json()["eos_token"]
    assert server.get("/ping").status_code == server.post("/ping", {}).status_code == 200
    tokens = server.tokens(PROMPT)
    body = server.post("/tokenize", {"prompt": PROMPT, "return_token_strs": True}).json()
    assert body["tokens"] == tokens and body["count"] == len(tokens) and "".join(body["token_strs"]) == PROMPT
    assert body["max_model_len"] == server.get("/props").json()["default_generation_settings"]["n_ctx"]
    assert server.post("/detokenize", {"model": "m", "tokens": tokens}).json()["prompt"] == PROMPT
    messages = [{"role": "user", "content": "Hi"}]
    chat = server.post("/v1/chat/completions", {"messages": messages, "max_tokens": 1}).json()
    assert server.post("/tokenize", {"messages": messages}).json()["count"] == chat["usage"]["prompt_tokens"]


def test_vllms_renders_are_what_answers_go_on_from(server: Server) -> None:
    (text, ids) = server.post("/v1/completions/render", {"prompt": ["The capital", [504, 253]], "max_tokens": 5}).json()
    assert text["token_ids"] == text["prompt_token_ids"] == server.tokens("The capital") and text["prompt"] == "The capital"
    assert ids["token_ids"] == [504, 253] and ids["prompt"] == server.post("/detokenize", {"tokens": [504, 253]}).json()["prompt"]
    chat = {"messages": [{"role": "user", "content": "Hi"}], "temperature": 0, "max_tokens": 4}
    rendered = server.post("/v1/chat/completions/render", chat).json()
    assert rendered["prompt"] == server.post("/apply-template", {"messages": chat["messages"]}).json()["prompt"]
    answer = server.post("/v1/chat/completions", chat).json()
    assert answer["usage"]["prompt_tokens"] == len(rendered["token_ids"])
    again = server.post("/v1/completions", {"prompt": rendered["token_ids"], "temperature": 0, "max_tokens": 4}).json()
    assert again["choices"][0]["text"] == answer["choices"][0]["message"]["content"]
    wrong = server.post("/v1/chat/completions/render", {"messages": [], "max_tokens": 4})
    assert wrong.status_code == 400 and wrong.json()["error"]["param"] == "messages"
