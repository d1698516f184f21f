"""Clients of the end-to-end tests: waiting, reading server-sent events, and a raw socket for hostile HTTP."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import requests

T = TypeVar("T")
U = TypeVar("U")
Json = dict[str, Any]

POLL_S = 0.01
ANSWER_TIMEOUT_S = 120.0


def wait_until(condition: Callable[[], T], timeout: float, what: str = "the condition") -> T:
    """Polls `condition` until it gives something true, which is returned; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout} s; last: {value!r}"
        time.sleep(POLL_S)


def in_parallel(function: Callable[[T], U], arguments: list[T]) -> list[U]:
    """All calls at once, each on a thread of its own; results in order, the first exception is raised."""
    with ThreadPoolExecutor(max_workers=len(arguments)) as pool:
        return list(pool.map(function, arguments))


# What a stream says while there is nothing to say: a comment.
WAITING = b": waiting"


class Stream:
    """An open stream of server-sent events. Frames are bytes until they are decoded one by one, strictly as UTF-8."""

    def __init__(self, url: str, body: Json, timeout: float = ANSWER_TIMEOUT_S) -> None:
        self.response = requests.post(url, json=body, stream=True, timeout=timeout)
        self.status = self.response.status_code
        self.times: list[float] = []  # arrival of each frame
        self.ended_well = False  # the HTTP body was complete

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.response.close()

    def __iter__(self) -> Iterator[Json]:
        """The frames as JSON; OpenAI's [DONE] is checked to be the last and left out."""
        assert self.status == 200, self.response.text
        assert self.response.headers["content-type"].startswith("text/event-stream")
        for data in self._events():
            if data != "[DONE]":
                yield json.loads(data)

    def _events(self) -> Iterator[str]:
        pending = b""
        for chunk in self.response.iter_content(chunk_size=None):
            now = time.monotonic()
            pending += chunk
            *frames, pending = pending.split(b"\n\n")
            for frame in frames:
                if frame == WAITING:
                    continue
                self.times.append(now)
                yield event_data(frame)
        assert pending == b"", "the stream ended inside a frame"
        self.ended_well = True


def event_data(frame: bytes) -> str:
    """The data of one event; every frame is valid UTF-8 by itself."""
    text = frame.decode("utf-8", errors="strict")
    assert text.startswith("data: ") and "\n" not in text, text
    return text.removeprefix("data: ")


@dataclass
class Answer:
    """A streamed answer of /generate, put together."""

    text: str
    frames: list[Json]
    last: Json

    @staticmethod
    def of(frames: list[Json]) -> Answer:
        *tokens, last = frames
        assert last["done"] is True, last
        assert all(frame["done"] is False for frame in tokens)
        assert len({frame["id"] for frame in frames}) == 1
        return Answer("".join(frame["token"] for frame in tokens), tokens, last)


@dataclass
class RawResponse:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Json:
        return json.loads(self.body.decode("utf-8"))


class RawClient:
    """A plain socket: sends whatever bytes it is told and reads responses without mercy for wrong ones."""

    def __init__(self, port: int, receive_buffer: int | None = None, timeout: float = 30.0) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.pending = b""

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Leaves so that the other side notices at once."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def post(self, path: str, body: Json, *headers: str, version: str = "1.1") -> None:
        self.send(post_bytes(path, body, *headers, version=version))

    def read_to_end(self) -> bytes:
        """What is left until the server closes. A reset counts as a close."""
        while self._receive():
            pass
        rest, self.pending = self.pending, b""
        return rest

    def read_response(self) -> RawResponse:
        head = self.read_until(b"\r\n\r\n").decode("latin-1")
        status_line, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            body = self._read_chunks()
        elif "content-length" in headers:
            body = self._read_exactly(int(headers["content-length"]))
        else:
            body = self.read_to_end()
        return RawResponse(int(status_line.split(" ")[1]), headers, body)

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.read_until(b"\r\n"), 16):
            body += self._read_exactly(size)
            assert self._read_exactly(2) == b"\r\n"
        assert self._read_exactly(2) == b"\r\n"
        return body

    def read_until(self, mark: bytes) -> bytes:
        while mark not in self.pending:
            assert self._receive(), f"closed before {mark!r}: {self.pending!r}"
        found, _, self.pending = self.pending.partition(mark)
        return found

    def _read_exactly(self, size: int) -> bytes:
        while len(self.pending) < size:
            assert self._receive(), f"closed {size - len(self.pending)} bytes early"
        found, self.pending = self.pending[:size], self.pending[size:]
        return found

    def _receive(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        self.pending += data
        return bool(data)


def post_bytes(path: str, body: Json, *headers: str, version: str = "1.1") -> bytes:
    data = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/{version}", "Host: localhost", "Content-Type: application/json",
             f"Content-Length: {len(data)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data
