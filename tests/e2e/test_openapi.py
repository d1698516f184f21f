"""/openapi.json is true: it is valid, what it says of streams holds, and requests that are drawn from it, right and wrong ones, get the
answers that it names. `make fuzz-api` draws for longer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import pytest
import requests
from clients import ANSWER_TIMEOUT_S
from clients import Json as JsonObject
from conftest import Program, Server
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
          "response_headers_conformance", "negative_data_rejection", "allow_header_conformance"]
KEY = "a-key-of-the-tests"
CHAT = {"messages": [{"role": "user", "content": "Say hello."}]}
STREAMS = [("/generate", {"prompt": "Hello"}), ("/generate_stream", {"prompt": "Hello"}),
           ("/v1/completions", {"prompt": "Hello", "logprobs": 2}), ("/v1/completions", {"prompt": "Hello", "timeout": 0.001}),
           ("/v1/chat/completions", CHAT | {"logprobs": True, "top_logprobs": 2, "stream_options": {"include_usage": True}}),
           ("/v1/responses", {"input": "Hello"})]


@pytest.fixture(scope="module")
def document(shared_server: Server) -> JsonObject:
    return shared_server.get("/openapi.json").json()


def schema_of(document: JsonObject, name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


def test_the_document_is_openapi_31(document: JsonObject) -> None:
    errors = [f"{'/'.join(map(str, error.instance_path))}: {error.message[:200]}" for error in OPENAPI_31_VALIDATOR.iter_errors(document)]
    assert not errors, errors[:5]
    for name in document["components"]["schemas"]:
        jsonschema_rs.Draft202012Validator(schema_of(document, name))


def test_each_endpoint_of_the_index_is_described(server: Server, document: JsonObject) -> None:
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert set(server.get("/").json()["endpoints"]) == described
    assert "/openapi.json" in server.get("/xyzzy").json()["error"]["message"]


@pytest.mark.parametrize(("path", "body"), STREAMS, ids=[f"{path} {len(body)}" for path, body in STREAMS])
def test_each_frame_of_a_stream_has_its_schema(server: Server, document: JsonObject, path: str, body: JsonObject) -> None:
    response = server.post(path, body | {"stream": True, "max_tokens" if "input" not in body else "max_output_tokens": 5})
    responses = document["paths"][path]["post"]["responses"]
    if response.status_code != 200:
        assert "timeout" in body and str(response.status_code) in responses
        return
    data = responses["200"]["content"]["text/event-stream"]["schema"]["properties"]["data"]
    content = data.get("anyOf", [data])[-1]["contentSchema"]
    validator = jsonschema_rs.Draft202012Validator(content | {"components": document["components"]})
    frames = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert len(frames) >= 2
    assert (frames[-1] == "[DONE]") == ("anyOf" in data)
    for frame in frames:
        if frame != "[DONE]":
            validator.validate(json.loads(frame))


def test_whoever_has_no_key_gets_no_description(serve: Callable[..., Server]) -> None:
    server = serve("--api-keys", KEY, "--max-context-length", 256)
    assert server.get("/openapi.json").status_code == 401
    response = requests.get(server.url + "/openapi.json", headers={"X-Api-Key": KEY}, timeout=ANSWER_TIMEOUT_S)
    assert response.json()["paths"]["/generate"]["post"]["security"] == [{"bearer": []}, {"header": []}]
    assert OPENAPI_31_VALIDATOR.is_valid(response.json())


def test_requests_that_are_drawn_get_the_answers_that_are_named(serve: Callable[..., Server], request: pytest.FixtureRequest,
                                                               tmp_path: Path) -> None:
    seconds = request.config.getoption("--api-seconds")
    # Short answers, and no request that runs for long: many are drawn.
    server = serve("--api-keys", KEY, "--max-context-length", 128, "--request-timeout", 2)
    budget = (["--max-time", str(seconds), "--phases", "coverage,fuzzing,stateful"] if seconds else
              ["--max-time", "15", "--phases", "fuzzing,stateful", "--max-examples", "6", "--seed", "1"])
    command = [Path(sys.executable).parent / "st", "run", server.url + "/openapi.json", "--checks", ",".join(CHECKS), *budget,
               "-H", f"Authorization: Bearer {KEY}", "--request-timeout", "60",
               "--suppress-health-check", "all", "--generation-database", "none", "--no-color", "--warnings", "off"]
    # 501 is how llama-server says that something is not to be had.
    (tmp_path / "schemathesis.toml").write_text('[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", "501"]\n')
    run = subprocess.run([str(word) for word in command], cwd=tmp_path, capture_output=True, text=True, timeout=seconds + 180)
    print(run.stdout)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert server.process.poll() is None
    server_health = requests.get(server.url + "/health", timeout=ANSWER_TIMEOUT_S)
    assert server_health.status_code == 200
