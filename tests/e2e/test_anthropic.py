"""Anthropic's Messages: by its real client and by plain requests, whole and streamed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import anthropic
import pytest
import requests
from anthropic.types import Message, RawMessageStreamEvent
from conftest import Server
from pydantic import TypeAdapter

ASK = {"role": "user", "content": "What is the weather in Paris?"}
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
}
MODEL = "claude-opus-4-8"


def client_of(server: Server, key: str = "none") -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key=key, max_retries=0)


@pytest.fixture
def client(server: Server) -> anthropic.Anthropic:
    return client_of(server)


def post(server: Server, **fields: object) -> requests.Response:
    body = {"model": MODEL, "max_tokens": 12, "temperature": 0, "messages": [ASK], **fields}
    return server.post("/v1/messages?beta=true", body, headers={"anthropic-version": "2023-06-01"})


def test_an_answer_is_what_the_clients_types_are(server: Server) -> None:
    response = post(server)
    assert response.status_code == 200, response.text
    message = TypeAdapter(Message).validate_json(response.content, strict=True)
    assert message.stop_reason == "max_tokens" and message.usage.output_tokens == 12
    assert message.content[0].type == "text" and message.content[0].text


def test_each_event_is_what_the_clients_types_are(server: Server) -> None:
    response = post(server, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    types = []
    for line in response.text.splitlines():
        if line.startswith("data: "):
            event = TypeAdapter(RawMessageStreamEvent).validate_json(line[6:], strict=True)
            types.append(event.type)
    assert types[:2] == ["message_start", "content_block_start"]
    assert types[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(types[2:-3]) == {"content_block_delta"}


def test_the_client_streams_what_it_gets_whole(client: anthropic.Anthropic) -> None:
    asked = {"model": MODEL, "max_tokens": 16, "extra_body": {"temperature": 0}, "messages": [ASK], "system": "Be short."}
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.stop_reason == whole.stop_reason
    # What was computed for the first answer is not computed again.
    used = final.usage
    assert used.input_tokens + used.cache_read_input_tokens == whole.usage.input_tokens + whole.usage.cache_read_input_tokens
    assert used.cache_read_input_tokens > 0


def test_the_async_client_streams(server: Server) -> None:
    async def run() -> str:
        async with anthropic.AsyncAnthropic(base_url=server.url, api_key="none", max_retries=0) as client:
            async with client.messages.stream(model=MODEL, max_tokens=8, messages=[ASK]) as stream:
                return "".join([text async for text in stream.text_stream])

    assert asyncio.run(run())


def test_a_demanded_call_goes_round(client: anthropic.Anthropic) -> None:
    asked = {"model": MODEL, "max_tokens": 256, "tools": [WEATHER], "tool_choice": {"type": "tool", "name": "get_weather"}}
    answer = client.messages.create(messages=[ASK], **asked)
    assert answer.stop_reason == "tool_use"
    call = answer.content[-1]
    assert call.type == "tool_use" and call.name == "get_weather"
    assert isinstance(call.input["city"], str) and 1 <= call.input["days"] <= 9
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "sunny"}]}
    told = client.messages.create(
        model=MODEL, max_tokens=8, tools=[WEATHER],
        messages=[ASK, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}])
    assert told.content


def test_a_streamed_call_has_its_arguments(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model=MODEL, max_tokens=256, messages=[ASK], tools=[WEATHER], tool_choice={"type": "any"}) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        final = stream.get_final_message()
    assert json.loads("".join(pieces)) == final.content[-1].input
    assert final.stop_reason == "tool_use"


def test_a_stop_sequence_is_named(server: Server, client: anthropic.Anthropic) -> None:
    text = post(server).json()["content"][0]["text"]
    stop = text[4:7]
    stopped = client.messages.create(model=MODEL, max_tokens=12, extra_body={"temperature": 0}, messages=[ASK], stop_sequences=[stop])
    assert stopped.stop_reason == "stop_sequence" and stopped.stop_sequence == stop
    assert stopped.content[0].text == text[: text.index(stop)]


def test_an_answer_goes_on_from_its_beginning(client: anthropic.Anthropic) -> None:
    begun = client.messages.create(model=MODEL, max_tokens=8, extra_body={"temperature": 0},
                                   messages=[ASK, {"role": "assistant", "content": "The weather in Paris is"}])
    assert begun.content[0].text and not begun.content[0].text.startswith("The weather")


def test_tokens_are_counted_as_they_are_used(client: anthropic.Anthropic, server: Server) -> None:
    asked = {"model": MODEL, "messages": [ASK], "system": "Be short.", "tools": [WEATHER]}
    count = client.messages.count_tokens(**asked).input_tokens
    assert server.post("/messages", {"messages": [ASK], "max_tokens": 1}).json()["type"] == "message", "for clients that know no version"
    used = client.messages.create(max_tokens=1, **asked).usage
    assert count == used.input_tokens + used.cache_read_input_tokens


def test_models_are_listed_as_the_client_knows_them(client: anthropic.Anthropic, server: Server) -> None:
    models = client.models.list().data
    assert [model.type for model in models] == ["model"] and models[0].created_at.year > 2000
    assert client.models.retrieve(models[0].id).display_name == models[0].display_name
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("claude-none")
    # OpenAI's clients get theirs.
    assert server.get("/v1/models").json()["object"] == "list"


def test_errors_are_those_that_the_client_knows(client: anthropic.Anthropic, serve: Callable[..., Server]) -> None:
    with pytest.raises(anthropic.BadRequestError) as wrong:
        client.messages.create(model=MODEL, max_tokens=1, messages=[{"role": "user", "content": [{"type": "image", "source": {}}]}])
    assert wrong.value.body["error"]["type"] == "invalid_request_error"
    assert "messages[0].content[0].type" in wrong.value.body["error"]["message"]
    with pytest.raises(anthropic.BadRequestError, match="web_search"):
        client.messages.create(model=MODEL, max_tokens=1, messages=[ASK],
                               tools=[{"type": "web_search_20250305", "name": "web_search"}])
    locked = serve("--api-key", "secret")
    with pytest.raises(anthropic.AuthenticationError):
        client_of(locked, "wrong").messages.create(model=MODEL, max_tokens=1, messages=[ASK])
    assert client_of(locked, "secret").messages.create(model=MODEL, max_tokens=1, messages=[ASK]).content
