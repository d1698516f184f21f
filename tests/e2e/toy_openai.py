"""A server with OpenAI's chat API that answers as a test tells it to, well or badly."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from clients import Json

# What to send: a status with a body, or the frames of a stream.
Reply = Callable[["_Handler"], None]


@dataclass
class Recorded:
    path: str
    headers: dict[str, str]
    body: Json | None


class ToyOpenAI:
    """Use as a context manager. Each question takes the next of `replies`."""

    def __init__(self, key: str = "", models: tuple[str, ...] = ("toy-1", "toy-2")) -> None:
        self.key = key
        self.models = models
        self.replies: deque[Reply] = deque()
        self.recorded: list[Recorded] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.toy = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def questions(self) -> list[Json]:
        return [request.body for request in self.recorded if request.body is not None]

    def __enter__(self) -> ToyOpenAI:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._record(None)
        if self._is_allowed():
            self.send_json(200, {"object": "list", "data": [{"id": name} for name in self.server.toy.models]})

    def do_POST(self) -> None:
        self._record(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if self._is_allowed():
            self.server.toy.replies.popleft()(self)

    def _record(self, body: Json | None) -> None:
        self.server.toy.recorded.append(Recorded(self.path, dict(self.headers), body))

    def _is_allowed(self) -> bool:
        key = self.server.toy.key
        if not key or self.headers.get("Authorization") == f"Bearer {key}":
            return True
        self.send_json(401, {"error": {"message": "that is not the key", "type": "invalid_request_error"}})
        return False

    def send_json(self, status: int, body: Json) -> None:
        self.send_body(status, json.dumps(body).encode(), "application/json")

    def send_body(self, status: int, body: bytes, content_type: str = "text/html") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def frame(body: Json | str) -> bytes:
    return f"data: {body if isinstance(body, str) else json.dumps(body)}\n\n".encode()


def delta(text: str) -> bytes:
    return frame({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


END = frame({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + frame("[DONE]")


def stream(frames: Iterable[bytes], ends: bool = True) -> Reply:
    """A stream of these frames; without `ends` the connection breaks behind the last one."""
    def reply(handler: _Handler) -> None:
        handler.begin_stream()
        try:
            for data in frames:
                handler.send_chunk(data)
            if ends:
                handler.send_chunk(b"")
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has enough
        handler.close_connection = True
    return reply


def says(*pieces: str) -> Reply:
    return stream([*map(delta, pieces), END])


def refuses(status: int, body: Json) -> Reply:
    return lambda handler: handler.send_json(status, body)
