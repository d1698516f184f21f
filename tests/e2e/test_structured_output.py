"""Answers that have to keep a schema, a regular expression or a grammar, by real clients and by plain requests."""

from __future__ import annotations

import concurrent.futures
import json
import re

import jsonschema_rs
import openai
import pydantic
import pytest
import requests
from conftest import Program, Server
from random_model import with_vocabulary_of

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


def chat_body(**fields) -> dict:
    return {"messages": [{"role": "user", "content": "Describe a person as JSON."}], "max_tokens": 200, "temperature": 0, **fields}


def chat(server: Server, **fields) -> requests.Response:
    return requests.post(server.url + "/v1/chat/completions", json=chat_body(**fields), timeout=120)


def content(response: requests.Response) -> str:
    assert response.status_code == 200, response.text
    choice = response.json()["choices"][0]
    assert choice["finish_reason"] == "stop", choice
    return choice["message"]["content"]


def check_person(text: str) -> None:
    person = json.loads(text)
    assert list(person) == ["name", "age"] and isinstance(person["name"], str) and 0 <= person["age"] <= 150


def test_a_schema_is_kept(server: Server) -> None:
    format = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    check_person(content(chat(server, response_format=format)))
    for seed in range(8):
        check_person(content(chat(server, response_format=format, temperature=1.5, top_k=0, top_p=1, seed=seed)))


def test_the_openai_client_parses_into_pydantic(client: openai.OpenAI) -> None:
    class Fruit(pydantic.BaseModel):
        color: str = pydantic.Field(max_length=10)
        sweet: bool

    answer = client.chat.completions.parse(
        model="any", messages=[{"role": "user", "content": "Describe an apple."}], response_format=Fruit, max_tokens=100, temperature=0
    )
    assert isinstance(answer.choices[0].message.parsed, Fruit)


@pytest.mark.parametrize(
    "fields",
    [
        {"json_schema": PERSON},
        {"guided_json": PERSON},
        {"guided_json": json.dumps(PERSON)},
        {"structured_outputs": {"json": PERSON}},
        {"response_format": {"type": "json_object", "schema": PERSON}},
    ],
)
def test_every_dialect_of_a_schema(server: Server, fields: dict) -> None:
    check_person(content(chat(server, **fields)))
    generated = requests.post(server.url + "/generate", json={"prompt": "A person:", "max_tokens": 200, **fields}, timeout=120)
    check_person(generated.json()["data"]["text"])
    completed = requests.post(server.url + "/v1/completions", json={"prompt": "A person:", "max_tokens": 200, **fields}, timeout=120)
    check_person(completed.json()["choices"][0]["text"])


@pytest.mark.parametrize("fields", [{"regex": "[a-c]{3}-[0-9]{2}"}, {"guided_regex": "[a-c]{3}-[0-9]{2}"}, {"structured_outputs": {"regex": "[a-c]{3}-[0-9]{2}"}}])
def test_a_regular_expression(server: Server, fields: dict) -> None:
    assert re.fullmatch("[a-c]{3}-[0-9]{2}", content(chat(server, **fields)))


@pytest.mark.parametrize("fields", [{"guided_choice": ["red \"x\"", "grün\n", "a\\b"]}, {"structured_outputs": {"choice": ["red \"x\"", "grün\n", "a\\b"]}}])
def test_one_of_several_texts(server: Server, fields: dict) -> None:
    for seed in range(6):
        assert content(chat(server, temperature=2, seed=seed, **fields)) in ("red \"x\"", "grün\n", "a\\b")


@pytest.mark.parametrize("name", ["grammar", "guided_grammar", "ebnf"])
def test_a_grammar(server: Server, name: str) -> None:
    assert content(chat(server, **{name: 'root ::= item (", " item)?\nitem ::= "one" | "two"'})) in (
        "one", "two", "one, one", "one, two", "two, one", "two, two",
    )


def test_a_json_object(server: Server) -> None:
    answer = chat(server, response_format={"type": "json_object"}, max_tokens=300).json()["choices"][0]
    if answer["finish_reason"] == "stop":
        assert isinstance(json.loads(answer["message"]["content"]), dict)
    else:
        assert answer["finish_reason"] == "length" and answer["message"]["content"].startswith("{")


def test_the_stream_is_the_answer(client: openai.OpenAI, server: Server) -> None:
    whole = content(chat(server, json_schema=PERSON))
    chunks = client.chat.completions.create(model="any", stream=True, extra_body={"json_schema": PERSON, "ignore_eos": True}, **chat_body())
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole


def test_log_probabilities_change_nothing(server: Server) -> None:
    plain = chat(server, json_schema=PERSON).json()["choices"][0]
    with_them = chat(server, json_schema=PERSON, logprobs=True, top_logprobs=2).json()
    choice = with_them["choices"][0]
    assert choice["message"]["content"] == plain["message"]["content"]
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
    assert all(len(token["top_logprobs"]) == 2 and token["logprob"] < 0.0001 for token in tokens)


def test_same_bytes_beside_others(server: Server) -> None:
    def ask(seed: int) -> str:
        return content(chat(server, json_schema=PERSON, temperature=1, seed=seed))

    alone = [ask(seed) for seed in range(4)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, [0, 1, 2, 3] * 3)) == alone * 3


def test_a_cut_answer_says_so(server: Server) -> None:
    choice = chat(server, json_schema=PERSON, max_tokens=3).json()["choices"][0]
    assert choice["finish_reason"] == "length" and choice["message"]["content"].startswith("{")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"json_schema": {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}}, ["/properties/a", "uniqueItems"]),
        ({"json_schema": {"type": "object", "unevaluatedProperties": False}}, ["unevaluatedProperties"]),
        ({"json_schema": {"not": {"type": "string"}}}, ["not"]),
        ({"json_schema": {"$ref": "http://elsewhere/schema"}}, ["$ref"]),
        ({"json_schema": {"type": "nothing"}}, ["type"]),
        ({"json_schema": "{nope"}, ["json_schema"]),
        ({"regex": "(unclosed"}, ["regex"]),
        ({"regex": "a(?=b)"}, ["regex"]),
        ({"grammar": "root ::= other"}, ["grammar"]),
        ({"guided_choice": []}, ["guided_choice"]),
        ({"response_format": {"type": "yaml"}}, ["response_format.type"]),
        ({"response_format": {"type": "json_schema"}}, ["json_schema"]),
        ({"regex": "a", "grammar": 'root ::= "a"'}, ["regex", "grammar"]),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(server: Server, fields: dict, words: list[str]) -> None:
    response = chat(server, **fields)
    assert response.status_code == 400, response.text
    message = response.json()["error"]["message"]
    assert all(word in message for word in words), message


def test_a_hostile_schema_harms_nobody(server: Server) -> None:
    hostile = [
        {"regex": "((((a{1,50}){1,50}){1,50}){1,50}){1,50}"},
        {"json_schema": {"type": "string", "maxLength": 10**9}},
        {"json_schema": {"type": "array", "items": {"type": "integer"}, "minItems": 10**6}},
        {"grammar": "root ::= root root | \"\""},
    ]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(chat, server, max_tokens=20, **fields) for fields in hostile]
        honest = [pool.submit(chat, server, max_tokens=20) for _ in range(4)]
        assert all(answer.result().status_code == 200 for answer in honest)
        assert all(answer.result().status_code in (200, 400) for answer in answers)
    check_person(content(chat(server, json_schema=PERSON)))


def test_metrics_count_grammars(server: Server) -> None:
    for _ in range(2):
        content(chat(server, regex="[xy]{4}"))
    page = requests.get(server.url + "/metrics", timeout=10).text
    value = lambda name: float(re.search(rf"^{name} (\S+)$", page, re.M)[1])  # noqa: E731
    assert value("cllm_grammars_compiled_total") >= 1 and value("cllm_grammar_cache_hits_total") >= 1
    assert value("cllm_invalid_answers_total") == 0 and value("cllm_grammar_mask_seconds_count") >= 8


WORD = {"type": "string", "maxLength": 12}
BOUNDED = [
    PERSON,
    {"type": "array", "items": {"type": "integer", "minimum": -5, "maximum": 5}, "minItems": 1, "maxItems": 6},
    {"type": "object", "properties": {"tags": {"type": "array", "items": WORD, "maxItems": 4}, "ok": {"type": "boolean"}}, "required": ["tags", "ok"]},
    {"enum": ["red", "green", 3, None, {"a": [1]}]},
    {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}, WORD]},
    {"type": "object", "properties": {"when": {"type": "string", "format": "date-time"}, "id": {"type": "string", "format": "uuid"}}, "required": ["when", "id"]},
    {"type": "object", "properties": {"ip": {"type": "string", "format": "ipv4"}, "day": {"type": "string", "format": "date"}}, "required": ["ip", "day"]},
    {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2,4}(\\.[a-z]+)?$"},
    {"type": "object", "properties": {"node": {"$ref": "#/$defs/node"}}, "required": ["node"],
     "$defs": {"node": {"type": "object", "properties": {"v": {"type": "integer", "minimum": 0, "maximum": 99},
                                                         "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["v", "next"]}}},
    {"type": "array", "prefixItems": [WORD, {"type": "boolean"}, {"type": "number"}], "items": False, "minItems": 3},
    {"type": "object", "properties": {"price": {"type": "number", "exclusiveMinimum": 0, "maximum": 1000}, "count": {"type": "integer", "multipleOf": 5,
     "minimum": 0, "maximum": 100}}, "required": ["price", "count"]},
    {"oneOf": [{"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer", "minimum": 1, "maximum": 9}},
                "required": ["kind", "lives"]},
               {"type": "object", "properties": {"kind": {"const": "dog"}, "name": WORD}, "required": ["kind", "name"]}]},
    {"type": "object", "patternProperties": {"^k[0-9]$": {"type": "integer", "minimum": 0, "maximum": 9}}, "additionalProperties": False, "maxProperties": 3},
    {"type": "object", "properties": {"a b": WORD, "ä": {"type": "null"}, "x\"y": {"type": "boolean"}}, "required": ["a b", "x\"y"]},
]


@pytest.mark.parametrize("weights", ["trained", "random"])
def test_nothing_that_is_drawn_breaks_its_schema(program: Program, launch, weights: str, tmp_path, request: pytest.FixtureRequest) -> None:
    """Hot draws from the whole vocabulary: each answer is what was asked for, or was cut. --structured-runs N makes N of them."""
    runs = request.config.getoption("--structured-runs")
    model = program.model
    if weights == "random":
        model = tmp_path / "random.gguf"
        model.write_bytes(with_vocabulary_of(program.model).bytes())
        runs = runs if runs > 140 else 28
    server = launch(model, "--host", "127.0.0.1", "--port", 0, "-np", "8").wait_ready()

    def ask(number: int) -> str:
        schema = BOUNDED[number % len(BOUNDED)]
        response = chat(server, json_schema=schema, temperature=1.5, top_k=0, top_p=1, min_p=0, seed=number, max_tokens=256)
        assert response.status_code == 200, (schema, response.text)
        choice = response.json()["choices"][0]
        if choice["finish_reason"] == "stop":
            jsonschema_rs.validate(schema, json.loads(choice["message"]["content"]))
        return choice["finish_reason"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(ask, range(runs)))
    print(f"{weights} weights: {ends.count('stop')} of {runs} ended by themselves")
    assert ends.count("stop") >= 0.8 * runs
    page = requests.get(server.url + "/metrics", timeout=10).text
    assert re.search(r"^cllm_invalid_answers_total 0$", page, re.M)
