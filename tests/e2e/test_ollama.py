"""Ollama's API: by its real client and by plain requests, whole and streamed."""

from __future__ import annotations

import asyncio
import json

import ollama
import pytest
import requests
from clients import ANSWER_TIMEOUT_S, Json
from conftest import Server

ASK = {"role": "user", "content": "What is the weather in Paris?"}
GREEDY = {"temperature": 0, "num_predict": 12}
FRUIT = {
    "type": "object",
    "properties": {"color": {"type": "string", "maxLength": 10}, "sweet": {"type": "boolean"}},
    "required": ["color", "sweet"],
}


def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
      city: its name
    """
    return f"sunny in {city}"


@pytest.fixture
def client(server: Server) -> ollama.Client:
    return ollama.Client(host=server.url)


@pytest.fixture
def model(client: ollama.Client) -> str:
    return client.list().models[0].model


def lines_of(server: Server, path: str, body: Json) -> list[Json]:
    response = requests.post(server.url + path, json=body, timeout=ANSWER_TIMEOUT_S)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def test_a_chat_streamed_is_what_it_is_whole(client: ollama.Client, model: str) -> None:
    whole = client.chat(model, [ASK], options=GREEDY)
    assert whole.message.content and whole.done and whole.done_reason == "length"
    assert whole.eval_count == 12 and whole.prompt_eval_count > 5
    assert whole.total_duration >= whole.eval_duration > 0 and whole.model == model
    pieces = list(client.chat(model, [ASK], options=GREEDY, stream=True))
    assert "".join(piece.message.content for piece in pieces) == whole.message.content
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert pieces[-1].eval_count == 12


def test_a_prompt_is_answered_as_a_chat(client: ollama.Client, model: str) -> None:
    chat = client.chat(model, [{"role": "system", "content": "Be short."}, ASK], options=GREEDY)
    text = client.generate(model, ASK["content"], system="Be short.", options=GREEDY)
    assert text.response == chat.message.content
    raw = client.generate(model, "The capital of France is", raw=True, options=GREEDY)
    assert raw.response and raw.prompt_eval_count < text.prompt_eval_count
    assert "".join(piece.response for piece in client.generate(model, "The capital of France is", raw=True, options=GREEDY, stream=True)) \
        == raw.response


def test_the_async_client_streams(server: Server, model: str) -> None:
    async def run() -> str:
        return "".join([piece.message.content async for piece in
                        await ollama.AsyncClient(host=server.url).chat(model, [ASK], options=GREEDY, stream=True)])

    assert asyncio.run(run())


def test_streaming_is_what_is_done_where_nothing_is_said(server: Server) -> None:
    lines = lines_of(server, "/api/chat", {"model": "m", "messages": [ASK], "options": GREEDY})
    assert len(lines) > 2 and lines[-1]["done"] and all("created_at" in line for line in lines)


def test_an_answer_fits_its_format(client: ollama.Client, model: str) -> None:
    fruit = json.loads(client.chat(model, [{"role": "user", "content": "An apple as JSON"}], format=FRUIT).message.content)
    assert set(fruit) == {"color", "sweet"} and isinstance(fruit["sweet"], bool)
    assert client.generate(model, "An apple as JSON", format="json", options=GREEDY).response.startswith("{")


def test_tools_may_be_functions(client: ollama.Client, model: str) -> None:
    answer = client.chat(model, [ASK], tools=[get_weather], options={"num_predict": 64})
    history = [ASK, answer.message, {"role": "tool", "tool_name": "get_weather", "content": "sunny"}]
    assert client.chat(model, history, tools=[get_weather], options=GREEDY).message.content is not None


def test_a_call_is_whole_and_its_arguments_an_object(server: Server) -> None:
    tool = {"type": "function", "function": {
        "name": "f", "parameters": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["n"]}}}
    body = {"model": "m", "messages": [ASK], "tools": [tool], "tool_choice": "required"}
    lines = lines_of(server, "/api/chat", body)
    [call] = [call for line in lines for call in line["message"].get("tool_calls", [])]
    assert call["function"]["name"] == "f" and 1 <= call["function"]["arguments"]["n"] <= 9


def test_models_are_shown(client: ollama.Client, model: str) -> None:
    assert model.endswith(":latest")
    shown = client.show(model)
    assert shown.details.quantization_level and shown.modelinfo["llama.context_length"] > 0
    assert "completion" in shown.capabilities and "tools" in shown.capabilities
    [running] = client.ps().models
    assert running.model == model and running.context_length == 512
    assert client.pull(model).status == "success"
    assert [progress.status for progress in client.pull(model, stream=True)] == ["success"]


def test_a_model_is_loaded_by_an_empty_request(client: ollama.Client, model: str) -> None:
    loaded = client.generate(model)
    assert loaded.done and loaded.done_reason == "load" and loaded.response == ""


def test_errors_are_those_that_the_client_knows(client: ollama.Client, model: str) -> None:
    with pytest.raises(ollama.ResponseError, match="num_ctx 100000 is more than the 512 tokens") as wrong:
        client.chat(model, [ASK], options={"num_ctx": 100_000})
    assert wrong.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="not served here") as missing:
        client.show("llama3.2")
    assert missing.value.status_code == 404
    for managed in (lambda: client.delete(model), lambda: client.copy(model, "x"), lambda: client.create("x", from_=model),
                    lambda: client.pull("llama3.2")):
        with pytest.raises(ollama.ResponseError, match="cllm pull"):
            managed()
    with pytest.raises(ollama.ResponseError, match="images"):
        client.generate(model, "x", images=["aGVsbG8="])


def test_the_server_is_found_alive(server: Server) -> None:
    assert requests.head(server.url, timeout=ANSWER_TIMEOUT_S).status_code == 200
    assert server.get("/api/version").json()["version"].count(".") == 2
