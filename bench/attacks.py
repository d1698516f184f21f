"""What hostile clients send, each inside the limits of HTTP: work that costs the server far more than its sender.

An attack is a function that prepares its bytes and gives back one round of it. Whatever the server does, refusals and closed
connections included, the next round follows after a pause: one bad client, not a flood of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

TIMEOUT_S = 60.0
PAUSE_S = 0.5
MIB = 1 << 20
Round = Callable[[], object]


@dataclass(frozen=True)
class Target:
    """Where the server is, and from which address of this machine it is asked: limits may count addresses."""

    port: int
    certificate: str = ""  # a file; empty: plain HTTP
    source: str = "127.0.0.1"

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S, source_address=(self.source, 0))

    def connect(self) -> socket.socket:
        if not self.certificate:
            return self.raw()
        context = ssl.create_default_context(cafile=self.certificate)
        return context.wrap_socket(self.raw(), server_hostname="localhost")

    def ask(self, request: bytes) -> bytes:
        """Sends it and reads all that comes; the request says that the connection ends then."""
        with self.connect() as connection:
            connection.sendall(request)
            parts = []
            while part := connection.recv(MIB):
                parts.append(part)
            return b"".join(parts)


def message(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def post(path: str, fields: dict[str, object]) -> bytes:
    return message("POST", path, json.dumps(fields).encode())


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def in_turn(target: Target, *requests: bytes) -> Round:
    """Each round the next of them."""
    waiting = list(requests)

    def one_round() -> None:
        waiting.append(waiting.pop(0))
        target.ask(waiting[-1])
    return one_round


# --- what bodies hold ---

def json_keys(target: Target, scale: float) -> Round:
    """An object of many keys, and many objects of as many as may be."""
    def keys(count: int) -> bytes:
        return b"{" + b",".join(b'"%d":0' % i for i in range(count)) + b"}"
    many = b",".join([keys(2000)] * int(500 * scale))
    return in_turn(target, message("POST", "/generate", keys(int(100_000 * scale))),
                   message("POST", "/v1/completions", b'{"prompt":"x","metadata":[' + many + b"]}"))


def json_elements(target: Target, scale: float) -> Round:
    """A list of many objects; its sender leaves every second time."""
    elements = b",".join([b"{}"] * int(200_000 * scale))
    request = message("POST", "/v1/completions", b'{"prompt":[' + elements + b"]}")

    def leave() -> None:
        with target.connect() as connection:
            connection.sendall(request)

    def one_round() -> None:
        leave()
        target.ask(request)
    return one_round


def json_messages(target: Target, scale: float) -> Round:
    """A chat of many messages."""
    messages = [{"role": ("user", "assistant")[i % 2], "content": "x"} for i in range(int(9_998 * scale) | 1)]
    return in_turn(target, post("/v1/chat/completions", {"messages": messages, "max_tokens": 1}))


# --- what answers cost ---

def stop_strings(target: Target, scale: float) -> Round:
    """Text of one letter, many at a token, and stops that nearly match all of it: long ones, and ones of a size that may be allowed."""
    [letters] = json.loads(body_of(target.ask(post("/tokenize", {"content": "=" * 256}))))["tokens"][:1]

    def with_stops(length: int) -> bytes:
        stops = ["=" * (length - i) + "!" for i in range(15)]
        return post("/generate", {"prompt": "=", "allowed_token_ids": [letters], "stop": stops, "max_tokens": int(900 * scale) + 1,
                                  "ignore_eos": True})
    return in_turn(target, with_stops(30_000), with_stops(1_000))


def many_choices(target: Target, scale: float) -> Round:
    """Many choices of one request, each with what they share: long stops, or a long prompt."""
    stops = ["s" * int(950_000 * scale) + str(i) for i in range(16)]
    return in_turn(target, post("/v1/completions", {"prompt": "x", "n": 128, "stop": stops, "max_tokens": 1}),
                   post("/v1/completions", {"prompt": "x " * 100, "n": 128, "max_tokens": 1}))


def tokenize_flood(target: Target, scale: float) -> Round:
    """Large texts to be tokenized, whose senders are gone after a second."""
    request = post("/tokenize", {"content": "hostile " * int(MIB // 2 * scale), "with_pieces": True})

    def one_round() -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(24):
                connection = stack.enter_context(target.connect())
                connection.settimeout(1)
                with contextlib.suppress(OSError):
                    connection.sendall(request)
            time.sleep(1)
    return one_round


# --- connections ---

def pipelined_metrics(target: Target, scale: float) -> Round:
    """Many requests on one connection, whose answers nobody reads."""
    requests = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * int(60_000 * scale)

    def one_round() -> None:
        with target.connect() as connection:
            connection.settimeout(5)  # it blocks where the server takes no more
            with contextlib.suppress(OSError):
                connection.sendall(requests)
                time.sleep(5)
    return one_round


def get_with_body(target: Target, scale: float) -> Round:
    """Requests for the health with large bodies, six at once."""
    request = message("GET", "/health", b"a=b&" * int(4 * MIB * scale))

    def one_round() -> None:
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(target.connect()) for _ in range(6)]
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.sendall(request)
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.recv(MIB)
    return one_round


def slow_reader(target: Target, scale: float) -> Round:
    """A large answer that is read in drops, and streams that are not read at all."""
    large = post("/tokenize", {"content": "slow " * int(100_000 * scale), "with_pieces": True})
    stream = post("/generate_stream", {"prompt": "x", "max_tokens": int(100 * scale) + 1, "ignore_eos": True})

    def one_round() -> None:
        with target.connect() as reader, target.connect() as unread:
            unread.sendall(stream)
            reader.sendall(large)
            for _ in range(100):
                if not reader.recv(512):
                    return
                time.sleep(0.1)
    return one_round


def tls_silent(target: Target, scale: float) -> Round:
    """Connections that never begin their handshake; those that the server closes are opened again."""
    held: list[socket.socket] = []

    def is_open(connection: socket.socket) -> bool:
        try:
            return connection.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def one_round() -> None:
        for connection in held:
            if not is_open(connection):
                connection.close()
        held[:] = [connection for connection in held if connection.fileno() >= 0]
        while len(held) < int(600 * scale):
            held.append(target.raw())
            held[-1].setblocking(False)
    return one_round


ATTACKS: dict[str, Callable[[Target, float], Round]] = {
    attack.__name__: attack for attack in (json_keys, json_elements, json_messages, stop_strings, many_choices, tokenize_flood,
                                           pipelined_metrics, get_with_body, slow_reader, tls_silent)}


def run_for_ever(name: str, target: Target, scale: float) -> None:
    """The work of a process of its own. It is nice: what is measured is what the server does, not who gets the cores."""
    os.nice(10)
    one_round = ATTACKS[name](target, scale)
    while True:
        with contextlib.suppress(OSError):
            one_round()
        time.sleep(PAUSE_S)
