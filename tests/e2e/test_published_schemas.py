"""Every answer and every event of a stream is what the API's owner publishes, and nothing else but the fields that docs/api.md adds."""

from __future__ import annotations

import functools
import json
import re
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import anthropic.types as anthropic_types
import ollama
import openai.types as openai_types
import pytest
import requests
from anthropic.types.shared import ErrorResponse as AnthropicErrorResponse
from clients import ANSWER_TIMEOUT_S, Json, wait_until
from conftest import ROOT, Program, Server
from openai.types import chat as chat_types
from openai.types import responses as response_types
from published import Shape
from pydantic import BaseModel

KEY = "a-key-of-the-tests"
OPEN = 16  # requests that the server lets in
AT_A_TIME = 4  # each of which has up to four answers
# Of a model that thinks where it is told to.
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.reasoning_content %}{{ '<think>\n' + m.reasoning_content + '\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% if enable_thinking is defined and enable_thinking %}{{ '<think>\n' }}"
    "{% endif %}{% endif %}"
)
ASK = "What is the weather in Paris?"
MESSAGES = [{"role": "user", "content": ASK}]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
FUNCTION = {"name": "get_weather", "description": "The weather of a city.", "parameters": PARAMETERS}


class OpenAiModels(BaseModel):
    """The client reads the list page by page; this is the page."""

    object: str
    data: list[openai_types.Model]


class OpenAiError(BaseModel):
    error: openai_types.ErrorObject


class OllamaError(BaseModel):
    error: str


def openai_shape(type_: object, schema: str, ours: Iterable[str] = (), spared: Iterable[str] = ()) -> Shape:
    return Shape(type_, frozenset(ours), ("openai", schema), frozenset(spared))


def anthropic_shape(type_: object, schema: str, spared: Iterable[str] = ()) -> Shape:
    return Shape(type_, frozenset(), ("anthropic", schema), frozenset(spared))


OPENAI_ERROR = openai_shape(OpenAiError, "ErrorResponse")
ANTHROPIC_ERROR = anthropic_shape(AnthropicErrorResponse, "ErrorResponse")
# "request_too_large" is on Anthropic's page of errors, and not among the published ones.
ANTHROPIC_TOO_LARGE = anthropic_shape(AnthropicErrorResponse, "ErrorResponse", spared=["error"])
OLLAMA_ERROR = Shape(OllamaError)
CHAT = openai_shape(chat_types.ChatCompletion, "CreateChatCompletionResponse",
                    ["seed", "choices[].message.reasoning_content", "choices[].raw_text", "timings"])
CHUNK = openai_shape(chat_types.ChatCompletionChunk, "CreateChatCompletionStreamResponse",
                     ["choices[].delta.reasoning_content", "choices[].raw_text", "timings", "prompt_progress"])
COMPLETION = openai_shape(openai_types.Completion, "CreateCompletionResponse", ["seed"])
# Both are called one object, and are not: OpenAI's pieces have no reason until the last one, and no usage.
COMPLETION_PIECE = openai_shape(openai_types.Completion, "CreateCompletionResponse", spared=["choices[].finish_reason", "usage"])
# OpenAI's own answers have `store`, and the end of a call's arguments has its `name`, which the types leave out.
RESPONSE = openai_shape(response_types.Response, "Response", ["seed", "store"])
RESPONSE_EVENT = openai_shape(response_types.ResponseStreamEvent, "ResponseStreamEvent", ["response.seed", "response.store", "name"])
MESSAGE = anthropic_shape(anthropic_types.Message, "Message")
MESSAGE_EVENT = anthropic_shape(anthropic_types.RawMessageStreamEvent, "MessageStreamEvent")
# Ollama's server says the bytes of a token, and which call is which; its client's types leave both out.
OLLAMA_BYTES = frozenset({"logprobs[].bytes", "logprobs[].top_logprobs[].bytes"})
OLLAMA_CHAT = Shape(ollama.ChatResponse, OLLAMA_BYTES | {"message.tool_calls[].id", "message.tool_calls[].function.index"})
OLLAMA_TEXT = Shape(ollama.GenerateResponse, OLLAMA_BYTES)


@dataclass(frozen=True)
class Endpoint:
    path: str
    body: Json  # what each request has
    whole: Shape
    event: Shape
    error: Shape
    headers: dict[str, str] = field(default_factory=dict)
    streams_lines: bool = False


UNTHINKING = {"chat_template_kwargs": {"enable_thinking": False}}
THINKING = {"chat_template_kwargs": {"enable_thinking": True}}
OLLAMA_SHORT = {"num_predict": 12, "temperature": 0}
ENDPOINTS = {
    "chat": Endpoint("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 12, "temperature": 0, **UNTHINKING}, CHAT, CHUNK,
                     OPENAI_ERROR),
    "completions": Endpoint("/v1/completions", {"prompt": ASK, "max_tokens": 8, "temperature": 0}, COMPLETION, COMPLETION_PIECE,
                            OPENAI_ERROR),
    "responses": Endpoint("/v1/responses", {"input": ASK, "max_output_tokens": 12, "temperature": 0, **UNTHINKING}, RESPONSE,
                          RESPONSE_EVENT, OPENAI_ERROR),
    "messages": Endpoint("/v1/messages", {"model": "claude", "messages": MESSAGES, "max_tokens": 12, "temperature": 0}, MESSAGE,
                         MESSAGE_EVENT, ANTHROPIC_ERROR, {"anthropic-version": "2023-06-01"}),
    "ollama chat": Endpoint("/api/chat", {"model": "m", "messages": MESSAGES, "think": False, "options": OLLAMA_SHORT},
                            OLLAMA_CHAT, OLLAMA_CHAT, OLLAMA_ERROR, streams_lines=True),
    "ollama generate": Endpoint("/api/generate", {"model": "m", "prompt": ASK, "think": False, "options": OLLAMA_SHORT},
                                OLLAMA_TEXT, OLLAMA_TEXT, OLLAMA_ERROR, streams_lines=True),
}

CHAT_TOOLS = {"tools": [{"type": "function", "function": FUNCTION}], "max_tokens": 200}
RESPONSE_TOOLS = {"tools": [{"type": "function", **FUNCTION, "strict": True}], "max_output_tokens": 200}
MESSAGE_TOOLS = {"tools": [{"name": "get_weather", "description": "The weather of a city.", "input_schema": PARAMETERS}], "max_tokens": 200}
OLLAMA_LONGER = {"options": {"num_predict": 200, "temperature": 0}}
SCHEMA = {"type": "object", "properties": {"sweet": {"type": "boolean"}}, "required": ["sweet"], "additionalProperties": False}

# Of each endpoint, what is asked for beside its plain request.
ASKED: dict[str, dict[str, Json]] = {
    "chat": {
        "cut": {},
        "stop": {"stop": "e"},
        "tools": CHAT_TOOLS | {"tool_choice": "required"},
        "several tools": CHAT_TOOLS | {"tool_choice": "required", "parallel_tool_calls": True},
        "functions": {"functions": [FUNCTION], "function_call": {"name": "get_weather"}, "max_tokens": 200},
        "a cut call": CHAT_TOOLS | {"tool_choice": "required", "max_tokens": 12},
        "thoughts": THINKING | {"reasoning_budget": 6, "max_tokens": 30},
        "logprobs": {"logprobs": True, "top_logprobs": 3},
        "logprobs of calls": CHAT_TOOLS | {"tool_choice": "required", "logprobs": True},
        "several": {"n": 3, "temperature": 1, "seed": 1},
        "usage": {"stream_options": {"include_usage": True}},
        "usage in each": {"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        "a schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}}},
        "raw": {"return_raw": True},
        "times and progress": {"timings_per_token": True, "return_progress": True},
    },
    "completions": {
        "cut": {},
        "stop": {"stop": "e"},
        "logprobs": {"logprobs": 3},
        "several": {"n": 2, "prompt": ["Hello", "World"], "temperature": 1},
        "echo": {"echo": True},
        "usage": {"stream_options": {"include_usage": True}},
    },
    "responses": {
        "cut": {},
        "ended": {"text": {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA, "strict": True}}, "max_output_tokens": 100},
        "tools": RESPONSE_TOOLS | {"tool_choice": "required"},
        "a cut call": RESPONSE_TOOLS | {"tool_choice": "required", "max_output_tokens": 12},
        "thoughts": THINKING | {"reasoning_budget": 6, "max_output_tokens": 30},
        "logprobs": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
        "repeated": {"instructions": "Be short.", "metadata": {"a": "b"}, "store": False, "reasoning": {"effort": "low"}, "user": "u"},
    },
    "messages": {
        "cut": {},
        "stop": {"stop_sequences": ["e"]},
        "tools": MESSAGE_TOOLS | {"tool_choice": {"type": "any"}},
        "a cut call": MESSAGE_TOOLS | {"tool_choice": {"type": "any"}, "max_tokens": 12},
        "thoughts": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 30},
        "a schema": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}, "max_tokens": 100},
    },
    "ollama chat": {
        "cut": {},
        "tools": {"tools": [{"type": "function", "function": FUNCTION}], "tool_choice": "required", **OLLAMA_LONGER},
        "thoughts": {"think": True},
        "logprobs": {"logprobs": True, "top_logprobs": 2},
        "a schema": {"format": SCHEMA, **OLLAMA_LONGER},
        "nothing": {"messages": []},
    },
    "ollama generate": {"cut": {}, "thoughts": {"think": True}, "logprobs": {"logprobs": True, "top_logprobs": 2}, "nothing": {"prompt": ""}},
}
# Of some cases, what an answer has in it, or nothing would be held to anything.
SEEN = {"tools": "get_weather", "functions": "get_weather", "thoughts": '"(reasoning_content|thinking|reasoning_text)"', "logprobs": '"logprob|token_logprobs'}
CASES = [(endpoint, asked) for endpoint, cases in ASKED.items() for asked in cases]


class Client:
    def __init__(self, server: Server) -> None:
        self.server = server

    def send(self, method: str, path: str, body: Json | bytes | None = None, headers: dict[str, str] | None = None,
             key: str = KEY) -> requests.Response:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return requests.request(method, self.server.url + path, data=data, timeout=ANSWER_TIMEOUT_S,
                                headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"} | (headers or {}))

    @functools.cached_property
    def model(self) -> str:
        return self.send("GET", "/v1/models").json()["data"][0]["id"]

    def open(self, body: Json) -> requests.Response:
        """A stream that runs until it is closed."""
        return requests.post(self.server.url + "/generate", json=body, stream=True, timeout=ANSWER_TIMEOUT_S, headers={"X-Api-Key": KEY})

    def ask(self, endpoint: Endpoint, body: Json, **options: str) -> requests.Response:
        return self.send("POST", endpoint.path, endpoint.body | body, endpoint.headers, **options)


@pytest.fixture(scope="module")
def client(program: Program) -> Iterator[Client]:
    """One server for all: it generates and embeds, asks for a key, and has little room."""
    server = program.launch(program.model, "--host", "127.0.0.1", "--port", 0, "-c", 512, "-np", OPEN // 2, "--max-queue-size", OPEN // 2,
                            "--pooling", "mean", "--chat-template", TEMPLATE, "--api-keys", KEY, "--max-body-mb", 1, "--shutdown-grace-s", 60)
    yield Client(server.wait_ready())
    program.servers.remove(server)
    server.stop()


def check(shape: Shape, *documents: str) -> None:
    problems = {problem: document for document in documents for problem in shape.problems(document)}
    assert not problems, "\n".join(f"{problem}\n    {document[:1000]}" for problem, document in problems.items())


def events(response: requests.Response, endpoint: Endpoint) -> list[str]:
    """The data of a stream's events, each named as its data names itself, where it is named."""
    assert response.status_code == 200, response.text
    if endpoint.streams_lines:
        return response.text.splitlines()
    found = []
    for frame in response.text.strip().split("\n\n"):
        if frame == ": waiting":
            continue
        *named, data = frame.split("\n")
        assert data.startswith("data: ")
        if named:
            assert named == [f"event: {json.loads(data[6:])['type']}"]
        # What its clients skip, and its document doesn't know.
        if named != ["event: ping"]:
            found.append(data[6:])
    if endpoint.error is OPENAI_ERROR and endpoint.path != "/v1/responses":
        assert found.pop() == "[DONE]"
    return found


@pytest.fixture(scope="module")
def answers(client: Client, request: pytest.FixtureRequest) -> dict[tuple[str, str, bool], requests.Response]:
    """Of all cases that are run, whole and streamed; they are asked for side by side, which takes seconds."""
    chosen = [item.callspec.params for item in request.session.items if "answers" in item.fixturenames]
    cases = [(params["name"], params["asked"], stream) for params in chosen for stream in (False, True)]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return dict(zip(cases, pool.map(lambda case: client.ask(ENDPOINTS[case[0]], ASKED[case[0]][case[1]] | {"stream": case[2]}), cases)))


@pytest.mark.parametrize(("name", "asked"), CASES, ids=[f"{name}: {asked}" for name, asked in CASES])
def test_answers_and_events_are_what_is_published(answers: dict[tuple[str, str, bool], requests.Response], name: str, asked: str) -> None:
    endpoint = ENDPOINTS[name]
    whole = good(answers[name, asked, False])
    assert re.search(SEEN.get(asked, ""), whole), whole
    check(endpoint.whole, whole)
    stream = events(answers[name, asked, True], endpoint)
    assert stream
    check(endpoint.event, *stream)


class AnthropicModels(BaseModel):
    """The client reads the list page by page; this is the page."""

    data: list[anthropic_types.ModelInfo]
    has_more: bool
    first_id: str | None
    last_id: str | None


OPENAI_MODEL_FIELDS = ["capabilities", "meta"]
LISTS = {
    "/v1/models": openai_shape(OpenAiModels, "ListModelsResponse", [f"data[].{name}" for name in OPENAI_MODEL_FIELDS]),
    "/v1/models/MODEL": openai_shape(openai_types.Model, "Model", OPENAI_MODEL_FIELDS),
    # Ollama's server says the name twice.
    "/api/tags": Shape(ollama.ListResponse, frozenset({"models[].name"})),
    "/api/ps": Shape(ollama.ProcessResponse),
}


def test_what_comes_on_top_is_documented() -> None:
    shapes = [*LISTS.values(), *(shape for endpoint in ENDPOINTS.values() for shape in (endpoint.whole, endpoint.event))]
    ours = {field for shape in shapes for field in shape.ours}
    section = (ROOT / "docs/api.md").read_text().split("\n## What answers have beside what is published\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")]
    documented = set(re.findall("`([^`]+)`", "\n".join(table)))
    # Of models in a list, and of a response in an event, it is the same field.
    assert {re.sub(r"^(data\[\]|response)\.", "", field) for field in ours} == documented


@pytest.mark.parametrize("path", LISTS)
def test_models_are_what_is_published(client: Client, path: str) -> None:
    check(LISTS[path], good(client.send("GET", path.replace("MODEL", client.model))))


def test_models_are_what_anthropic_publishes(client: Client) -> None:
    version = {"anthropic-version": "2023-06-01"}
    models = good(client.send("GET", "/v1/models", headers=version))
    check(anthropic_shape(AnthropicModels, "ListResponse_ModelInfo_"), models)
    check(anthropic_shape(anthropic_types.ModelInfo, "ModelInfo"), good(client.send("GET", f"/v1/models/{client.model}", headers=version)))


def test_what_is_counted_and_embedded_is_what_is_published(client: Client) -> None:
    counted = client.send("POST", "/v1/messages/count_tokens", {"model": "claude", "messages": MESSAGES})
    check(anthropic_shape(anthropic_types.MessageTokensCount, "CountMessageTokensResponse"), good(counted))
    for encoding in ("float", "base64"):
        embedded = good(client.send("POST", "/v1/embeddings", {"input": ["a", "b"], "model": "m", "encoding_format": encoding}))
        if encoding == "float":
            check(openai_shape(openai_types.CreateEmbeddingResponse, "CreateEmbeddingResponse"), embedded)
        assert set(json.loads(embedded)["data"][0]) == {"object", "index", "embedding"}
    check(Shape(ollama.EmbedResponse), good(client.send("POST", "/api/embed", {"model": "m", "input": ["a", "b"]})))
    check(Shape(ollama.EmbeddingsResponse), good(client.send("POST", "/api/embeddings", {"model": "m", "prompt": "a"})))
    check(Shape(ollama.ShowResponse), good(client.send("POST", "/api/show", {"model": client.model})))
    check(Shape(ollama.ProgressResponse), *good(client.send("POST", "/api/pull", {"model": client.model})).splitlines())


def test_answers_that_are_kept_are_what_is_published(client: Client) -> None:
    first = json.loads(good(client.ask(ENDPOINTS["responses"], ASKED["responses"]["tools"])))
    call = next(item for item in first["output"] if item["type"] == "function_call")
    said = [{"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}, {"role": "user", "content": ASK}]
    again = good(client.ask(ENDPOINTS["responses"], {"previous_response_id": first["id"], "input": said}))
    check(RESPONSE, again)
    path = f"/v1/responses/{json.loads(again)['id']}"
    check(RESPONSE, good(client.send("GET", path)))
    check(openai_shape(response_types.ResponseItemList, "ResponseItemList"), good(client.send("GET", path + "/input_items?limit=100")))
    good(client.send("DELETE", path))
    gone = client.send("GET", path)
    assert gone.status_code == 404
    check(OPENAI_ERROR, gone.text)


def good(response: requests.Response) -> str:
    assert response.status_code == 200, response.text
    return response.text


@pytest.mark.parametrize("name", ENDPOINTS)
def test_errors_are_what_is_published(client: Client, name: str) -> None:
    endpoint = ENDPOINTS[name]
    refusals = {400: client.ask(endpoint, {"seed": "x", "options": {"seed": "x"}}),
                401: client.ask(endpoint, {}, key="wrong"),
                404: client.send("GET", endpoint.path + "/nothing"),
                405: client.send("DELETE", endpoint.path),
                408: client.ask(endpoint, {"options": {"timeout": 0.001}} if endpoint.streams_lines else {"timeout": 0.001}),
                413: client.send("POST", endpoint.path, b" " * 2_000_000 + b"{}")}
    assert {expected: refusal.status_code for expected, refusal in refusals.items()} == {status: status for status in refusals}
    for status, refusal in refusals.items():
        check(ANTHROPIC_TOO_LARGE if (name, status) == ("messages", 413) else endpoint.error, refusal.text)


def test_errors_of_a_full_and_of_an_ending_server_are_what_is_published(client: Client) -> None:
    """The last test of its server, which ends."""
    endless = {"prompt": ASK, "max_tokens": 400, "ignore_eos": True, "stream": True}
    running = [client.open(endless) for _ in range(OPEN)]
    wait_until(lambda: client.ask(ENDPOINTS["chat"], {}).status_code == 429, 10, "429")
    for endpoint in ENDPOINTS.values():
        check(endpoint.error, refused(client.ask(endpoint, {}), 429))
    client.server.signal(signal.SIGTERM)
    wait_until(lambda: client.ask(ENDPOINTS["chat"], {}).status_code == 503, 10, "503")
    for endpoint in ENDPOINTS.values():
        check(endpoint.error, refused(client.ask(endpoint, {}), 503))
    for response in running:
        response.close()


def refused(response: requests.Response, status: int) -> str:
    assert response.status_code == status and "retry-after" in response.headers, response.text
    return response.text
