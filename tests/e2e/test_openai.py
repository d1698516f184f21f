"""The OpenAI endpoints, driven by the real `openai` client."""

from __future__ import annotations

import math

import openai
import pytest
from conftest import Server

MESSAGES = [{"role": "user", "content": "Name three fruits."}]
STORY = "Once upon a time"
ANY_MODEL = "whatever"


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


def chat(client: openai.OpenAI, **fields):
    return client.chat.completions.create(**{"model": ANY_MODEL, "messages": MESSAGES, "max_tokens": 12, "temperature": 0,
                                             **fields})


def complete(client: openai.OpenAI, **fields):
    return client.completions.create(**{"model": ANY_MODEL, "prompt": STORY, "max_tokens": 12, "temperature": 0, **fields})


def test_models(client: openai.OpenAI, server: Server) -> None:
    (model,) = client.models.list().data
    assert model.id == server.health()["model"]["id"]
    assert model.object == "model" and model.owned_by == "cllm" and model.created > 0


def test_chat(client: openai.OpenAI) -> None:
    answer = chat(client)
    assert answer.id.startswith("chatcmpl-") and answer.object == "chat.completion" and answer.created > 0
    (choice,) = answer.choices
    assert choice.index == 0 and choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length") and choice.logprobs is None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert 0 < answer.usage.completion_tokens <= 12


def test_completion(client: openai.OpenAI, server: Server) -> None:
    answer = complete(client, extra_body={"ignore_eos": True})
    assert answer.id.startswith("cmpl-") and answer.object == "text_completion"
    (choice,) = answer.choices
    assert choice.finish_reason == "length" and answer.usage.completion_tokens == 12
    assert answer.usage.prompt_tokens == len(server.tokens(STORY))
    assert choice.text == server.generate(prompt=STORY, max_tokens=12, ignore_eos=True, temperature=0)["text"]


def test_completion_of_token_ids(client: openai.OpenAI, server: Server) -> None:
    assert complete(client, prompt=server.tokens(STORY)).choices[0].text == complete(client).choices[0].text
    assert complete(client, prompt=[STORY]).choices[0].text == complete(client).choices[0].text


def test_streamed_chat(client: openai.OpenAI) -> None:
    chat(client)  # then all that follow find the same in the cache
    whole = chat(client)
    chunks = list(chat(client, stream=True, stream_options={"include_usage": True}))
    assert {chunk.id for chunk in chunks} == {chunks[0].id} and chunks[0].object == "chat.completion.chunk"
    assert chunks[0].choices[0].delta.role == "assistant"
    *rest, usage = chunks
    assert usage.choices == [] and usage.usage == whole.usage
    assert all(chunk.usage is None for chunk in rest)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in rest) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in rest if chunk.choices[0].finish_reason] == [
        whole.choices[0].finish_reason]


def test_streamed_completion(client: openai.OpenAI) -> None:
    complete(client)  # then all that follow find the same in the cache
    whole = complete(client)
    chunks = list(complete(client, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    *_, usage = complete(client, stream=True, stream_options={"include_usage": True})
    assert usage.choices == [] and usage.usage == whole.usage


def test_a_stream_ends_with_done(server: Server) -> None:
    body = {"prompt": STORY, "max_tokens": 2, "stream": True}
    assert server.post("/v1/completions", body).text.endswith("data: [DONE]\n\n")
    body = {"messages": MESSAGES, "max_tokens": 2, "stream": True}
    assert server.post("/v1/chat/completions", body).text.endswith("data: [DONE]\n\n")


def check_chat_logprobs(entries, text: str, top: int) -> None:
    assert b"".join(bytes(entry.bytes) for entry in entries).decode() == text
    for entry in entries:
        assert entry.logprob <= 0 and math.isfinite(entry.logprob)
        assert len(entry.top_logprobs) == top
        logprobs = [other.logprob for other in entry.top_logprobs]
        assert logprobs == sorted(logprobs, reverse=True) and all(value <= 0 for value in logprobs)
        assert sum(math.exp(value) for value in logprobs) <= 1.0001
        # Greedy: the chosen token is the most likely one.
        assert not top or (entry.top_logprobs[0].token, entry.top_logprobs[0].logprob) == (entry.token, entry.logprob)


@pytest.mark.parametrize("top", [0, 5, 20])
def test_chat_logprobs(client: openai.OpenAI, top: int) -> None:
    whole = chat(client, logprobs=True, top_logprobs=top).choices[0]
    check_chat_logprobs(whole.logprobs.content, whole.message.content, top)
    entries = []
    for chunk in chat(client, logprobs=True, top_logprobs=top, stream=True):
        if chunk.choices[0].logprobs:
            entries += chunk.choices[0].logprobs.content
    assert entries == whole.logprobs.content


def test_logprobs_with_characters_of_several_tokens(client: openai.OpenAI) -> None:
    answer = chat(client, messages=[{"role": "user", "content": "Repeat: 😀🎉👩‍👩‍👧 语言"}], max_tokens=24, logprobs=True,
                  temperature=1.5, seed=5, extra_body={"ignore_eos": True})
    entries = answer.choices[0].logprobs.content
    assert len(entries) == answer.usage.completion_tokens
    shown = b"".join(bytes(entry.bytes) for entry in entries).decode("utf-8", errors="replace")
    assert shown == answer.choices[0].message.content


def test_completion_logprobs(client: openai.OpenAI) -> None:
    answer = complete(client, logprobs=3, extra_body={"ignore_eos": True})
    logprobs, text = answer.choices[0].logprobs, answer.choices[0].text
    assert "".join(logprobs.tokens) == text
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == 12
    assert [text[offset:].startswith(token) for offset, token in zip(logprobs.text_offset, logprobs.tokens)] == [True] * 12
    for token, logprob, top in zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs):
        assert len(top) <= 3 and top[token] == logprob <= 0
    chunks = list(complete(client, logprobs=3, stream=True, extra_body={"ignore_eos": True}))
    offsets = [offset for chunk in chunks if chunk.choices[0].logprobs for offset in chunk.choices[0].logprobs.text_offset]
    assert offsets == logprobs.text_offset


def test_logprobs_leave_the_answer_alone(client: openai.OpenAI) -> None:
    fields = {"temperature": 1.0, "seed": 7}
    assert chat(client, **fields, logprobs=True, top_logprobs=20).choices[0].message == chat(client, **fields).choices[0].message


def test_stop(client: openai.OpenAI) -> None:
    text = complete(client).choices[0].text
    answer = complete(client, stop=[text[10:14]]).choices[0]
    assert answer.text == text[:text.index(text[10:14])] and answer.finish_reason == "stop"
    assert "".join(chunk.choices[0].text for chunk in complete(client, stop=text[10:14], stream=True)) == answer.text


def test_seed(client: openai.OpenAI) -> None:
    fields = {"temperature": 1.5, "max_tokens": 16}
    one, same, other = (chat(client, **fields, seed=seed) for seed in (1, 1, 2))
    assert one.choices[0].message == same.choices[0].message != other.choices[0].message
    assert one.model_extra["seed"] == 1


def test_system_and_developer_are_the_same_role(client: openai.OpenAI) -> None:
    prompts = [[{"role": role, "content": "Answer in one word."}, *MESSAGES] for role in ("system", "developer")]
    system, developer = (chat(client, messages=messages) for messages in prompts)
    assert system.choices[0].message == developer.choices[0].message
    assert system.usage.prompt_tokens == developer.usage.prompt_tokens != chat(client).usage.prompt_tokens


def test_content_parts_are_joined_as_lines(client: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": "Name three"}, {"type": "text", "text": "fruits."}]
    answer = chat(client, messages=[{"role": "user", "content": parts}])
    whole = chat(client, messages=[{"role": "user", "content": "Name three\nfruits."}])
    assert answer.usage.prompt_tokens == whole.usage.prompt_tokens and answer.choices[0].message == whole.choices[0].message


def test_max_completion_tokens(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=ANY_MODEL, messages=MESSAGES, max_completion_tokens=3,
                                            extra_body={"ignore_eos": True})
    assert answer.usage.completion_tokens == 3 and answer.choices[0].finish_reason == "length"


def test_what_changes_nothing_is_accepted(client: openai.OpenAI) -> None:
    assert chat(client, user="me", metadata={"a": "b"}, store=False, n=1, tools=[], response_format={"type": "text"})


def test_several_answers_to_one_prompt(client: openai.OpenAI) -> None:
    sampled = {"temperature": 1.5, "seed": 3, "max_tokens": 12, "extra_body": {"ignore_eos": True}}
    alone = chat(client, **sampled)
    answer = chat(client, n=3, **sampled)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    texts = [choice.message.content for choice in answer.choices]
    assert len(set(texts)) == 3 and texts[0] == alone.choices[0].message.content
    assert answer.usage.completion_tokens == 36 and answer.usage.prompt_tokens == alone.usage.prompt_tokens
    streamed, ends = ["", "", ""], {}
    for chunk in chat(client, n=3, stream=True, **sampled):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    assert streamed == texts and ends == dict.fromkeys(range(3), "length")


def test_several_prompts(client: openai.OpenAI) -> None:
    prompts = ["The river", "The mountain is"]
    fields = {"max_tokens": 6, "extra_body": {"ignore_eos": True}}
    alone = [complete(client, prompt=prompt, **fields).choices[0].text for prompt in prompts]
    answer = complete(client, prompt=prompts, **fields)
    assert [choice.text for choice in answer.choices] == alone
    assert answer.usage.completion_tokens == 12
    answer = complete(client, prompt=prompts, n=2, **fields)
    assert [choice.text for choice in answer.choices] == [alone[0], alone[0], alone[1], alone[1]]


@pytest.mark.parametrize(("fields", "param"), [
    ({"temperature": 3}, "temperature"), ({"max_tokens": 0}, "max_tokens"), ({"tool_choice": "required"}, "tool_choice"),
    ({"n": 0}, "n"), ({"messages": []}, "messages"), ({"top_logprobs": 2}, "top_logprobs"),
    ({"response_format": {"type": "yaml"}}, "response_format"),
    ({"extra_body": {"temprature": 1}}, "temprature"), ({"messages": [{"role": "user", "content": "word " * 2000}]}, "messages"),
], ids=lambda value: value if isinstance(value, str) else None)
@pytest.mark.parametrize("stream", [False, True])
def test_errors(client: openai.OpenAI, fields: dict, param: str, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, **fields, stream=stream)
    assert caught.value.param == param and caught.value.type == "invalid_request_error"
    assert param in caught.value.message or param == "messages"


def test_an_unknown_endpoint_raises_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.moderations.create(model=ANY_MODEL, input="x")
