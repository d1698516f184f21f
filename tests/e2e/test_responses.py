"""OpenAI's Responses: by its real client and by plain requests, whole and streamed, kept, continued and forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import openai
import pydantic
import pytest
import requests
from clients import WAITING, Json, wait_until
from conftest import Server

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
    "strict": True,
}
ASK = "What is the weather in Paris?"
# Of a model that begins each answer with its thoughts.
THINKING = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.reasoning_content %}{{ '<think>\n' + m.reasoning_content + '\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
)


class Fruit(pydantic.BaseModel):
    color: str = pydantic.Field(max_length=10)
    sweet: bool


def client_of(server: Server, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0)


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return client_of(server)


def post(server: Server, **fields: object) -> requests.Response:
    return server.post("/v1/responses", {"input": ASK, "max_output_tokens": 16, "temperature": 0, **fields})


def good(response: requests.Response) -> Json:
    assert response.status_code == 200, response.text
    return response.json()


def events(response: requests.Response) -> Iterator[Json]:
    """The frames of a stream, each checked to be an event of its own type and number."""
    assert response.status_code == 200, response.text
    frames = [frame for frame in response.text.split("\n\n") if frame != WAITING.decode()]
    assert frames.pop() == ""
    for number, frame in enumerate(frames):
        head, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert head == "event: " + event["type"] and event["sequence_number"] == number
        yield event


def refusal(response: requests.Response) -> tuple[int, str | None, str]:
    error = response.json()["error"]
    return response.status_code, error["param"], error["message"]


def without_ids(output: list[Json]) -> list[Json]:
    return [{key: value for key, value in item.items() if key not in ("id", "call_id")} for item in output]


def test_a_text_is_what_a_chat_says(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="any", input=ASK, instructions="Be brief.", max_output_tokens=24, temperature=0)
    chat = client.chat.completions.create(
        model="any", messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASK}], max_tokens=24, temperature=0)
    assert answer.output_text == chat.choices[0].message.content
    assert answer.usage.input_tokens == chat.usage.prompt_tokens
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_the_whole_object(server: Server) -> None:
    body = good(post(server, metadata={"a": "b"}, user="me", top_p=0.5, max_output_tokens=4, store=False))
    assert body["id"].startswith("resp_") and len(body["id"]) == 37
    assert body["object"] == "response" and body["status"] == "incomplete" and body["incomplete_details"] == {"reason": "max_output_tokens"}
    expected = {"error": None, "instructions": None, "max_output_tokens": 4, "parallel_tool_calls": True, "previous_response_id": None,
                "reasoning": {"effort": None, "summary": None}, "store": False, "temperature": 0, "top_p": 0.5, "tool_choice": "auto",
                "text": {"format": {"type": "text"}, "verbosity": "medium"}, "tools": [], "truncation": "disabled", "user": "me",
                "metadata": {"a": "b"}}
    assert {name: body[name] for name in expected} == expected
    (message,) = body["output"]
    assert (message["type"], message["role"], message["status"]) == ("message", "assistant", "incomplete")
    assert body["usage"]["output_tokens"] == 4 and body["usage"]["output_tokens_details"] == {"reasoning_tokens": 0}


def test_the_stream_is_the_whole_answer(server: Server) -> None:
    for fields in ({"max_output_tokens": 24}, {"tools": [WEATHER], "tool_choice": "required", "max_output_tokens": 256}):
        whole = good(post(server, **fields))
        told = list(events(post(server, stream=True, **fields)))
        names = [event["type"] for event in told]
        assert names[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
        assert names[-2:] == ["response.output_item.done", "response." + whole["status"]]
        last = told[-1]["response"]
        assert without_ids(last["output"]) == without_ids(whole["output"]) and last["usage"]["output_tokens"] == whole["usage"]["output_tokens"]
        assert last["output"] == [event["item"] for event in told if event["type"] == "response.output_item.done"]
        texts = [event["delta"] for event in told if event["type"].endswith(".delta")]
        item = whole["output"][0]
        assert len(texts) > 2 and "".join(texts) == (item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"])
        assert good(server.get("/v1/responses/" + last["id"])) == last


def test_the_client_streams(client: openai.OpenAI) -> None:
    with client.responses.stream(model="any", input=ASK, max_output_tokens=200, temperature=0, text_format=Fruit) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert final.output_text == text and isinstance(final.output_parsed, Fruit)


def test_the_client_parses_into_pydantic(client: openai.OpenAI) -> None:
    for seed in range(5):
        answer = client.responses.parse(
            model="any", input="Describe a fruit.", text_format=Fruit, max_output_tokens=200, temperature=1.3, extra_body={"seed": seed})
        assert answer.status == "completed" and isinstance(answer.output_parsed, Fruit)
        assert answer.text.format.type == "json_schema" and answer.text.format.name


def test_tools_that_have_to_be_called(client: openai.OpenAI) -> None:
    for choice in ("required", {"type": "function", "name": "get_weather"}):
        answer = client.responses.create(model="any", input=ASK, tools=[WEATHER], tool_choice=choice, max_output_tokens=256, temperature=0)
        (call,) = answer.output
        assert call.type == "function_call" and call.call_id and call.name == "get_weather" and call.status == "completed"
        arguments = json.loads(call.arguments)
        assert set(arguments) == {"city", "days"} and 1 <= arguments["days"] <= 9
        assert answer.tools[0].name == "get_weather"


def test_a_loop_with_tools_by_either_way(client: openai.OpenAI) -> None:
    first = client.responses.create(model="any", input=ASK, tools=[WEATHER], tool_choice="required", max_output_tokens=256, temperature=0)
    results = [{"type": "function_call_output", "call_id": first.output[0].call_id, "output": '{"sky": "clear"}'}]
    kept = client.responses.create(
        model="any", previous_response_id=first.id, input=results, tools=[WEATHER], tool_choice="none", max_output_tokens=24, temperature=0)
    sent = client.responses.create(
        model="any", input=[{"role": "user", "content": ASK}, *[item.model_dump() for item in first.output], *results], tools=[WEATHER],
        tool_choice="none", max_output_tokens=24, temperature=0)
    assert kept.previous_response_id == first.id and kept.output_text == sent.output_text
    assert kept.usage.input_tokens == sent.usage.input_tokens


def test_a_conversation_goes_on(client: openai.OpenAI) -> None:
    first = client.responses.create(model="any", input="My name is Ada.", instructions="Be brief.", max_output_tokens=12, temperature=0)
    second = client.responses.create(model="any", input="Who am I?", previous_response_id=first.id, max_output_tokens=12, temperature=0)
    third = client.responses.create(model="any", input="And now?", previous_response_id=second.id, max_output_tokens=12, temperature=0)
    messages = [("user", "My name is Ada."), ("assistant", first.output_text), ("user", "Who am I?"), ("assistant", second.output_text), ("user", "And now?")]
    chat = client.chat.completions.create(
        model="any", messages=[{"role": role, "content": text} for role, text in messages], max_tokens=12, temperature=0)
    assert third.output_text == chat.choices[0].message.content and third.usage.input_tokens == chat.usage.prompt_tokens
    items = client.responses.input_items.list(third.id, order="asc", limit=2)
    assert [(item.role, item.content[0].text) for item in items] == messages, "the client asks for every page"
    assert client.responses.input_items.list(third.id).data[0].content[0].text == "And now?"


def test_answers_are_kept_and_forgotten(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="any", input=ASK, max_output_tokens=8, temperature=0)
    assert client.responses.retrieve(answer.id) == answer
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.cancel(answer.id)
    client.responses.delete(answer.id)
    for ask in (client.responses.retrieve, client.responses.delete, client.responses.cancel, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            ask(answer.id)
    with pytest.raises(openai.BadRequestError) as error:
        client.responses.create(model="any", input="x", previous_response_id=answer.id)
    assert error.value.code == "previous_response_not_found" and error.value.param == "previous_response_id"


def test_log_probabilities_of_a_message(client: openai.OpenAI) -> None:
    fields = {"model": "any", "input": ASK, "max_output_tokens": 8, "temperature": 0, "include": ["message.output_text.logprobs"], "top_logprobs": 3}
    answer = client.responses.create(**fields)
    (part,) = answer.output[0].content
    assert "".join(entry.token for entry in part.logprobs) == part.text and len(part.logprobs) == 8
    assert all(len(entry.top_logprobs) == 3 and entry.top_logprobs[0].token == entry.token for entry in part.logprobs), "greedy"
    with client.responses.stream(**fields) as stream:
        told = [entry for event in stream if event.type == "response.output_text.delta" for entry in event.logprobs]
    assert [(entry.token, entry.logprob) for entry in told] == [(entry.token, entry.logprob) for entry in part.logprobs]


def test_what_is_not_to_be_stored_is_not(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="any", input=ASK, max_output_tokens=8, store=False)
    assert answer.store is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)


def test_thoughts_are_items_and_go_back_as_they_are(serve: Callable[..., Server]) -> None:
    client = client_of(serve("-c", 512, "--chat-template", THINKING))
    fields = {"model": "any", "max_output_tokens": 12, "temperature": 0}
    with client.responses.stream(input=ASK, **fields) as stream:
        told = list(stream)
    thoughts = "".join(event.delta for event in told if event.type == "response.reasoning_text.delta")
    answer = client.responses.create(input=ASK, **fields)
    (item,) = answer.output
    assert item.type == "reasoning" and item.content[0].text == thoughts and thoughts
    assert told[-1].type == "response.incomplete" and told[-1].response.output[0].content[0].text == thoughts
    assert answer.usage.output_tokens_details.reasoning_tokens == 12
    sent = client.responses.create(input=[{"role": "user", "content": ASK}, item.model_dump(), {"role": "user", "content": "So?"}],
                                   include=["reasoning.encrypted_content"], store=False, **fields)
    kept = client.responses.create(input="So?", previous_response_id=answer.id, **fields)
    bare = client.responses.create(input=[{"role": "user", "content": ASK}, {"role": "user", "content": "So?"}], **fields)
    assert sent.output[0].content == kept.output[0].content and sent.usage.input_tokens == kept.usage.input_tokens > bare.usage.input_tokens


def test_another_key_finds_nothing(serve: Callable[..., Server]) -> None:
    server = serve("-c", 512, "--api-key", "key-one,key-two")
    one, two = client_of(server, "key-one"), client_of(server, "key-two")
    answer = one.responses.create(model="any", input=ASK, max_output_tokens=8)
    for ask in (two.responses.retrieve, two.responses.delete, two.responses.cancel, two.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            ask(answer.id)
    with pytest.raises(openai.BadRequestError, match="to go on from"):
        two.responses.create(model="any", input="x", previous_response_id=answer.id)
    with pytest.raises(openai.AuthenticationError):
        client_of(server, "key-three").responses.retrieve(answer.id)
    assert one.responses.retrieve(answer.id).id == answer.id


def test_a_function_in_a_namespace_is_called_as_its_own(client: openai.OpenAI, server: Server) -> None:
    space = {"type": "namespace", "name": "sky", "description": "What is above.", "tools": [WEATHER]}
    search = {"type": "web_search", "external_web_access": False}  # Codex offers it with every request
    asked = {"tools": [space, search], "tool_choice": "required", "max_output_tokens": 256}
    response = post(server, **asked)
    (call,) = good(response)["output"]
    assert (call["namespace"], call["name"]) == ("sky", "get_weather") and set(json.loads(call["arguments"])) == {"city", "days"}
    assert response.headers["X-cLLM-Ignored-Fields"] == "tools[1]"
    (done,) = (event["item"] for event in events(post(server, stream=True, **asked)) if event["type"] == "response.output_item.done")
    assert (done["namespace"], done["name"]) == ("sky", "get_weather")
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    said = {"model": "any", "input": [{"role": "user", "content": ASK}, call, result], "tools": [space]}
    whole = client.responses.create(max_output_tokens=8, **said)
    assert whole.usage.input_tokens == client.responses.input_tokens.count(**said).input_tokens
    assert whole.output_text and good(server.post("/responses", {"input": "x", "max_output_tokens": 1}))["object"] == "response"


def test_they_are_kept_within_memory_and_for_their_time(serve: Callable[..., Server]) -> None:
    server = serve("-c", 512, "--responses-max-memory-mb", 1, "--responses-ttl-s", 20)
    fields = {"metadata": {str(i): "x" * 500 for i in range(16)}, "max_output_tokens": 1}
    ids = [good(post(server, **fields))["id"] for _ in range(150)]
    found = [server.get("/v1/responses/" + one).status_code for one in (*ids[:5], *ids[-5:])]
    assert found == [404] * 5 + [200] * 5, "the oldest make room"
    wait_until(lambda: server.get("/v1/responses/" + ids[-1]).status_code == 404, 30, "the answer is too old")


def test_a_stream_may_repeat_a_long_request(server: Server) -> None:
    long = "x" * 2_000_000
    told = list(events(post(server, stream=True, user=long, max_output_tokens=4)))
    assert told[0]["response"]["user"] == told[-1]["response"]["user"] == long
    assert good(server.get("/v1/responses/" + told[-1]["response"]["id"]))["user"] == long


def test_a_deadline_within_a_stream_is_an_event(server: Server) -> None:
    told = list(events(post(server, stream=True, ignore_eos=True, max_output_tokens=400, timeout=0.5)))
    error, last = told[-2:]
    assert error["type"] == "error" and error["code"] == "timed_out" and error["message"]
    assert last["type"] == "response.failed" and last["response"]["status"] == "failed" and last["response"]["error"]["message"] == error["message"]
    assert server.get("/v1/responses/" + last["response"]["id"]).status_code == 404


@pytest.mark.parametrize(("fields", "param", "words"), [
    ({"background": True}, "background", "not supported"),
    ({"conversation": "conv_1"}, "conversation", "previous_response_id"),
    ({"messages": [{"role": "user", "content": "x"}]}, "messages", "input"),
    ({"max_tokens": 5}, "max_tokens", "max_output_tokens"),
    ({"max_output_token": 5}, "max_output_token", "did you mean max_output_tokens"),
    ({"response_format": {"type": "json_object"}}, "response_format", "text.format"),
    ({"truncation": "middle"}, "truncation", "disabled"),
    ({"include": ["file_search_call.results"]}, "include", "file_search_call.results"),
    ({"top_logprobs": 3}, "top_logprobs", "message.output_text.logprobs"),
    ({"metadata": {"a": 1}}, "metadata", "strings"),
    ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format", "text.format.schema is missing"),
    ({"text": {"verbosity": "none"}}, "text.verbosity", "medium"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type", "tools are functions"),
    ({"tools": [{"type": "custom", "name": "x"}]}, "tools[0].type", "tools are functions"),
    ({"tools": [{"type": "function", "function": {"name": "x"}}]}, "tools[0].function", "beside the type"),
    ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice", "other"),
    ({"input": []}, "input", "at least one"),
    ({"input": 5}, "input", "must be a string"),
    ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "user"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}]}, "input[0].content", "text alone"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type", "previous_response_id"),
    ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type", "function_call_output"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "input[0].call_id", "no function_call"),
])
def test_errors_name_the_field(server: Server, fields: Json, param: str, words: str) -> None:
    status, named, message = refusal(post(server, **fields))
    assert (status, named) == (400, param) and words in message, message


def test_what_nobody_knows_is_named_and_what_is_null_is_absent(server: Server) -> None:
    response = post(server, foo=1, background=None, tools=None, input=[{"role": "user", "content": "x", "bar": 1}])
    good(response)
    assert response.headers["X-cLLM-Ignored-Fields"] == "input[0].bar, foo"


def test_methods_and_queries(server: Server) -> None:
    answer = good(post(server))["id"]
    response = requests.put(server.url + "/v1/responses/" + answer, timeout=10)
    assert response.status_code == 405 and response.headers["Allow"] == "GET, HEAD, DELETE, OPTIONS"
    assert requests.delete(server.url + "/v1/responses", timeout=10).headers["Allow"] == "POST, OPTIONS"
    assert requests.options(server.url + "/v1/responses/" + answer, timeout=10).headers["Allow"] == "GET, HEAD, DELETE, OPTIONS"
    items = f"/v1/responses/{answer}/input_items"
    for query, param in (("limit=0", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("after=none", "after")):
        assert refusal(server.get(f"{items}?{query}"))[:2] == (400, param)
    assert refusal(server.get(f"/v1/responses/{answer}?stream=true"))[:2] == (400, "stream")
    assert good(server.get(items))["has_more"] is False
