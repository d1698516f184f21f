"""A server of models that misbehaves as a test tells it to: breaks off, stalls, lies about sizes, ranges and sums."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 16 << 10
HOLD_TIMEOUT_S = 60.0


@dataclass
class Seen:
    """A request as it arrived, and what became of it."""

    path: str
    headers: dict[str, str]  # names in lower case
    status: int = 0
    sent: int = 0  # bytes of the body


@dataclass
class File:
    body: bytes
    etag: str | None = '"v1"'
    ranges: bool = True
    headers: dict[str, str] = field(default_factory=dict)


Fault = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.seen = Seen(self.path, {name.lower(): value for name, value in self.headers.items()})
        with self.server.lock:
            self.server.requests.append(self.seen)
            queue = self.server.faults[path]
            fault = queue.popleft() if queue else None
        try:
            if fault:
                fault(self)
            elif path in self.server.redirects:
                location, headers = self.server.redirects[path]
                self.answer(302, {"Location": location, **headers})
            elif path in self.server.files:
                self.send_file(self.server.files[path])
            else:
                self.answer(404)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.head(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.body(body)

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.seen.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def body(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE):
            self.seen.sent += len(data[at:at + PIECE])  # first: whoever has the last piece may look at once
            self.wfile.write(data[at:at + PIECE])

    def send_file(self, file: File, stop_at: int | None = None, hold: threading.Event | None = None) -> None:
        """The file or the range of it that was asked for. `stop_at`: the connection breaks when the byte with this number
        is due; with `hold` it goes on once the event is set."""
        headers = dict(file.headers)
        if file.etag:
            headers["ETag"] = file.etag
        start = 0
        wanted = self.seen.headers.get("range")
        condition = self.seen.headers.get("if-range")
        if wanted and file.ranges and condition in (None, file.etag):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {start}-{len(file.body) - 1}/{len(file.body)}"
        headers.setdefault("Content-Length", str(len(file.body) - start))
        self.head(206 if start else 200, headers)
        if stop_at is None:
            self.body(file.body[start:])
            return
        self.body(file.body[start:stop_at])
        if hold:
            self.wfile.flush()
            hold.wait(HOLD_TIMEOUT_S)
            self.body(file.body[stop_at:])
        else:
            self.close_connection = True


class HubServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.requests: list[Seen] = []
        self.files: dict[str, File] = {}
        self.redirects: dict[str, tuple[str, dict[str, str]]] = {}
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def fault(self, path: str, *faults: Fault) -> None:
        """The next requests for the path are answered by these, one after another."""
        self.faults[path].extend(faults)

    def of(self, path: str) -> list[Seen]:
        return [seen for seen in self.requests if seen.path.split("?")[0] == path]

    def add(self, path: str, body: bytes, **options: object) -> File:
        self.files[path] = File(body, **options)  # type: ignore[arg-type]
        return self.files[path]

    def add_repo(self, repo: str, files: dict[str, bytes], storage: HubServer | None = None) -> None:
        """As Hugging Face does it: a list with sums, and each file is a redirect, with its sum, to the storage."""
        storage = storage or self
        tree = [{"type": "file", "path": name, "size": len(body), "oid": "0",
                 "lfs": {"oid": hashlib.sha256(body).hexdigest(), "size": len(body)}} for name, body in files.items()]
        self.add(f"/api/models/{repo}/tree/main", json.dumps(tree).encode(), etag=None)
        for name, body in files.items():
            sum_ = hashlib.sha256(body).hexdigest()
            storage.add(f"/storage/{sum_}", body)
            self.redirects[resolve(repo, name)] = (f"{storage.url}/storage/{sum_}?signature=s3cret",
                                                   {"X-Linked-Etag": f'"{sum_}"', "X-Linked-Size": str(len(body))})


def resolve(repo: str, file: str) -> str:
    return f"/{repo}/resolve/main/{file}"


def status(code: int, **headers: str) -> Fault:
    return lambda handler: handler.answer(code, {name.replace("_", "-"): value for name, value in headers.items()})


def break_at(file: File, count: int) -> Fault:
    return lambda handler: handler.send_file(file, stop_at=count)


def hold_at(file: File, count: int, event: threading.Event) -> Fault:
    return lambda handler: handler.send_file(file, stop_at=count, hold=event)


def plain(body: bytes, **headers: str) -> Fault:
    """200 with this body; headers may contradict it."""
    def send(handler: Handler) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.head(200, {"Content-Length": str(len(body)), **named})
        handler.body(body)
        handler.close_connection = True
    return send


def without_length(body: bytes) -> Fault:
    def send(handler: Handler) -> None:
        handler.head(200, {"Connection": "close"})
        handler.body(body)
        handler.close_connection = True
    return send
