"""Wrong requests and hostile HTTP: each gets its 4xx in the endpoint's dialect, and the server goes on serving."""

from __future__ import annotations

import json
import socket

import pytest
from clients import Json, RawClient, event_data, post_bytes
from conftest import Server

PROMPT = "Hello"
GOOD = {"prompt": PROMPT, "max_tokens": 2}
CHAT = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 2}
MIB = 1 << 20


@pytest.fixture(autouse=True)
def still_serves(server: Server):
    yield
    assert server.generate(**GOOD)["generated_tokens"] <= 2
    server.wait_idle()


def check_cllm_error(body: Json, code: str, field: str | None) -> str:
    assert set(body) == {"success", "error"} and body["success"] is False
    error = body["error"]
    assert set(error) == {"code", "message", "field"}
    assert error["code"] == code and error["field"] == field, error
    assert error["message"] and (field is None or field in error["message"])
    return error["message"]


def check_openai_error(body: Json, code: str, field: str | None) -> str:
    assert set(body) == {"error"}
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["code"] == code and error["param"] == field, error
    return error["message"]


SAMPLING_ERRORS = [
    ("max_tokens", ["0", -2, 0, 1.5, "8", [], {}, True, 2**40, 2**70, 1e300]),
    ("temperature", ["0.5", -0.1, 2.1, [], {}, True]),
    ("top_p", ["1", -0.1, 1.1, False]),
    ("top_k", ["1", -2, 1.5, 2**31]),
    ("min_p", ["0", -0.1, 1.1]),
    ("repetition_penalty", ["1", 0, -1, 1e9]),
    ("presence_penalty", ["1", 2.1]),
    ("frequency_penalty", ["1", -2.1]),
    ("seed", ["1", 1.5, -(2**63) - 1, 2**63, 2**64]),
    ("stop", [1, "x" * 1025, ["x" * 1025], [1], ["a", None], ["x"] * 17, {}]),
    ("ignore_eos", [1, "true", []]),
    ("stream", [1, "true", "yes"]),
    ("timeout", ["1", 0, -1]),
    ("logit_bias", [1, [1], [[1]], {"x": 1}, {"1": "1"}, {"1": 101}, {"-1": 1}]),
    ("temprature", [1]),
]
GENERATE_ERRORS = [("no_such_field", [1]), ("prompt", [None, 1, True, {}, [], ["a"], [1, 2], ""])]
CHAT_ERRORS = [
    ("messages", [None, [], "hi", {}, 1]),
    ("messages[0]", [["hi"], [None]]),
    ("messages[0].role", [[{"content": "x"}], [{"role": "robot", "content": "x"}], [{"role": 1, "content": "x"}]]),
    ("messages[0].content", [[{"role": "user"}], [{"role": "user", "content": 1}],
                             [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]]),
    ("messages[1].contant", [[{"role": "user", "content": "x"}, {"role": "user", "content": "x", "contant": 1}]]),
    ("tools", [5, "all"]),
    ("tools[0].function.name", [[{"type": "function", "function": {"name": "f f"}}]]),
    ("tool_choice", ["required", "sometimes", 5]),
    ("response_format", ["json", {"type": "yaml"}, {"type": "json_schema"}]),
    ("top_logprobs", [21, -1, "1", 3]),
    ("logprobs", [1, "true"]),
    ("n", [0, 129, "1"]),
    ("stream_options", [1]),
    ("samplers", [["top_k"], "kt"]),
    ("timings_per_token", [1]),
    ("return_progress", ["yes"]),
    ("modalities", [["text", "audio"]]),
    ("best_of", [129]),
]


def cases(table: list[tuple[str, list]]) -> list:
    return [pytest.param(field, value, id=f"{field}={json.dumps(value)[:40]}") for field, values in table for value in values]


def with_field(body: Json, field: str, value: object) -> Json:
    return {**body, field.partition("[")[0]: value}


@pytest.mark.parametrize("path", ["/generate", "/generate_stream"])
@pytest.mark.parametrize(("field", "value"), cases(SAMPLING_ERRORS + GENERATE_ERRORS))
def test_wrong_field_of_generate(shared_server: Server, path: str, field: str, value: object) -> None:
    response = shared_server.post(path, with_field(GOOD, field, value))
    assert response.status_code == 400, response.text
    if field == "prompt" and value == "":
        field_message = response.json()["error"]["message"]
        assert "empty" in field_message
    check_cllm_error(response.json(), "invalid_argument", field)


@pytest.mark.parametrize(("field", "value"), cases(SAMPLING_ERRORS + CHAT_ERRORS))
def test_wrong_field_of_chat(shared_server: Server, field: str, value: object) -> None:
    response = shared_server.post("/v1/chat/completions", with_field(CHAT, field, value))
    assert response.status_code == 400, response.text
    check_openai_error(response.json(), "invalid_argument", field)


@pytest.mark.parametrize(("field", "value"), cases([("prompt", [None, 1, {}, [], ["a", {}], [1, [2]], [1.5], [-1], [10**9], ""]),
                                                    ("logprobs", [21, -1, True]), ("echo", [1]), ("best_of", [0, 129])]))
def test_wrong_field_of_completions(server: Server, field: str, value: object) -> None:
    response = server.post("/v1/completions", with_field(GOOD, field, value))
    assert response.status_code == 400, response.text
    check_openai_error(response.json(), "invalid_argument", field)


@pytest.mark.parametrize(("path", "body", "field"), [
    ("/tokenize", {}, "content"), ("/tokenize", {"content": 1}, "content"), ("/tokenize", {"content": "x", "contents": 1}, "contents"),
    ("/tokenize", {"content": "x", "add_special": 1}, "add_special"),
    ("/detokenize", {}, "tokens"), ("/detokenize", {"tokens": "x"}, "tokens"), ("/detokenize", {"tokens": [-1]}, "tokens"),
    ("/detokenize", {"tokens": [10**9]}, "tokens"), ("/detokenize", {"tokens": [2**40]}, "tokens")], ids=str)
def test_wrong_field_of_the_token_endpoints(server: Server, path: str, body: Json, field: str) -> None:
    response = server.post(path, body)
    assert response.status_code == 400, response.text
    check_cllm_error(response.json(), "invalid_argument", field)


@pytest.mark.parametrize("fields", [{"allowed_token_ids": [5], "banned_token_ids": [5]},
                                    {"allowed_token_ids": [5], "stop_token_ids": [5], "min_tokens": 1},
                                    {"allowed_token_ids": [5], "logit_bias": {"5": 1}, "banned_token_ids": [5]}],
                         ids=lambda fields: " ".join(fields))
@pytest.mark.parametrize(("path", "body"), [("/generate", GOOD), ("/v1/completions", GOOD), ("/v1/chat/completions", CHAT)],
                         ids=lambda value: value if isinstance(value, str) else "")
def test_who_leaves_no_token_to_sample_is_to_blame(server: Server, path: str, body: Json, fields: Json) -> None:
    response = server.post(path, {**body, **fields})
    assert response.status_code == 400 and "no token is left to sample" in response.text, response.text


@pytest.mark.parametrize("value", ["", "high", "1.5", "101", "-101", "5,6"])
@pytest.mark.parametrize("path", ["/generate", "/v1/completions"])
def test_a_priority_in_a_header_that_is_none(server: Server, path: str, value: str) -> None:
    response = server.post(path, GOOD, headers={"X-cLLM-Priority": value})
    assert response.status_code == 400 and "X-cLLM-Priority" in response.text


def test_a_missing_prompt_is_named(server: Server) -> None:
    check_cllm_error(server.post("/generate", {}).json(), "invalid_argument", "prompt")
    check_openai_error(server.post("/v1/completions", {}).json(), "invalid_argument", "prompt")


def test_a_bias_for_a_token_outside_the_vocabulary(server: Server) -> None:
    response = server.post("/generate", {**GOOD, "logit_bias": {"2000000000": 1}})
    assert response.status_code == 400, response.text
    check_cllm_error(response.json(), "invalid_argument", "logit_bias")


# Body, and what its message must name.
BAD_BODIES = {
    "empty": (b"", "byte 1"),
    "cut": (b'{"prompt": "x"', "byte 15"),
    "comma": (b'{"prompt": "x",}', "byte 16"),
    "rest": (b'{"prompt": "x"} x', "byte 17"),
    "quotes": (b"{'prompt': 'x'}", "byte 2"),
    "nan": (b'{"prompt": "x", "temperature": NaN}', "byte 32"),
    "infinity": (b'{"prompt": "x", "temperature": -Infinity}', "byte 33"),
    "too-large-number": (b'{"prompt": "x", "temperature": 1e999}', "1e999"),
    "bad-utf8": (b'{"prompt": "\xff"}', "byte 13"),
    "cut-utf8": (b'{"prompt": "\xe4\xba"}', "byte 15"),
    "encoded-surrogate": (b'{"prompt": "\xed\xa0\x80"}', "byte 14"),
    "overlong": (b'{"prompt": "\xc0\xaf"}', "byte 13"),
    "lone-surrogate": (b'{"prompt": "\\ud800"}', "byte 19"),
    "control": (b'{"prompt": "a\nb"}', "byte 14"),
    "zero": (b'{"prompt": "a"\0}', "byte 15"),
    "array": (b'[{"prompt": "x"}]', "object"),
    "string": (b'"x"', "object"),
    "number": (b"1", "object"),
    "null": (b"null", "object"),
    "deep-array": (b'{"prompt": ' + b"[" * 100_000, "deep"),
    "deep-object": (b'{"a":' * 100_000, "deep"),
    "deep-closed": (b'{"prompt": "x", "stop": ' + b"[" * 65 + b"]" * 65 + b"}", "deep"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
@pytest.mark.parametrize("path", ["/generate", "/v1/chat/completions", "/tokenize"])
def test_bad_bodies(server: Server, path: str, name: str) -> None:
    body, mark = BAD_BODIES[name]
    response = server.post_bytes(path, body)
    assert response.status_code == 400, response.text
    check = check_openai_error if path.startswith("/v1/") else check_cllm_error
    assert mark in check(response.json(), "invalid_argument", None)


def test_errors_quote_what_was_sent_as_valid_json(server: Server) -> None:
    for text in ("\"\\\n\u2028", "语" * 100, "😀" * 50):
        response = server.post("/generate", {**GOOD, "temperature": text})
        assert response.status_code == 400
        check_cllm_error(response.json(), "invalid_argument", "temperature")
        error = server.post("/generate", {**GOOD, text: 1}).json()["error"]
        assert error["code"] == "invalid_argument" and error["field"]
        assert error["field"] == text or text.startswith(error["field"].removesuffix("…")), error  # long ones are cut


@pytest.mark.parametrize("path", ["/generate", "/v1/completions"])
def test_a_body_over_the_limit_is_413(server: Server, path: str) -> None:
    body = json.dumps({"prompt": "x" * (17 * MIB)}).encode()
    response = server.post_bytes(path, body)
    assert response.status_code == 413
    check = check_openai_error if path.startswith("/v1/") else check_cllm_error
    assert "16 MiB" in check(response.json(), "too_large", None)


def test_an_announced_huge_body_is_refused_before_it_comes(server: Server) -> None:
    with RawClient(server.port) as client:
        client.send(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n")
        assert client.read_response().status == 413


# Drogon reads "1e3" as 1 and takes an empty length as none: noted in docs/decisions.md.
@pytest.mark.parametrize("length", [b"-1", b"abc", b"99999999999999999999999"])
def test_a_senseless_content_length(server: Server, length: bytes) -> None:
    with RawClient(server.port) as client:
        client.send(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n{}")
        assert client.read_to_end()[:10] in (b"", b"HTTP/1.1 4")


@pytest.mark.parametrize(("path", "check"), [("/nothing", check_cllm_error), ("/v1/nothing", check_openai_error),
                                             ("/generate/", check_cllm_error), ("/%7f", check_cllm_error)])
def test_unknown_paths(server: Server, path: str, check) -> None:
    for method in ("GET", "POST"):
        with RawClient(server.port) as client:
            client.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            response = client.read_response()
        assert response.status == 404
        check(response.json(), "not_found", None)


@pytest.mark.parametrize(("method", "path"), [("GET", "/generate"), ("PUT", "/generate"), ("DELETE", "/generate_stream"),
                                              ("GET", "/v1/chat/completions"), ("POST", "/health"), ("POST", "/v1/models"),
                                              ("GET", "/tokenize"), ("PATCH", "/detokenize"), ("POST", "/")])
def test_wrong_methods(server: Server, method: str, path: str) -> None:
    with RawClient(server.port) as client:
        client.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        response = client.read_response()
    assert response.status == 405
    check = check_openai_error if path.startswith("/v1/") else check_cllm_error
    check(response.json(), "method_not_allowed", None)


def test_an_unknown_level_of_health(server: Server) -> None:
    response = server.get("/health?level=loud")
    assert response.status_code == 400
    check_cllm_error(response.json(), "invalid_argument", "level")


@pytest.mark.parametrize("garbage", [b"\0" * 64, b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"GET\r\n\r\n",
                                     b"GET / HTTP/9.9\r\n\r\n", b"FOO /generate HTTP/1.1\r\n\r\n",
                                     b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"\r\n" * 100], ids=repr)
def test_garbage(server: Server, garbage: bytes) -> None:
    with RawClient(server.port, timeout=3) as client:
        client.send(garbage)
        try:
            answer = client.read_to_end()
        except TimeoutError:
            answer = b""  # the server waits for more of it
    assert answer[:9] in (b"", b"HTTP/1.1 ", b"HTTP/1.0 ")


def test_endless_headers_are_cut(server: Server) -> None:
    with RawClient(server.port) as client:
        try:
            client.send(b"GET / HTTP/1.1\r\nX: " + b"x" * (4 * MIB))
        except OSError:
            return
        assert client.read_to_end()[:10] in (b"", b"HTTP/1.1 4")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_half_a_request_and_gone(server: Server, share: float) -> None:
    data = post_bytes("/generate", GOOD)
    with RawClient(server.port) as client:
        client.send(data[:int(len(data) * share)])


def test_content_length_beside_chunks(server: Server) -> None:
    """The old door of request smuggling: no second request may come out of the body."""
    with RawClient(server.port) as client:
        client.send(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
                    b"Connection: close\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"healthy" not in client.read_to_end()


def test_a_chunked_request_body(server: Server) -> None:
    data = json.dumps(GOOD).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (data[:5], data[5:])) + b"0\r\n\r\n"
    with RawClient(server.port) as client:
        client.send(b"POST /generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        assert client.read_response().status == 200


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    bodies = [{**GOOD, "seed": seed, "max_tokens": tokens} for seed, tokens in ((11, 12), (12, 1), (13, 4))]
    with RawClient(server.port) as client:
        client.send(b"".join(post_bytes("/generate", body) for body in bodies))
        seeds = [client.read_response().json()["data"]["seed"] for _ in bodies]
    assert seeds == [11, 12, 13]


def test_pipelined_streams_are_answered_in_order(server: Server) -> None:
    bodies = [{**GOOD, "seed": seed, "max_tokens": tokens} for seed, tokens in ((21, 12), (22, 1), (23, 4))]
    with RawClient(server.port) as client:
        client.send(b"".join(post_bytes("/generate_stream", body) for body in bodies))
        for body in bodies:
            last = stream_frames(client.read_response().body)[-1]
            assert last["done"] and last["seed"] == body["seed"] and "error" not in last


def stream_frames(body: bytes) -> list[Json]:
    *frames, rest = body.split(b"\n\n")
    assert rest == b""
    return [json.loads(event_data(frame)) for frame in frames]


@pytest.mark.parametrize(("version", "header"), [("1.0", "X-None: 1"), ("1.1", "Connection: close"), ("1.1", "connection: CLOSE")])
def test_without_keep_alive_all_frames_come_and_then_the_end(server: Server, version: str, header: str) -> None:
    body = {"prompt": PROMPT, "max_tokens": 12, "ignore_eos": True, "temperature": 0}
    with RawClient(server.port) as client:
        client.post("/generate_stream", body, header, version=version)
        response = client.read_response()
        assert client.read_to_end() == b""
    assert response.status == 200 and "transfer-encoding" not in response.headers
    assert response.headers["content-type"].startswith("text/event-stream")
    frames = stream_frames(response.body)
    assert frames[-1]["done"] and frames[-1]["generated_tokens"] == 12
    assert "".join(frame["token"] for frame in frames) == server.generate(**body)["text"]


def test_http_1_0_whole_answer(server: Server) -> None:
    with RawClient(server.port) as client:
        client.post("/generate", GOOD, version="1.0")
        assert client.read_response().json()["success"] is True
        assert client.read_to_end() == b""


def test_one_connection_serves_many_requests(server: Server) -> None:
    with RawClient(server.port) as client:
        for _ in range(3):
            client.post("/generate_stream", GOOD)
            assert stream_frames(client.read_response().body)[-1]["done"]
            client.post("/generate", {})
            assert client.read_response().status == 400


def test_headers_that_come_byte_by_byte(server: Server) -> None:
    data = post_bytes("/generate", GOOD)
    with RawClient(server.port) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # TCP_NODELAY: each byte in a packet of its own
        for i in range(len(data)):
            client.send(data[i:i + 1])
        assert client.read_response().status == 200
