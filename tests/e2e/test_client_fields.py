"""What clients send beside the fields of OpenAI: obeyed, refused by its name, or left aside."""

import json

import pytest

from conftest import Server

HELLO = {"prompt": "Once upon a time", "max_tokens": 8, "temperature": 0}


def completion(server: Server, **fields: object) -> dict:
    response = server.post("/v1/completions", {**HELLO, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def text(server: Server, **fields: object) -> str:
    return completion(server, **fields)["choices"][0]["text"]


def test_echo_of_text_and_of_tokens(server: Server) -> None:
    answer = text(server)
    assert text(server, echo=True) == HELLO["prompt"] + answer
    ids = server.tokens(HELLO["prompt"])
    assert text(server, prompt=ids) == answer
    assert text(server, prompt=ids, echo=True) == HELLO["prompt"] + answer
    frames = [json.loads(line[6:]) for line in server.post("/v1/completions", {**HELLO, "echo": True, "stream": True}).text.splitlines()
              if line.startswith("data: {")]
    assert "".join(frame["choices"][0]["text"] for frame in frames) == HELLO["prompt"] + answer


def test_a_prompt_of_tokens_and_text(server: Server) -> None:
    first, second = server.tokens("Once upon"), " a time"
    assert text(server, prompt=[*first, second]) == text(server)
    choices = completion(server, prompt=[[*first, second], HELLO["prompt"]])["choices"]
    assert choices[0]["text"] == choices[1]["text"] == text(server)


def test_best_of_is_the_likeliest(server: Server) -> None:
    fields = {"temperature": 1.5, "seed": 5, "logprobs": 0, "ignore_eos": True}

    def mean(choice: dict) -> float:
        return sum(choice["logprobs"]["token_logprobs"]) / len(choice["logprobs"]["token_logprobs"])

    all_four = completion(server, n=4, **fields)["choices"]
    best = completion(server, n=2, best_of=4, **fields)
    assert [choice["text"] for choice in best["choices"]] == [choice["text"] for choice in sorted(all_four, key=mean, reverse=True)[:2]]
    assert [choice["index"] for choice in best["choices"]] == [0, 1]
    assert best["usage"]["completion_tokens"] == 4 * HELLO["max_tokens"]
    assert completion(server, n=1, best_of=2, temperature=1.5, seed=5)["choices"][0]["logprobs"] is None


def test_the_stop_string_is_a_part_where_that_is_wanted(server: Server) -> None:
    answer = text(server)
    stop = answer[5:8]
    end = answer.index(stop)
    assert text(server, stop=stop) == answer[:end]
    assert text(server, stop=stop, include_stop_str_in_output=True) == answer[:end] + stop


def test_usage_in_every_chunk(server: Server) -> None:
    body = {**HELLO, "stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    frames = [json.loads(line[6:]) for line in server.post("/v1/completions", body).text.splitlines() if line.startswith("data: {")]
    counts = [frame["usage"]["completion_tokens"] for frame in frames]
    assert counts == sorted(counts) and counts[-1] == 8 and counts[0] < 8
    assert {frame["usage"]["prompt_tokens"] for frame in frames} == {len(server.tokens(HELLO["prompt"]))}


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_a_prompt_that_does_not_fit(server: Server, path: str) -> None:
    long = "word " * 600
    body = {"prompt": long} if path == "/v1/completions" else {"messages": [{"role": "user", "content": long}]}
    field = next(iter(body))
    for fields in ({}, {"max_tokens": 10}):
        response = server.post(path, {**body, **fields})
        assert response.status_code == 400
        error = response.json()["error"]
        assert (error["code"], error["type"], error["param"]) == ("context_length_exceeded", "invalid_request_error", field)
        assert error["message"].startswith(f"This model's maximum context length is 512 tokens. However, your {field} resulted in ")
        assert "max_tokens" not in error["message"]


def test_a_seed_below_zero_comes_back(server: Server) -> None:
    fields = {"temperature": 1.0, "seed": -(2**63)}
    one, two = completion(server, **fields), completion(server, **fields)
    assert one["seed"] == -(2**63) and one["choices"] == two["choices"]


def test_the_fingerprint_stays(server: Server) -> None:
    one = completion(server)["system_fingerprint"]
    assert one.startswith("cllm-") and completion(server, prompt="Other")["system_fingerprint"] == one


def test_legacy_logprobs_of_cut_characters(server: Server) -> None:
    logprobs = completion(server, prompt="Emoji: 🎉 😀 🎈 🎊", logprobs=5, max_tokens=40, ignore_eos=True)["choices"][0]
    answer, logprobs = logprobs["text"], logprobs["logprobs"]
    for token, value, top in zip(logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True):
        assert top[token] == value and 5 <= len(top) <= 6
    offsets = logprobs["text_offset"]
    assert offsets == sorted(offsets) and offsets[0] == 0 and offsets[-1] <= len(answer)


def test_alias_and_seed_of_the_server(serve) -> None:
    server = serve("--max-context-length", 256, "--alias", "my model", "--seed", 7)
    one, two = completion(server, temperature=1.0), completion(server, temperature=1.0)
    assert one["model"] == "my model" and one["seed"] == 7 and one["choices"] == two["choices"]
    assert server.get("/v1/models").json()["data"][0]["id"] == "my model"


def test_unknown_fields_are_refused_where_that_is_set(serve) -> None:
    server = serve("--max-context-length", 256, "--unknown-fields", "reject")
    response = server.post("/v1/completions", {**HELLO, "made_up": 1})
    assert response.status_code == 400 and response.json()["error"]["param"] == "made_up"
    assert server.post("/v1/completions", {**HELLO, "made_up": None}).status_code == 200
