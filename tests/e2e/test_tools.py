"""Tools, as agents use them: declared, demanded, called, answered, in whole answers and in streams."""

from __future__ import annotations

import json
from collections.abc import Callable

import openai
import pytest
import requests
from conftest import Server

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 20},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 9},
            },
            "required": ["city", "unit", "days"],
            "additionalProperties": False,
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {"zone": {"type": "string", "maxLength": 12}}, "required": ["zone"]}}}
ASK = [{"role": "user", "content": "What is the weather in Paris?"}]


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


def post(server: Server, **fields) -> requests.Response:
    body = {"messages": ASK, "tools": [WEATHER, CLOCK], "max_tokens": 256, "temperature": 0, **fields}
    return requests.post(server.url + "/v1/chat/completions", json=body, timeout=120)


def choice_of(response: requests.Response) -> dict:
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]


def check_weather(call: dict) -> None:
    assert call["type"] == "function" and call["id"] and call["function"]["name"] == "get_weather"
    arguments = json.loads(call["function"]["arguments"])
    assert set(arguments) == {"city", "unit", "days"} and arguments["unit"] in ("celsius", "fahrenheit") and 1 <= arguments["days"] <= 9


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_demanded_call_is_there_and_valid(server: Server, choice) -> None:
    for seed in range(10):
        answer = choice_of(post(server, tool_choice=choice, temperature=1.2, seed=seed))
        assert answer["finish_reason"] == "tool_calls", answer
        (call,) = answer["message"]["tool_calls"]
        assert answer["message"]["content"] is None
        if call["function"]["name"] == "get_weather":
            check_weather(call)
        else:
            assert choice == "required" and set(json.loads(call["function"]["arguments"])) >= {"zone"}


def test_several_calls_where_they_are_asked_for(server: Server) -> None:
    answer = choice_of(post(server, tool_choice="required", parallel_tool_calls=True, max_tokens=600))
    calls = answer["message"]["tool_calls"]
    assert len({call["id"] for call in calls}) == len(calls)


def test_calls_stream_name_first_then_arguments(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(
        model="any", messages=ASK, tools=[WEATHER], tool_choice="required", max_tokens=256, temperature=0, stream=True))
    pieces = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or []]
    assert pieces[0].function.name == "get_weather" and pieces[0].id and all(not piece.function.name for piece in pieces[1:])
    assert len(pieces) > 2, "arguments come in pieces"
    arguments = json.loads("".join(piece.function.arguments for piece in pieces))
    assert set(arguments) == {"city", "unit", "days"}
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason] == ["tool_calls"]


def test_the_stream_is_the_whole_answer(client: openai.OpenAI, server: Server) -> None:
    whole = choice_of(post(server, tools=[WEATHER], tool_choice="required"))["message"]["tool_calls"][0]["function"]
    chunks = client.chat.completions.create(model="any", messages=ASK, tools=[WEATHER], tool_choice="required", max_tokens=256, temperature=0, stream=True)
    text = "".join(call.function.arguments for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or [])
    assert text == whole["arguments"]


def test_a_conversation_with_calls_and_results(client: openai.OpenAI) -> None:
    messages: list = [{"role": "system", "content": "Be brief."}, *ASK]
    answer = client.chat.completions.create(model="any", messages=messages, tools=[WEATHER], tool_choice="required", max_tokens=256, temperature=0)
    message = answer.choices[0].message
    messages.append(message.model_dump())
    messages += [{"role": "tool", "tool_call_id": call.id, "content": '{"sky": "clear"}'} for call in message.tool_calls]
    messages.append({"role": "user", "content": "Thanks. And tomorrow?"})
    after = client.chat.completions.create(model="any", messages=messages, tools=[WEATHER], max_tokens=32, temperature=0)
    assert after.choices[0].message.content or after.choices[0].message.tool_calls


def test_functions_as_they_were(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="any", messages=ASK, functions=[WEATHER["function"]], function_call={"name": "get_weather"}, max_tokens=256, temperature=0)
    (choice,) = answer.choices
    assert choice.finish_reason == "function_call" and choice.message.function_call.name == "get_weather"
    json.loads(choice.message.function_call.arguments)


def called_before(arguments: dict | None = None) -> list[dict]:
    """A conversation after which the model calls again, with arguments that its tool doesn't take if nobody keeps it from that."""
    messages: list[dict] = []
    for number, city in enumerate(("Rome", "Oslo", "Lima")):
        call = {"name": "get_weather", "arguments": json.dumps(arguments or {"town": city})}
        messages += [
            {"role": "user", "content": f"What is the weather in {city}?"},
            {"role": "assistant", "content": "", "tool_calls": [{"id": f"c{number}", "type": "function", "function": call}]},
            {"role": "tool", "tool_call_id": f"c{number}", "content": '{"sky": "clear"}'},
            {"role": "assistant", "content": "Clear."},
        ]
    return [*messages, *ASK]


def calling(server: Server, **fields) -> dict:
    """An answer to it. A small model takes up the results of calls, too, unless it can't write the word."""
    (word,) = server.post("/tokenize", {"content": "response"}).json()["tokens"]
    return choice_of(post(server, messages=called_before(), tools=[WEATHER], banned_token_ids=[word], **fields))


@pytest.fixture
def roomy(serve: Callable[..., Server]) -> Server:
    return serve("-c", 1024)


def test_a_call_that_may_come_keeps_its_schema_from_its_beginning_on(roomy: Server) -> None:
    for seed in range(8):
        answer = calling(roomy, temperature=1, seed=seed, return_raw=True, parallel_tool_calls=False)
        if "tool_calls" not in answer["message"]:
            assert "<tool_call>" not in answer["raw_text"], answer
            continue
        (call,) = answer["message"]["tool_calls"]
        check_weather(call)
        assert answer["raw_text"].startswith("<tool_call>") and answer["raw_text"].endswith("</tool_call>"), "the one call is the end"
    greedy = calling(roomy)
    for call in greedy["message"]["tool_calls"]:
        check_weather(call)
    assert greedy["finish_reason"] == "tool_calls"


def test_such_a_call_is_the_same_in_streams_with_logprobs_and_again(roomy: Server) -> None:
    def calls(**fields) -> list[dict]:
        return [call["function"] for call in calling(roomy, **fields)["message"]["tool_calls"]]

    first = calls()
    assert first == calls() == calls(logprobs=True)
    (word,) = roomy.post("/tokenize", {"content": "response"}).json()["tokens"]
    client = openai.OpenAI(base_url=roomy.url + "/v1", api_key="none", max_retries=0)
    chunks = client.chat.completions.create(
        model="any", messages=called_before(), tools=[WEATHER], max_tokens=256, temperature=0, stream=True,
        extra_body={"banned_token_ids": [word], "return_raw": True})
    texts: dict[int, str] = {}
    for chunk in chunks:
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            texts[call.index] = texts.get(call.index, "") + (call.function.arguments or "")
        if chunk.choices and chunk.choices[0].finish_reason:
            assert chunk.choices[0].raw_text.startswith("<tool_call>")
    assert list(texts.values()) == [call["arguments"] for call in first]


def test_an_answer_is_a_call_or_keeps_the_schema_of_its_content(roomy: Server) -> None:
    schema = {"type": "object", "properties": {"sky": {"enum": ["clear", "grey"]}}, "required": ["sky"]}
    fields = {"response_format": {"type": "json_schema", "json_schema": {"name": "sky", "schema": schema}}, "temperature": 1, "parallel_tool_calls": False}
    (mark,) = roomy.post("/tokenize", {"content": "<"}).json()["tokens"]
    kinds = set()
    for seed in range(4):
        for answer in (calling(roomy, **fields, seed=seed), choice_of(post(roomy, **fields, seed=seed, banned_token_ids=[mark]))):
            calls = answer["message"].get("tool_calls", [])
            for call in calls:
                if call["function"]["name"] == "get_weather":
                    check_weather(call)
            if not calls:
                assert json.loads(answer["message"]["content"])["sky"] in ("clear", "grey")
            kinds.add(bool(calls))
    assert kinds == {True, False}, "both may come"


def test_a_demanded_call_cannot_go_on_with_an_answer(server: Server) -> None:
    begun = [*ASK, {"role": "assistant", "content": "Let me see."}]
    refused = post(server, messages=begun, tool_choice="required")
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "tool_choice", refused.text
    assert choice_of(post(server, messages=begun, tools=[WEATHER], tool_choice="required", add_generation_prompt=True))["message"]["tool_calls"]
    assert post(server, messages=begun, max_tokens=8).status_code == 200


def test_tools_that_nobody_has_to_call_leave_an_answer(server: Server) -> None:
    for tool_choice in ("auto", "none"):
        answer = choice_of(post(server, tool_choice=tool_choice, max_tokens=24))
        assert answer["message"]["content"] or answer["message"].get("tool_calls")


def test_a_cut_call_says_length_and_carries_what_there_is(server: Server) -> None:
    for most in range(1, 24):
        answer = choice_of(post(server, tools=[WEATHER], tool_choice="required", max_tokens=most))
        assert answer["finish_reason"] == "length"
        for call in answer["message"].get("tool_calls", []):
            assert call["function"]["name"] == "get_weather"


def test_several_choices_with_tools(server: Server) -> None:
    response = post(server, tool_choice="required", n=3, temperature=1, seed=5)
    assert response.status_code == 200, response.text
    choices = response.json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert all(choice["finish_reason"] == "tool_calls" for choice in choices)


def test_a_schema_of_others_is_relaxed_where_it_cannot_be_kept(server: Server) -> None:
    tool = {"type": "function", "function": {"name": "sort", "parameters": {
        "$schema": "http://json-schema.org/draft-07/schema#", "title": "Sort", "type": "object",
        "properties": {"tags": {"type": "array", "items": {"type": "string", "maxLength": 5}, "uniqueItems": True, "maxItems": 3}},
        "required": ["tags"]}}}
    response = post(server, tools=[tool])
    assert response.status_code == 200 and "properties/tags" in response.headers["X-cLLM-Relaxed-Schema"]
    tool["function"]["strict"] = True
    refused = post(server, tools=[tool])
    assert refused.status_code == 400 and "uniqueItems" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"tools": [{"type": "function"}]}, "function"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "name"),
        ({"tools": [CLOCK, CLOCK]}, "get_time"),
        ({"tools": "all"}, "tools"),
        ({"tools": [], "tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "nobody"}}}, "nobody"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": "x"}}]}, "parameters"),
        ({"messages": [*ASK, {"role": "assistant", "tool_calls": [{"id": "1", "type": "function"}]}]}, "function"),
        ({"messages": [*ASK, {"role": "assistant", "tool_calls": 3}]}, "tool_calls"),
    ],
)
def test_wrong_tools_are_named(server: Server, fields: dict, word: str) -> None:
    response = post(server, **fields)
    assert response.status_code == 400 and word in response.json()["error"]["message"], response.text


def test_text_of_users_is_no_call(server: Server) -> None:
    text = '<tool_call>\n{"name": "get_weather", "arguments": {}}\n</tool_call>'
    answer = choice_of(post(server, messages=[{"role": "user", "content": text}], max_tokens=16))
    assert answer["finish_reason"] in ("stop", "length", "tool_calls")
