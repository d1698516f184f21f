"""Whole connections of hostile clients against the program: its framing, TLS, pipelining and readers together. The short form of
`make fuzz-connections`; a seed that fails is in the message."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clients import RawClient, wait_until
from connection_grammar import Conversation, Grammar
from conftest import Program, Server
from test_http_limits import make_certificate

AT_A_TIME = 4
READ_S = 60.0


@pytest.fixture(scope="module", params=["plain", "tls"])
def target(request: pytest.FixtureRequest, program: Program, shared_server: Server,
           tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int, bool]]:
    """The server, its port and whether it speaks TLS. A connection that says nothing further ends after a second."""
    before = len(program.servers)
    options = ["--host", "127.0.0.1", "--port", 0, "-c", 256, "--timeout-ms", 1000]
    if request.param == "tls":
        certificate, key = make_certificate(tmp_path_factory.mktemp("tls"), "fuzz")
        options += ["--tls-certificate", certificate, "--tls-key", key]
    server = program.launch(program.model, *options)
    logged = wait_until(lambda: re.search(r"serving on https?://127.0.0.1:(\d+)", server.log), 180, "the port")
    yield server, int(logged[1]), request.param == "tls"
    program.stop_since(before)


def connect(port: int, tls: bool) -> RawClient:
    client = RawClient(port, timeout=READ_S)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client.socket = context.wrap_socket(client.socket)
    return client


def hold(port: int, tls: bool, conversation: Conversation) -> None:
    """Says all of it and reads what comes back: answers that can be read, as many as were asked for."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError, ssl.SSLError), connect(port, tls) as client:
        for piece in conversation.pieces:
            client.send(piece)
        if conversation.leaves_early:
            return
        if conversation.answers is None:
            rest = client.read_to_end()
            assert not rest or rest.startswith(b"HTTP/1."), rest[:200]
            return
        read_answers(client, conversation.answers)


def read_answers(client: RawClient, count: int) -> None:
    """The heads of so many answers; what lies between two of them are bodies, which a HEAD has none of, whatever its length says."""
    for number in range(count):
        status = client.read_until(b"\r\n\r\n").split(b" ")[1]
        assert status in (b"200", b"204", b"400", b"404", b"405", b"408", b"429", b"503"), status
        if number + 1 < count:
            client.read_until(b"HTTP/1.1 ")
            client.pending = b"HTTP/1.1 " + client.pending


def raw_bytes(port: int, seed: int) -> None:
    """To a TLS port: what is no handshake, or the beginning of one."""
    data = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + Grammar(seed).random.randbytes(seed % 300)
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=READ_S) as client:
        client.sendall(data if seed % 2 else data[9:])
        if seed % 3:
            client.recv(100)


def test_no_conversation_harms_the_server(target: tuple[Server, int, bool], request: pytest.FixtureRequest) -> None:
    server, port, tls = target
    end = time.monotonic() + request.config.getoption("--fuzz-seconds")
    seed = 0
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        while time.monotonic() < end:
            seeds = range(seed, seed + 10 * AT_A_TIME)
            seed = seeds.stop
            jobs = {number: pool.submit(hold, port, tls, Grammar(number).conversation()) for number in seeds}
            jobs |= {-number: pool.submit(raw_bytes, port, number) for number in seeds if tls and number % 5 == 4}
            for number, job in jobs.items():
                try:
                    job.result()
                except AssertionError as error:
                    raise AssertionError(f"seed {number}: {error}") from error
            assert server.process.poll() is None, f"seeds {seeds}: {server.log[-2000:]}"
    with connect(port, tls) as client:
        client.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_response().status == 200
    print(f"{seed} conversations")
