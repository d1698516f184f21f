"""What the `openai` client does beside plain calls: histories, raw answers, asynchronous calls, helpers for streams."""

from __future__ import annotations

import asyncio

import openai
import pytest
from conftest import Server

QUESTION = {"role": "user", "content": "Name three fruits."}
FIELDS = {"model": "any", "messages": [QUESTION], "max_tokens": 8, "temperature": 0}


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


def test_an_answer_goes_back_as_history(client: openai.OpenAI) -> None:
    message = client.chat.completions.create(**FIELDS).choices[0].message
    histories = [message, message.model_dump(), {"role": "assistant", "content": message.content}]
    answers = [client.chat.completions.create(**{**FIELDS, "messages": [QUESTION, history, QUESTION]}) for history in histories]
    assert len({(answer.choices[0].message.content, answer.usage.prompt_tokens) for answer in answers}) == 1


def test_raw_answers(client: openai.OpenAI) -> None:
    parsed = client.chat.completions.create(**FIELDS)
    raw = client.chat.completions.with_raw_response.create(**FIELDS, extra_headers={"X-Request-Id": "mine"})
    assert raw.status_code == 200 and raw.headers["x-request-id"] == "mine"
    assert raw.parse().choices == parsed.choices
    with client.chat.completions.with_streaming_response.create(**FIELDS) as streamed:
        assert streamed.headers["x-request-id"] and streamed.parse().choices == parsed.choices


def test_the_helper_for_streams(client: openai.OpenAI) -> None:
    end = client.chat.completions.create(**FIELDS).choices[0].message.content[-1]
    with client.chat.completions.stream(**FIELDS, stop=[end]) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
        (choice,) = stream.get_final_completion().choices
    assert choice.finish_reason == "stop" and choice.message.content == text != ""


def test_models_by_their_ids(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert client.models.retrieve(model.id) == model
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("no/such model")
    assert error.value.code == "model_not_found" and error.value.request_id


def test_asynchronous_calls_side_by_side(client: openai.OpenAI, server: Server) -> None:
    expected = client.chat.completions.create(**FIELDS).choices[0].message.content

    async def whole(side: openai.AsyncOpenAI) -> str:
        return (await side.chat.completions.create(**FIELDS)).choices[0].message.content

    async def streamed(side: openai.AsyncOpenAI) -> str:
        return "".join([chunk.choices[0].delta.content or "" async for chunk in await side.chat.completions.create(**FIELDS, stream=True)])

    async def both() -> list[str]:
        async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0) as side:
            return await asyncio.gather(whole(side), streamed(side), whole(side))

    assert asyncio.run(both()) == [expected] * 3


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError, match="This model's maximum context length is 512 tokens. However,") as error:
        client.chat.completions.create(**{**FIELDS, "messages": [{"role": "user", "content": "word " * 600}]}, stream=stream)
    assert error.value.code == "context_length_exceeded" and error.value.param == "messages"
