"""Connections that cost something: silent ones, those that are not read, and those that are closed by halves."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from clients import RawClient, post_bytes, wait_until
from conftest import Program, Server
from tls_fixtures import make_certificate

TIMEOUT_MS = 1500
LONG = {"prompt": "Once upon a time", "max_tokens": 400, "ignore_eos": True}
SHORT = {**LONG, "max_tokens": 8}
MIB = 1 << 20


def clients_of(port: int) -> set[int]:
    """The ports of the clients whose connections a server holds. Those that it has closed belong to no process any more."""
    clients = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, _, _, _, _, _, inode, *_ = line.split()
        if int(local.rpartition(":")[2], 16) == port and inode != "0":
            clients.add(int(remote.rpartition(":")[2], 16))
    return clients - {0}  # who listens has no peer


def is_held(client: RawClient) -> bool:
    return client.socket.getsockname()[1] in clients_of(client.socket.getpeername()[1])


def has_ended(client: RawClient) -> bool:
    """Of a client that has asked for nothing: whatever there is to read is the end, or the refusal before it."""
    return bool(select.select([client.socket], [], [], 0)[0])


def wait_for_the_end_of(count: int, clients: list[RawClient]) -> None:
    """Until the server has seen them all: a client that comes while a flood goes on may have to give way itself."""
    wait_until(lambda: sum(map(has_ended, clients)) >= count, 10, f"{count} of {len(clients)} to be closed")


def forget_peak_memory(server: Server) -> None:
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


def peak_memory(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers]).encode() + b"\r\n\r\n"


@pytest.fixture(scope="module")
def hurried(program: Program, shared_server: Server) -> Iterator[Server]:
    """Little time for those that let it wait."""
    before = len(program.servers)
    yield program.serve("-c", 512, "--timeout-ms", TIMEOUT_MS, "--request-timeout", 60)
    program.stop_since(before)


# Answers that are not read.

def test_requests_wait_for_a_client_that_does_not_read(hurried: Server) -> None:
    hurried.wait_idle()
    forget_peak_memory(hurried)
    start = peak_memory(hurried)
    with RawClient(hurried.port, receive_buffer=4096) as client:
        client.send(get("/metrics") * 30_000)
        wait_until(lambda: is_held(client), 10, "the connection")
        assert hurried.get("/health").status_code == 200
        wait_until(lambda: not is_held(client), 30, "the end of the connection")
    assert peak_memory(hurried) - start < 64 * MIB


def test_pipelined_answers_come_in_order_and_whole(server: Server) -> None:
    count = 300
    with RawClient(server.port, receive_buffer=4096) as client:
        client.send(b"".join(get("/metrics", f"X-Request-Id: {i}") for i in range(count)))
        for i in range(count):
            response = client.read_response()
            assert response.status == 200 and response.headers["x-request-id"] == str(i)
            assert response.body.endswith(b"\n")


def big_request(path: str = "/tokenize") -> bytes:
    return post_bytes(path, {"content": "a b c d " * 60_000, "with_pieces": True}, "Connection: close")


@pytest.mark.parametrize("ending", ["close", "keep-alive"])
def test_a_slow_reader_gets_its_whole_answer(hurried: Server, ending: str) -> None:
    request = big_request().replace(b"Connection: close", b"Connection: " + ending.encode())
    with RawClient(hurried.port, receive_buffer=65536) as client:
        client.send(request)
        client.read_until(b"tokens")
        began = time.monotonic()
        # As slow as takes several timeouts; the pace is the point.
        body = client.pending
        while len(body) < 8 * MIB and (data := client.socket.recv(65536)):
            body += data
            time.sleep(max(0.0, began + len(body) / (1.2 * MIB) - time.monotonic()))
        assert time.monotonic() - began > 3 * TIMEOUT_MS / 1000
        client.pending = body
        rest = client.read_to_end() if ending == "close" else client.read_until(b"]}")
    assert ending != "close" or rest.endswith(b"]}"), rest[-100:]


@pytest.mark.parametrize("path", ["/generate_stream", "/tokenize"])
def test_a_client_that_takes_nothing_is_cut(hurried: Server, path: str) -> None:
    with RawClient(hurried.port, receive_buffer=2048) as client:
        client.send(big_request() if path == "/tokenize" else post_bytes(path, {**LONG, "max_tokens": 490}))
        wait_until(lambda: is_held(client), 10, "the connection")
        wait_until(lambda: not is_held(client), 30, "the end of the connection")
        hurried.wait_idle()


def test_a_request_that_computes_longer_than_the_timeout_is_not_idle(hurried: Server) -> None:
    began = time.monotonic()
    assert len(hurried.generate(**{**LONG, "max_tokens": 480})["text"]) > 100
    print(f"{time.monotonic() - began:.1f} s")


# Places.

def beginning_of_a_body() -> bytes:
    return b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"


@pytest.fixture(scope="module")
def crowded(program: Program, shared_server: Server) -> Iterator[Server]:
    """Six places, of which an address may have four."""
    before = len(program.servers)
    yield program.serve("-c", 512, "--max-connections", 6, "--max-connections-per-address", 4)
    program.stop_since(before)


def connect_from(address: str, port: int) -> RawClient:
    client = RawClient.__new__(RawClient)
    client.socket = socket.create_connection(("127.0.0.1", port), 30, (address, 0))
    client.pending = b""
    return client


def busy_client(address: str, port: int) -> RawClient | None:
    """Keeps its place, or has been told that there is none."""
    client = connect_from(address, port)
    try:
        client.send(beginning_of_a_body().replace(b"Content-Length", b"Expect: 100-continue\r\nContent-Length")[:-1])
        if client.socket.recv(100).startswith(b"HTTP/1.1 100"):
            return client
    except OSError:
        pass
    client.close()
    return None


def test_an_address_has_its_share_and_others_theirs(crowded: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(wait_until(lambda: busy_client("127.0.0.1", crowded.port), 10, "a place"))
        with connect_from("127.0.0.1", crowded.port) as fifth:
            response = fifth.read_response()
            assert response.status == 503 and "http.max_connections_per_address" in response.json()["error"]["message"]
        for _ in range(2):
            stack.enter_context(wait_until(lambda: busy_client("127.0.0.2", crowded.port), 10, "a place"))
        with connect_from("127.0.0.3", crowded.port) as seventh:
            response = seventh.read_response()
            assert response.status == 503 and "all 6 connections" in response.json()["error"]["message"]


def test_silent_connections_give_way(crowded: Server) -> None:
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(connect_from(f"127.0.1.{i + 1}", crowded.port)) for i in range(40)]
        wait_for_the_end_of(34, others)
        assert crowded.get("/health").status_code == 200
        ours = [stack.enter_context(connect_from("127.0.0.1", crowded.port)) for _ in range(40)]
        wait_for_the_end_of(36, ours)
        assert crowded.get("/health").status_code == 200


# TLS.

def serve_tls(program: Program, folder: Path, *options: object, limit: int | None = None) -> tuple[Server, str, Path]:
    certificate, key = make_certificate(folder, "server")
    arguments = ["serve", program.model, "--host", "127.0.0.1", "--port", 0, "-c", 512, "--tls-certificate", certificate, "--tls-key", key, *options]
    command = [str(program.path), *map(str, arguments)]
    server = Server(["prlimit", f"--nofile={limit}", *command] if limit else command, program.cwd)
    program.servers.append(server)
    port = wait_until(lambda: server.log.partition("serving on https://127.0.0.1:")[2], 60, "the port").split(" ")[0]
    return server, f"https://127.0.0.1:{port}", certificate


@pytest.mark.parametrize("limit", [None, 400])
def test_silent_connections_lock_nobody_out_of_https(program: Program, launch: Callable[..., Server], tmp_path: Path, limit: int | None) -> None:
    options = ["--max-connections", 50] if limit is None else []
    _, url, certificate = serve_tls(program, tmp_path, *options, limit=limit)
    port = int(url.rpartition(":")[2])
    most = 50 if limit is None else limit // 2
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(RawClient(port)) for _ in range(450)]
        for client in silent:
            with contextlib.suppress(OSError):  # it is closed already
                client.send(b"\x16")  # a handshake begins with it
        wait_for_the_end_of(450 - most, silent)
        assert len(clients_of(port)) <= most
        for _ in range(3):
            assert requests.get(url + "/health", verify=certificate, timeout=10).status_code == 200


def test_a_handshake_has_a_deadline(program: Program, launch: Callable[..., Server], tmp_path: Path) -> None:
    _, url, certificate = serve_tls(program, tmp_path, "--timeout-ms", TIMEOUT_MS)
    with RawClient(int(url.rpartition(":")[2]), timeout=20) as silent:
        silent.send(b"\x16\x03\x01")
        assert silent.read_to_end() == b""
    assert requests.get(url + "/health", verify=certificate, timeout=10).status_code == 200


def test_closing_half_of_a_tls_connection(program: Program, launch: Callable[..., Server], tmp_path: Path) -> None:
    _, url, certificate = serve_tls(program, tmp_path)
    context = ssl.create_default_context(cafile=certificate)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 30) as client:
        def until_done(action: Callable[[], bytes | None]) -> bytes | None:
            while True:
                try:
                    return action()
                except ssl.SSLWantReadError:
                    client.sendall(outgoing.read())
                    data = client.recv(65536)
                    incoming.write(data) if data else incoming.write_eof()
        until_done(tls.do_handshake)
        tls.write(post_bytes("/generate", SHORT))
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()  # says that nothing more comes
        client.sendall(outgoing.read())
        assert (until_done(lambda: tls.read(65536)) or b"").startswith(b"HTTP/1.1 200")


# Half of a connection.

@pytest.mark.parametrize("path", ["/generate", "/generate_stream", "/v1/completions", "/tokenize"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_client_may_close_its_half_after_the_request(server: Server, path: str, version: str) -> None:
    with RawClient(server.port) as client:
        client.post(path, {"content": "Hello"} if path == "/tokenize" else SHORT, version=version)
        client.socket.shutdown(socket.SHUT_WR)
        response = client.read_response()
        assert response.status == 200 and response.body
        assert client.read_to_end() == b"", "nobody can ask for more"


def test_requests_before_the_half_was_closed_are_all_answered(server: Server) -> None:
    with RawClient(server.port) as client:
        client.send(get("/health") + post_bytes("/generate", SHORT) + get("/v1/models") + b"GET /hea")
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.read_response().status for _ in range(3)] == [200, 200, 200]
        assert client.read_to_end() == b""


def test_who_waits_long_with_a_half_is_asked_whether_it_is_there(server: Server) -> None:
    with RawClient(server.port) as client:
        client.post("/generate", {**LONG, "max_tokens": 480})
        client.socket.shutdown(socket.SHUT_WR)
        answer = client.read_to_end()
    *interim, final = answer.split(b"HTTP/1.1 ")[1:]
    assert all(part == b"100 Continue\r\n\r\n" for part in interim)
    assert json.loads(final.partition(b"\r\n\r\n")[2])["success"] is True


def test_a_half_without_a_request_ends_the_connection(server: Server) -> None:
    for sent in (b"", b"GET /hea", beginning_of_a_body(), get("/health")):
        with RawClient(server.port, timeout=10) as client:
            client.send(sent)
            client.socket.shutdown(socket.SHUT_WR)
            assert client.read_to_end().startswith(b"HTTP/1.1 200" if sent == get("/health") else b"")


# Bodies that nobody reads.

@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("length", ["Content-Length: 16777216", "Transfer-Encoding: chunked"])
def test_what_asks_with_its_url_has_no_body(server: Server, method: str, length: str) -> None:
    with RawClient(server.port) as client:
        client.send(f"{method} /health HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode() + (b"5\r\na=b&c\r\n" if "chunked" in length else b""))
        answer = client.read_to_end()
    assert answer.startswith(b"HTTP/1.1 400") and (method == "HEAD" or b"has no body" in answer)


@pytest.mark.parametrize("request_line,status", [("POST /nothing", 404), ("POST /health", 405), ("PUT /generate", 405), ("DELETE /health", 405)])
def test_a_body_for_nothing_is_read_and_dropped(server: Server, request_line: str, status: int) -> None:
    forget_peak_memory(server)
    start = peak_memory(server)
    with RawClient(server.port) as client:
        client.send(f"{request_line} HTTP/1.1\r\nHost: x\r\nContent-Length: {16 * MIB}\r\n\r\n".encode() + b"level=basic&" * (16 * MIB // 12) + b"abcd")
        assert client.read_response().status == status
        client.send(get("/health"))
        assert client.read_response().status == 200
    assert peak_memory(server) - start < 8 * MIB


def test_what_arrives_is_bounded_over_all_connections(serve: Callable[..., Server]) -> None:
    server = serve("-c", 512, "--max-body-mb", 64, "--max-memory-mb", 256)
    start = f"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: {64 * MIB}\r\n\r\n".encode()
    forget_peak_memory(server)
    before = peak_memory(server)
    with contextlib.ExitStack() as stack:
        refused = 0
        for _ in range(8):
            client = stack.enter_context(RawClient(server.port))
            with contextlib.suppress(OSError):  # it may be closed while we still send
                client.send(start + b" " * (63 * MIB))
            client.socket.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                refused += b"HTTP/1.1 429" in client.read_to_end()
        assert refused >= 3
        assert server.generate(**SHORT)["generated_tokens"] == 8, "what is small still comes in"
    assert peak_memory(server) - before < 700 * MIB


def test_only_the_query_says_what_health_tells(server: Server) -> None:
    with RawClient(server.port) as client:
        client.send(get("/health?level=wrong", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 0"))
        assert client.read_response().status == 400
        client.send(get("/health", "Content-Length: 0"))
        assert client.read_response().status == 200


# Standard streams.

def test_closed_streams_are_no_sockets(program: Program, launch: Callable[..., Server], tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [str(program.path), "serve", str(program.model), "--host", "127.0.0.1", "--port", "0", "-c", "512", "--log-file", str(log)]
    process = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], cwd=program.cwd)
    try:
        port = wait_until(lambda: (log.read_text() if log.exists() else "").partition("serving on http://127.0.0.1:")[2], 60, "the port").split(" ")[0]
        assert [os.readlink(f"/proc/{process.pid}/fd/{stream}") for stream in range(3)] == ["/dev/null"] * 3
        assert requests.post(f"http://127.0.0.1:{port}/generate", json=SHORT, timeout=60).status_code == 200
    finally:
        process.kill()
        process.wait()


# Browsers.

EVIL = {"Host": "evil.example", "Origin": "http://evil.example"}


@pytest.mark.parametrize("headers,status", [(EVIL, 403), ({"Origin": "http://evil.example"}, 403), ({"Host": "evil.example"}, 200),
                                            ({"Host": "evil.example", "User-Agent": "Mozilla/5.0"}, 403), ({"User-Agent": "Mozilla/5.0"}, 200)], ids=str)
def test_pages_of_others_may_not_use_a_server_without_keys(server: Server, headers: dict[str, str], status: int) -> None:
    assert server.post("/generate", SHORT, headers).status_code == status
    assert requests.get(server.url + "/v1/models", headers=headers, timeout=10).status_code == status


def test_hosts_and_keys_open_it(serve: Callable[..., Server]) -> None:
    named = serve("-c", 512, "--allowed-hosts", "evil.example")
    assert named.post("/generate", SHORT, EVIL).status_code == 200
    assert named.post("/generate", SHORT, {**EVIL, "Host": "other.example"}).status_code == 403
    keyed = serve("-c", 512, "--api-key", "key-1234")
    assert keyed.post("/generate", SHORT, {**EVIL, "X-Api-Key": "key-1234"}).status_code == 200
