"""What every answer carries, whichever way it leaves: HTTP/1.0, Connection: close and keep-alive; whole, streamed and refused."""

from __future__ import annotations

import gzip
import json
import re

import pytest
import requests
from clients import RawClient, RawResponse, wait_until
from conftest import Server

GOOD = {"prompt": "Hello", "max_tokens": 2, "ignore_eos": True}
CHAT = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
WAYS = {"1.0": ("1.0", []), "1.0 keep-alive": ("1.0", ["Connection: keep-alive"]), "1.1 close": ("1.1", ["Connection: close"]),
        "1.1": ("1.1", [])}
# What is asked, and the status of its answer.
KINDS = {
    "get": ("GET", "/health", None, 200),
    "head": ("HEAD", "/health", None, 200),
    "head of an error": ("HEAD", "/nothing", None, 404),
    "options": ("OPTIONS", "/generate", None, 204),
    "options of all": ("OPTIONS", "*", None, 204),
    "whole": ("POST", "/generate", GOOD, 200),
    "stream": ("POST", "/generate_stream", GOOD, 200),
    "chat stream": ("POST", "/v1/chat/completions", {**CHAT, "stream": True}, 200),
    "wrong": ("POST", "/generate", {}, 400),
    "wrong stream": ("POST", "/generate_stream", {"prompt": ""}, 400),
    "tokens": ("POST", "/tokenize", {"content": "x"}, 200),
    "nothing there": ("POST", "/nothing", {}, 404),
    "method": ("PUT", "/generate", {}, 405),
    "framing": ("GET", "/%zz", None, 400),
    "unknown method": ("BREW", "/v1/models", None, 405),
}

REFUSED = ("framing", "unknown method")  # before their headers are read


def ask(server: Server, kind: str, way: str, *headers: str) -> tuple[RawResponse, bool]:
    """The answer, and whether the server closed the connection after it."""
    method, path, body, _ = KINDS[kind]
    version, connection = WAYS[way]
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/{version}", "Host: x", f"Content-Length: {len(data)}", *connection, *headers]
    # Less than the time after which a connection that idles is closed.
    with RawClient(server.port, timeout=15) as client:
        client.send("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        if method in ("HEAD", "OPTIONS"):
            head = client.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            response = RawResponse(int(head[0].split(" ")[1]), fields, b"")
        else:
            response = client.read_response()
        ends = way in ("1.0", "1.1 close") or "stream" in kind and way == "1.0 keep-alive" and response.status == 200 or kind in REFUSED
        closed = ends and client.read_to_end() == b""
        if not ends:
            client.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.read_response().status == 200, "the connection is of use"
    return response, closed == ends


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_answer_has_its_headers_and_ends_as_asked(server: Server, kind: str, way: str) -> None:
    response, ended_right = ask(server, kind, way, "X-Request-Id: my-request/1")
    assert response.status == KINDS[kind][3]
    assert ended_right
    headers = response.headers
    assert headers["server"] == "cLLM" and re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers["date"])
    assert headers["x-request-id"] == "my-request/1" or kind in REFUSED  # whose headers were never read
    assert kind not in REFUSED or re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    if "stream" in kind and response.status == 200:
        assert headers["content-type"] == "text/event-stream; charset=utf-8" and headers["cache-control"] == "no-cache"
        assert headers["x-accel-buffering"] == "no"
    if response.status == 405:
        assert headers["allow"] == ("POST, OPTIONS" if kind == "method" else "GET, HEAD, OPTIONS")
    if kind in ("whole", "stream", "chat stream"):
        assert headers["x-cllm-cache"]


def test_a_stream_has_the_same_headers_by_either_way(server: Server) -> None:
    names = [set(ask(server, "stream", way)[0].headers) - {"connection", "transfer-encoding"} for way in WAYS]
    assert names[0] >= {"content-type", "cache-control", "x-accel-buffering", "x-cllm-cache", "server", "date", "x-request-id"}
    assert all(others == names[0] for others in names)


@pytest.mark.parametrize("header", ["", "X-Request-Id: a b", "X-Request-Id: " + "x" * 129, "X-Request-Id: \u00e4"], ids=["none", "blank", "long", "bytes"])
def test_a_request_without_a_good_id_gets_a_fresh_one(server: Server, header: str) -> None:
    ids = {ask(server, kind, "1.1", *filter(None, [header]))[0].headers["x-request-id"] for kind in ("get", "whole", "stream", "wrong")}
    assert len(ids) == 4 and all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_the_log_names_the_request_id(server: Server) -> None:
    for kind, path in (("whole", "/generate"), ("wrong", "/generate"), ("nothing there", "/nothing"), ("tokens", "/tokenize")):
        ask(server, kind, "1.1", f"X-Request-Id: logged-{kind.replace(' ', '-')}")
        line = wait_until(lambda: re.search(rf"request .*request_id=logged-{kind.replace(' ', '-')} .*", server.log), 10, "the line in the log")
        assert f"path={path} " in line[0]


# Bodies in an encoding.

@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "br", "zstd", "deflate", "gzip, identity", "GZIP"])
@pytest.mark.parametrize("path", ["/generate", "/v1/chat/completions"])
def test_an_encoding_that_is_not_read_is_415_and_named(server: Server, path: str, encoding: str) -> None:
    body = gzip.compress(json.dumps(GOOD).encode())
    response = requests.post(server.url + path, data=body, headers={"Content-Encoding": encoding}, timeout=10)
    assert response.status_code == 415
    error = response.json()["error"]
    assert encoding in error["message"] and ("type" in error) == path.startswith("/v1/")


def test_a_body_in_an_encoding_is_refused_before_it_comes(server: Server) -> None:
    with RawClient(server.port, timeout=10) as client:
        client.send(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
        assert client.read_response().status == 415


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_identity_is_no_encoding(server: Server, encoding: str) -> None:
    response = requests.post(server.url + "/generate", json=GOOD, headers={"Content-Encoding": encoding}, timeout=60)
    assert response.status_code == 200


# Paths.

@pytest.mark.parametrize(("path", "other"), [("/models", "/v1/models"), ("/v1/health", "/health")])
def test_other_names_of_a_path(server: Server, path: str, other: str) -> None:
    assert server.get(path).json() == server.get(other).json()


def test_chat_without_v1(server: Server) -> None:
    response = server.post("/chat/completions", {**CHAT, "temperature": 0})
    assert response.status_code == 200 and response.json()["object"] == "chat.completion"
    assert server.post("/chat/completions", {}).json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("start", ["/v1/models/", "/models/"])
def test_one_model(server: Server, start: str) -> None:
    listed = server.get("/v1/models").json()["data"][0]
    assert server.get(start + requests.utils.quote(listed["id"], safe="")).json() == listed
    for other in ("no-such", "org/name", "org%2Fname", listed["id"] + "/x"):
        response = server.get(start + other)
        error = response.json()["error"]
        assert response.status_code == 404 and error["code"] == "model_not_found" and error["param"] == "model"
        assert error["type"] == "invalid_request_error" and listed["id"] in error["message"]


@pytest.mark.parametrize(("path", "nearest"), [("/v2/completions", "/v1/completions"), ("/v1/v1/chat/completions", "/v1/chat/completions"),
                                               ("/v1/generate", "/generate"), ("/health/", "/health")])
def test_a_path_that_is_not_there_names_one_that_is(server: Server, path: str, nearest: str) -> None:
    response = server.get(path)
    assert response.status_code == 404 and response.json()["error"]["message"].endswith(f"there is {nearest}")


def test_the_index_names_paths_that_answer(server: Server) -> None:
    endpoints = server.get("/").json()["endpoints"]
    assert len(endpoints) >= 15 and len(set(endpoints)) == len(endpoints)
    for endpoint in endpoints:
        method, path = endpoint.split(" ")
        response = requests.options(server.url + path.replace("{id}", "x"), timeout=10)
        assert response.status_code == 204 and method in response.headers["allow"]
        wrong = requests.put(server.url + path.replace("{id}", "x"), timeout=10)
        assert wrong.status_code == 405 and wrong.headers["allow"] == response.headers["allow"]
        if method == "GET":
            head = requests.head(server.url + path.replace("{id}", "x"), timeout=10)
            assert head.status_code == (404 if "{id}" in path else 200) and head.content == b""


def test_the_case_of_a_path_counts(server: Server) -> None:
    """A proxy's rule for /metrics must not be passed by /METRICS."""
    assert server.get("/METRICS").status_code == server.get("/Health").status_code == 404
