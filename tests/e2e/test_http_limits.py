"""The front door: framing on raw sockets, limits, keys, CORS, TLS and the log's line a request."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from clients import Json, RawClient, post_bytes, wait_until
from conftest import Program, Server
from tls_fixtures import make_certificate

GOOD = {"prompt": "Hello", "max_tokens": 2}
BODY = json.dumps(GOOD).encode()
KEY = "first-key-1234"
OTHER_KEY = "other-key-5678"
ORIGIN = "https://pages.example"
TIMEOUT_MS = 2000


@pytest.fixture(scope="module")
def strict(program: Program, shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Keys, CORS for one origin, few connections, little time, and a log of JSON lines."""
    before = len(program.servers)
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"# for the tests\n\n{OTHER_KEY}\n")
    server = program.launch(program.model, "--host", "127.0.0.1", "--port", 0, "-c", 512, "--api-key", KEY, "--api-key-file", keys,
                            "--cors-origins", ORIGIN, "--max-connections", 8, "--timeout-ms", TIMEOUT_MS, "--max-body-mb", 1)
    yield server.wait_ready()
    program.stop_since(before)


def head(*lines: str) -> bytes:
    return "".join(line + "\r\n" for line in lines).encode("latin-1") + b"\r\n"


# What is sent and the status that it gets.
REFUSED = {
    "two lengths": (head("POST /generate HTTP/1.1", "Host: x", "Content-Length: 2", "Content-Length: 2") + b"{}", 400),
    "exponent length": (head("POST /generate HTTP/1.1", "Host: x", "Content-Length: 1e3"), 400),
    "empty length": (head("POST /generate HTTP/1.1", "Host: x", "Content-Length:"), 400),
    "signed length": (head("POST /generate HTTP/1.1", "Host: x", "Content-Length: +5"), 400),
    "listed length": (head("POST /generate HTTP/1.1", "Host: x", "Content-Length: 2, 2"), 400),
    "huge length": (head("POST /generate HTTP/1.1", "Host: x", "Content-Length: 99999999999999999999999"), 413),
    "length and chunks": (head("POST /generate HTTP/1.1", "Host: x", "Content-Length: 2", "Transfer-Encoding: chunked"), 400),
    "other encoding": (head("POST /generate HTTP/1.1", "Host: x", "Transfer-Encoding: gzip, chunked"), 501),
    "chunk of no number": (head("POST /generate HTTP/1.1", "Host: x", "Transfer-Encoding: chunked") + b"0x5\r\n", 400),
    "chunk longer than said": (head("POST /generate HTTP/1.1", "Host: x", "Transfer-Encoding: chunked") + b"1\r\nab\r\n", 400),
    "huge chunk": (head("POST /generate HTTP/1.1", "Host: x", "Transfer-Encoding: chunked") + b"ffffffffffffffff\r\n", 413),
    "chunks in HTTP/1.0": (head("POST /generate HTTP/1.0", "Transfer-Encoding: chunked"), 400),
    "no host": (head("GET /health HTTP/1.1"), 400),
    "two hosts": (head("GET /health HTTP/1.1", "Host: x", "Host: y"), 400),
    "folded header": (head("GET /health HTTP/1.1", "Host: x", "X: a", " b"), 400),
    "blank before colon": (head("GET /health HTTP/1.1", "Host : x"), 400),
    "bare line feed": (b"GET /health HTTP/1.1\nHost: x\n\n", 400),
    "zero byte": (b"GET /health HTTP/1.1\r\nHost: x\0y\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /health\r\n", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    "bad escape": (head("GET /health%zz HTTP/1.1", "Host: x"), 400),
    "escaped zero": (head("GET /health%00 HTTP/1.1", "Host: x"), 400),
    "unknown method": (head("BREW /generate HTTP/1.1", "Host: x"), 405),
    "long URL": (b"GET /" + b"a" * 20_000, 414),
    "long header": (b"GET /health HTTP/1.1\r\nX: " + b"a" * 40_000, 431),
    "many headers": (head("GET /health HTTP/1.1", "Host: x", *(f"X-{i}: 1" for i in range(101))), 431),
    "expectation": (head("POST /generate HTTP/1.1", "Host: x", "Expect: coffee", "Content-Length: 2"), 417),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_two_readers_could_differ_on_is_refused(server: Server, name: str) -> None:
    data, status = REFUSED[name]
    with RawClient(server.port, timeout=5) as client:
        client.send(data)
        response = client.read_response()
        assert client.read_to_end() == b"", "nothing may come after a refusal"
    assert response.status == status, response.body
    error = response.json()["error"]
    assert error["code"] and error["message"]
    assert response.headers["content-type"].startswith("application/json") and response.headers["connection"] == "close"
    assert server.get("/health").status_code == 200


@pytest.mark.parametrize("data", [
    head("GET http://elsewhere:1/health HTTP/1.1", "Host: x"), head("GET /health?level=basic HTTP/1.1", "Host: x"),
    head("GET /%68ealth HTTP/1.1", "Host: x"), b"\r\n" + head("GET /health HTTP/1.1", "Host: x"),
    head("GET /health HTTP/1.0")], ids=["absolute", "query", "escaped", "line end before", "1.0"])
def test_other_spellings_of_a_good_request(server: Server, data: bytes) -> None:
    with RawClient(server.port) as client:
        client.send(data)
        assert client.read_response().status == 200


def test_continue_is_said_where_it_is_waited_for(server: Server) -> None:
    with RawClient(server.port) as client:
        client.send(head("POST /generate HTTP/1.1", "Host: x", "Expect: 100-continue", f"Content-Length: {len(BODY)}"))
        assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(BODY)
        assert client.read_response().status == 200


def test_a_head_has_no_body_and_options_names_the_methods(server: Server) -> None:
    with RawClient(server.port) as client:
        client.send(head("HEAD /health HTTP/1.1", "Host: x", "Connection: close"))
        answer = client.read_to_end()
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n")
    response = requests.options(server.url + "/generate", timeout=10)
    assert response.status_code == 204 and response.headers["allow"] == "POST, OPTIONS"
    assert "access-control-allow-origin" not in response.headers


def test_a_second_request_in_a_body_is_never_answered(server: Server) -> None:
    inner = head("GET /health HTTP/1.1", "Host: x")
    with RawClient(server.port) as client:
        client.send(head("POST /generate HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(inner)}") + inner)
        answer = client.read_to_end()
    assert answer.startswith(b"HTTP/1.1 400") and answer.count(b"HTTP/1.1 ") == 1


# Keys.

def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("path", ["/", "/v1/models", "/generate", "/v1/chat/completions", "/tokenize", "/nothing", "/v1/nothing"])
@pytest.mark.parametrize("headers", [{}, bearer("wrong"), bearer(KEY[:-1]), bearer(KEY + "x"), {"X-Api-Key": "wrong"},
                                     {"Authorization": f"Basic {KEY}"}], ids=str)
def test_without_a_key_every_path_is_401(strict: Server, path: str, headers: dict[str, str]) -> None:
    response = requests.get(strict.url + path, headers=headers, timeout=10)
    assert response.status_code == 401 and response.headers["www-authenticate"].startswith("Bearer")
    body = response.json()
    assert body["error"]["code"] == "invalid_api_key"
    assert (set(body) == {"error"} and body["error"]["type"]) if path.startswith("/v1/") else body["success"] is False
    assert KEY not in response.text


@pytest.mark.parametrize("headers", [bearer(KEY), {"Authorization": f"bearer {OTHER_KEY}"}, {"X-Api-Key": KEY}, {"X-Api-Key": OTHER_KEY}], ids=str)
def test_with_a_key_everything_works(strict: Server, headers: dict[str, str]) -> None:
    assert requests.get(strict.url + "/v1/models", headers=headers, timeout=10).status_code == 200
    assert requests.post(strict.url + "/generate", headers=headers, json=GOOD, timeout=60).status_code == 200
    assert requests.get(strict.url + "/nothing", headers=headers, timeout=10).status_code == 404


def test_health_needs_no_key(strict: Server) -> None:
    assert strict.get("/health").status_code == 200


@pytest.mark.parametrize("query", ["level=detailed", "level=%64etailed", "a=b&level=basic&level=detailed"])
def test_details_need_a_key(strict: Server, query: str) -> None:
    assert strict.get(f"/health?{query}").status_code == 401
    assert requests.get(f"{strict.url}/health?{query}", headers=bearer(KEY), timeout=10).json()["data"]["engine"]


def test_a_body_is_not_read_before_the_key(strict: Server) -> None:
    with RawClient(strict.port) as client:
        client.send(head("POST /generate HTTP/1.1", "Host: x", "Expect: 100-continue", "Content-Length: 1000"))
        assert client.read_response().status == 401


def test_keys_are_neither_printed_nor_logged(program: Program, strict: Server) -> None:
    printed = program.run("serve", "--print-config", "--api-key", KEY)
    assert printed.returncode == 0 and KEY not in printed.stdout + printed.stderr
    assert KEY not in strict.log and OTHER_KEY not in strict.log


# CORS.

def test_a_preflight_is_answered_for_the_one_origin(strict: Server) -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}
    good = requests.options(strict.url + "/generate", headers={**ask, "Origin": ORIGIN}, timeout=10)
    assert good.status_code == 204 and good.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in good.headers["access-control-allow-headers"].lower() and "Origin" in good.headers["vary"]
    other = requests.options(strict.url + "/generate", headers={**ask, "Origin": "https://evil.example"}, timeout=10)
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("path", ["/generate", "/generate_stream"])
def test_answers_and_streams_name_the_origin(strict: Server, path: str, version: str) -> None:
    with RawClient(strict.port) as client:
        client.post(path, GOOD, f"Origin: {ORIGIN}", f"X-Api-Key: {KEY}", version=version)
        response = client.read_response()
    assert response.status == 200 and response.headers["access-control-allow-origin"] == ORIGIN


def test_a_refusal_names_the_origin_too(strict: Server) -> None:
    response = requests.get(strict.url + "/v1/models", headers={"Origin": ORIGIN}, timeout=10)
    assert response.status_code == 401 and response.headers["access-control-allow-origin"] == ORIGIN


def test_cors_is_off_by_default(server: Server) -> None:
    response = requests.get(server.url + "/health", headers={"Origin": ORIGIN}, timeout=10)
    assert not [name for name in response.headers if name.lower().startswith("access-control")]


# Limits.

@pytest.mark.parametrize("data", [b"GET /hea", head("POST /generate HTTP/1.1", "Host: x", f"X-Api-Key: {KEY}", "Content-Length: 30") + b"{"],
                         ids=["head", "body"])
def test_a_slow_client_is_408(strict: Server, data: bytes) -> None:
    with RawClient(strict.port, timeout=10) as client:
        client.send(data)
        response = client.read_response()
        assert client.read_to_end() == b""
    assert response.status == 408 and str(TIMEOUT_MS) in response.json()["error"]["message"]


def test_an_idle_connection_is_closed(strict: Server) -> None:
    with RawClient(strict.port, timeout=10) as client:
        assert client.read_to_end() == b""


def served_client(port: int) -> RawClient | None:
    """A connection that has been answered and stays open; nothing where its place was still taken."""
    client = RawClient(port, timeout=10)
    try:
        client.send(head("GET /health HTTP/1.1", "Host: x"))
        if client.read_response().status == 200:
            return client
    except (OSError, AssertionError):  # refused before it could ask
        pass
    client.close()
    return None


def test_connections_beyond_the_limit_are_503(strict: Server) -> None:
    # Connections of earlier tests may take a moment to end.
    idle = [wait_until(lambda: served_client(strict.port), 10, "a free place") for _ in range(8)]
    try:
        with RawClient(strict.port, timeout=10) as client:
            response = client.read_response()
        assert response.status == 503 and "8" in response.json()["error"]["message"] and response.headers["retry-after"]
    finally:
        for client in idle:
            client.close()
    wait_until(lambda: served_client(strict.port), 10, "a place to be free").close()


def test_a_body_over_its_limit_is_413_however_it_comes(strict: Server) -> None:
    start = ("POST /v1/completions HTTP/1.1", "Host: x", f"X-Api-Key: {KEY}")
    for data in (head(*start, f"Content-Length: {5 << 20}"), head(*start, "Transfer-Encoding: chunked") + b"500000\r\n"):
        with RawClient(strict.port) as client:
            client.send(data)
            response = client.read_response()
        assert response.status == 413 and "1 MiB" in response.json()["error"]["message"]
        assert response.json()["error"]["type"]


def test_a_flood_behind_an_unanswered_request_ends_the_connection(strict: Server) -> None:
    """A second request may wait for the first one's answer; megabytes may not."""
    body = {"prompt": "Hello", "max_tokens": 400, "ignore_eos": True}
    with RawClient(strict.port) as client:
        client.post("/generate", body, f"X-Api-Key: {KEY}")
        try:
            client.send(b"x" * (4 << 20))
        except OSError:  # closed while we still sent
            pass
        assert client.read_to_end() == b"", "the request is not answered any more"


def test_prompts_above_max_input_tokens_are_refused(serve: Callable[..., Server]) -> None:
    server = serve("-c", 512, "--max-input-tokens", 8, "--scheduler-default-max-tokens", 3)
    response = server.post("/generate", {"prompt": "one two three four five six seven eight nine ten", "max_tokens": 1})
    assert response.status_code == 400 and "max_input_tokens" in response.text
    assert server.generate(prompt="Hello", ignore_eos=True)["generated_tokens"] == 3
    chat = server.post("/v1/completions", {"prompt": "Hello", "ignore_eos": True}).json()
    assert chat["usage"]["completion_tokens"] == 3


# The log.

def requests_of(log: str) -> list[Json]:
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == "request"]


def test_a_line_a_request_without_its_text(program: Program, launch: Callable[..., Server], tmp_path: Path) -> None:
    log = tmp_path / "log"
    server = launch(program.model, "--host", "127.0.0.1", "--port", 0, "-c", 512, "--log-file", log, "--log-format", "json")
    port = wait_until(lambda: [part for part in (log.read_text() if log.exists() else "").split("serving on http://127.0.0.1:") if part[:1].isdigit()],
                      60, "the port in the log's file")[0].split(" ")[0]
    url = f"http://127.0.0.1:{port}"
    secret = "a xylophone in a quagmire"
    # Greedy and long: three tokens that are drawn may be a full stop, which any log contains.
    answer = requests.post(url + "/generate", json={"prompt": secret, "max_tokens": 24, "temperature": 0, "ignore_eos": True}, timeout=60).json()["data"]
    text = answer["text"].strip()
    assert len(text) >= 16
    with requests.post(url + "/generate_stream", json={"prompt": secret, "max_tokens": 2}, timeout=60) as stream:
        assert stream.status_code == 200
    assert requests.post(url + "/v1/completions", json={"prompt": 1}, timeout=60).status_code == 400
    with RawClient(int(port)) as client:
        client.send(b"rubbish\r\n\r\n")
        assert client.read_response().status == 400
    lines = wait_until(lambda: (found := requests_of(log.read_text())) and len(found) >= 4 and found, 10, "four lines")
    whole, streamed, refused, rubbish = lines
    assert whole["id"] == answer["id"] and whole["status"] == 200 and whole["outcome"] == "finished"
    assert whole["generated_tokens"] == 24 and whole["prompt_tokens"] > 3 and whole["total_ms"] > 0
    assert whole["path"] == "/generate" and whole["remote"].startswith("127.0.0.1:")
    assert streamed["path"] == "/generate_stream" and streamed["status"] == 200
    assert refused["status"] == 400 and refused["outcome"] == "refused" and rubbish["status"] == 400
    written = log.read_text()
    assert "xylophone" not in written and text not in written and json.dumps(text)[1:-1] not in written
    assert server.log == "", "the file has it all"


def test_prompts_are_logged_where_the_operator_wants_them(serve: Callable[..., Server]) -> None:
    server = serve("-c", 512, "--log-prompts")
    server.generate(prompt="a xylophone", max_tokens=1)
    wait_until(lambda: "a xylophone" in server.log, 10, "the prompt in the log")


# TLS and what stops the start.

def test_https(program: Program, launch: Callable[..., Server], tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "server")
    server = launch(program.model, "--host", "127.0.0.1", "--port", 0, "-c", 512, "--tls-certificate", certificate, "--tls-key", key)
    logged = wait_until(lambda: server.log.partition("serving on https://127.0.0.1:")[2], 60, "the port")
    port = int(logged.split(" ")[0])
    url = f"https://127.0.0.1:{port}"
    assert requests.post(url + "/generate", json=GOOD, verify=certificate, timeout=60).status_code == 200
    with requests.post(url + "/generate_stream", json=GOOD, verify=certificate, timeout=60) as stream:
        assert b'"done":true' in stream.content
    context = ssl.create_default_context(cafile=certificate)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname="localhost") as client:
        client.sendall(head("POST /generate HTTP/1.1", "Host: x", "Content-Length: 1e3"))
        assert client.recv(1000).startswith(b"HTTP/1.1 400")
    with RawClient(port, timeout=10) as client:
        client.send(head("GET /health HTTP/1.1", "Host: x"))
        assert b"healthy" not in client.read_to_end()


def test_what_stops_the_start_is_one_line(program: Program, server: Server, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "a")
    _, other_key = make_certificate(tmp_path, "b")
    empty = tmp_path / "empty"
    empty.write_text("# no key\n")
    shared = tmp_path / "shared"
    shared.write_text("a-key\n")
    shared.chmod(0o666)
    cases = [
        (["--tls-certificate", certificate], "server.tls_key is missing"),
        (["--tls-certificate", tmp_path / "none", "--tls-key", key], "server.tls_certificate"),
        (["--tls-certificate", empty, "--tls-key", key], "no usable certificate"),
        (["--tls-certificate", certificate, "--tls-key", other_key], "does not belong to the certificate"),
        (["--api-key-file", empty], "holds no key"),
        (["--api-key-file", tmp_path / "none"], "cannot open it"),
        (["--api-key-file", shared], "others may write it"),
        (["--allowed-hosts", "http://example.org"], "http.allowed_hosts"),
        (["--api-key", "with blank"], "visible ASCII"),
        (["--cors-origins", "example.org"], "http.cors_origins"),
        (["--port", server.port], "another server runs there"),
        (["--host", "203.0.113.7"], "no address of this machine"),
        (["--host", "no such host"], "cannot resolve server.host"),
        (["--log-file", tmp_path / "no/folder/log"], "logging.file"),
        (["--memory-limit-mb", 1], "resources.memory_limit_mb"),
    ]
    for arguments, message in cases:
        options = ["--host", "127.0.0.1", "--port", 0] if "--port" not in arguments and "--host" not in arguments else ["--host", "127.0.0.1"]
        result = program.run("serve", program.model, *(options if "--host" not in arguments else []), *arguments)
        assert result.returncode == 1, (arguments, result.stderr)
        complaints = [line for line in result.stderr.splitlines() if line.startswith("cllm: ")]
        assert len(complaints) == 1 and message in complaints[0], (arguments, result.stderr)


def test_a_public_address_without_a_key_is_one_warning(program: Program, launch: Callable[..., Server]) -> None:
    server = launch(program.model, "--host", "0.0.0.0", "--port", 0, "-c", 512)
    assert server.port
    assert server.log.count("no API key is set") == 1
    keyed = launch(program.model, "--host", "0.0.0.0", "--port", 0, "-c", 512, "--api-key", KEY)
    assert keyed.port
    assert "no API key is set" not in keyed.log and KEY not in keyed.log
