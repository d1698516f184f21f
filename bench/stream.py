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


def parts(url: str, body: dict[str, object], when_connected: Callable[[], object] = lambda: None) -> Iterator[tuple[float, bytes]]:
    """When bytes came, and these: at first none, when the request was sent, then the answer's, headers included, to its end."""
    address = urlsplit(url)
    text = json.dumps({"temperature": 0, "ignore_eos": True, **body, "stream": True}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), TIMEOUT_S) as connection:
        when_connected()
        yield time.monotonic(), b""
        connection.sendall(head.encode() + text)
        last = b""
        while END not in last:
            part = connection.recv(1 << 16)
            if not part or (not last and b" 200 " not in part[:16]):
                sys.exit(f"a stream failed: {(last + part)[-500:].decode(errors='replace')}")
            yield time.monotonic(), part
            last = (last + part)[-64:]


def token_times(url: str, body: dict[str, object]) -> Iterator[float]:
    """When the request was sent, then when each token came."""
    rest = b""
    for number, (now, part) in enumerate(parts(url, body)):
        if number == 0:
            yield now
        rest += part
        for _ in range(rest.count(TOKEN)):
            yield now
        rest = rest[rest.rfind(TOKEN) + len(TOKEN):] if TOKEN in rest else rest
        rest = rest[-len(TOKEN):]
