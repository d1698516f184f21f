"""A streamed completion, read as cheaply as Python can: a client shares the server's cores."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

TIMEOUT_S = 900
TOKEN = b'"choices":[{'
END = b"data: [DONE]"


def request(url: str, body: dict[str, object]) -> bytes:
    text = json.dumps({"temperature": 0, "ignore_eos": True, **body, "stream": True}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), TIMEOUT_S)


def receive(connection: socket.socket, begun: bool) -> bytes:
    """Waits for bytes of an answer, the first ones unless it has begun, and takes those that are there."""
    part = connection.recv(1 << 16)
    if not part or (not begun and b" 200 " not in part[:16]):
        sys.exit(f"a stream failed: {part[-500:].decode(errors='replace')}")
    return part


class Stream:
    """One streamed completion; `times` are when it was sent, and the arrivals of its tokens."""

    def __init__(self, url: str, prompt: list[int], tokens: int, **fields: object) -> None:
        message = request(url, {"prompt": prompt, "max_tokens": tokens, **fields})
        self.connection = connect(url)
        self.times, self.begun, self.ended, self.rest = [time.monotonic()], False, False, b""
        self.connection.sendall(message)

    def read(self) -> bool:
        """Waits for bytes and takes those that are there; False at the answer's end."""
        text = self.rest + receive(self.connection, self.begun)
        now = time.monotonic()
        self.times.extend([now] * text.count(TOKEN))
        self.begun, self.ended = True, END in text
        # What may be the beginning of either, and nothing that was counted.
        self.rest = text[text.rfind(TOKEN) + len(TOKEN):] if TOKEN in text else text
        self.rest = self.rest[-len(TOKEN):]
        return not self.ended

    def first_token_s(self) -> float:
        if len(self.times) < 2:
            sys.exit("a stream had no token")
        return self.times[1] - self.times[0]


def parts(url: str, body: dict[str, object], when_connected: Callable[[], object]) -> Iterator[tuple[float, bytes]]:
    """When bytes came, and these: at first none, when the request was sent, then the answer's, headers included, to its end."""
    message = request(url, body)
    with connect(url) as connection:
        when_connected()
        yield time.monotonic(), b""
        connection.sendall(message)
        last = b""
        while END not in last:
            part = receive(connection, begun=bool(last))
            yield time.monotonic(), part
            last = (last + part)[-64:]
