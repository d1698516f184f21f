"""A toy LLM server on loopback for the benchmark's tests: cLLM's, OpenAI's and Ollama's dialect, and planted failures.

It writes canned text, counts tokens by a rule of its own (see count_tokens), and records what it was asked.
"""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterator, Mapping, Optional

GENERATION_PATHS = {"/generate": "cllm", "/generate_stream": "cllm", "/v1/completions": "openai",
                    "/api/generate": "ollama"}

# What can be planted. "Both" means that the streamed and the unstreamed answer have it.
FAILURES_IN_BOTH = ("http_500", "http_429", "http_302", "hang", "drop", "cut", "bad_json", "not_an_object", "bad_utf8",
                    "empty", "no_counts", "count_is_text", "no_prompt_tokens", "short", "too_many", "bad_reason",
                    "no_text", "error_object")
FAILURES_IN_STREAM = ("no_last_frame", "after_the_end", "half_a_line", "plain_text", "trickle")
FAILURES_UNSTREAMED = ("not_done",)


def count_tokens(text: str, add_special: bool = True) -> int:
    """One token a word, two for a word of more than four characters, and one in front of all."""
    return sum(2 if len(word) > 4 else 1 for word in text.split()) + add_special


@dataclass
class Recorded:
    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    client: tuple[str, int]


@dataclass
class ToyServer:
    """Use as a context manager. Generation requests are numbered from 0 in the order of arrival."""

    failures: Mapping[int, str] = field(default_factory=dict)  # number of the request -> what goes wrong
    token_s: float = 0.0  # how long each token takes
    chunked: bool = True  # else a stream ends with its connection
    hold_back: bool = False  # even tokens' text comes with the next token, as for characters of two tokens
    silent: bool = False  # no token has any text
    generated: Optional[int] = None  # ends early with "stop" after so many tokens
    gate: int = 0  # so many generation requests must be there at once before any is answered
    tokenize: bool = True
    health_status: str = "healthy"

    def __post_init__(self) -> None:
        self.recorded: list[Recorded] = []
        self.max_active = 0
        self.stopped = threading.Event()
        self._active = 0
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(self.gate) if self.gate else None
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.toy = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def generations(self) -> list[Recorded]:
        return [request for request in self.recorded if request.path in GENERATION_PATHS]

    def __enter__(self) -> "ToyServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def arrive(self, request: Recorded) -> int:
        """Records a request; returns the number of the generation request (health checks and others: -1)."""
        with self._lock:
            self.recorded.append(request)
            if request.path not in GENERATION_PATHS:
                return -1
            self._active += 1
            self.max_active = max(self.max_active, self._active)
            number = len(self.generations) - 1
        if self._barrier:
            self._barrier.wait(timeout=20)
        return number

    def leave(self) -> None:
        """Called before the end of an answer is sent, so that the client's next request cannot overtake it."""
        with self._lock:
            self._active -= 1


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    toy: ToyServer

    def handle_error(self, *_: object) -> None:
        """A client that gave up is expected here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        toy = self.server.toy
        toy.arrive(Recorded(self.path, {}, dict(self.headers), self.client_address))
        if self.path == "/health":
            healthy = toy.health_status == "healthy"
            status = {"model_loaded": healthy, "status": toy.health_status}
            self._json({"data": status, "success": True}, 503 if toy.health_status == "loading" else 200)
        elif self.path == "/api/version":
            self._json({"version": "0.0.0"})
        elif self.path == "/v1/models":
            self._json({"object": "list", "data": [{"id": "toy-model", "object": "model"}]})
        elif self.path == "/api/tags":
            self._json({"models": [{"name": "toy-model:latest"}]})
        else:
            self._json({"error": {"code": 404, "message": "no such path"}}, 404)

    def do_POST(self) -> None:
        toy = self.server.toy
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = toy.arrive(Recorded(self.path, body, dict(self.headers), self.client_address))
        if self.path == "/tokenize" and toy.tokenize:
            self._json({"tokens": [0] * count_tokens(body["content"], body.get("add_special", False))})
        elif self.path in GENERATION_PATHS:
            self._generate(body, toy.failures.get(number, ""))
        else:
            self._json({"error": {"code": 404, "message": "no such path"}}, 404)

    def _generate(self, body: dict[str, Any], failure: str) -> None:
        toy = self.server.toy
        if failure == "hang":
            toy.stopped.wait(10)
            self.close_connection = True
        elif failure == "drop":
            toy.leave()
            self._drop()
        elif failure.startswith("http_"):
            toy.leave()
            self._json({"success": False, "error": {"code": "planted", "message": failure}}, int(failure[5:]))
        elif self.path == "/generate_stream" or body.get("stream"):
            self._stream(_Reply(GENERATION_PATHS[self.path], toy, body, failure))
        else:
            self._whole(_Reply(GENERATION_PATHS[self.path], toy, body, failure))

    def _whole(self, reply: "_Reply") -> None:
        toy = self.server.toy
        toy.stopped.wait(toy.token_s * reply.count)
        body = reply.whole()
        toy.leave()
        if reply.failure == "cut":
            self._head(200, "application/json", len(body))
            self.wfile.write(body[:len(body) // 2])
            self._drop()
        else:
            self._head(200, "application/json", len(body))
            self.wfile.write(body)

    def _stream(self, reply: "_Reply") -> None:
        toy = self.server.toy
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson" if reply.dialect == "ollama" else "text/event-stream")
        self.send_header(*(("Transfer-Encoding", "chunked") if toy.chunked else ("Connection", "close")))
        self.end_headers()
        frames = list(reply.frames())
        for place, frame in enumerate(frames):
            toy.stopped.wait(toy.token_s if place < reply.count else 0)
            if reply.failure == "trickle" and place == 0:
                for _ in range(500):
                    toy.stopped.wait(0.02)
                    self._chunk(frames[0])
            if reply.failure == "cut" and place == len(frames) // 2:
                toy.leave()
                self._drop()
                return
            if place == len(frames) - 1:
                toy.leave()
            self._chunk(frame)
        if toy.chunked:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if self.server.toy.chunked else data)

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _json(self, document: Any, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self._head(status, "application/json", len(body))
        self.wfile.write(body)

    def _head(self, status: int, kind: str, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        if status == 302:
            self.send_header("Location", "/health")
        self.end_headers()


class _Reply:
    """One answer in one dialect, with what was planted in it."""

    def __init__(self, dialect: str, toy: ToyServer, body: dict[str, Any], failure: str) -> None:
        self.dialect, self.toy, self.failure = dialect, toy, failure
        self.limit = body["options"]["num_predict"] if dialect == "ollama" else body["max_tokens"]
        # A server that counts only when asked to is what makes the client's stream_options necessary.
        options = body.get("stream_options") or {}
        self.usage_wanted = not body.get("stream") or options.get("include_usage") is True
        self.count = min(self.limit, toy.generated or self.limit)
        self.reason = "length" if self.count == self.limit else "stop"
        if failure in ("short", "too_many"):
            self.count += -1 if failure == "short" else 1
        if failure == "empty":
            self.count = 0
        if failure == "bad_reason":
            self.reason = "error"
        self.prompt_tokens = 0 if failure == "no_prompt_tokens" else count_tokens(body["prompt"])

    def texts(self) -> list[str]:
        """The text that comes with each token."""
        if self.toy.silent:
            return [""] * self.count
        texts = [f" 智{place}" for place in range(self.count)]
        if self.toy.hold_back:
            texts = ["" if place % 2 == 0 else texts[place - 1] + texts[place] for place in range(self.count)]
        return texts

    def whole(self) -> bytes:
        text = "".join(self.texts())
        if self.failure == "error_object":
            return json.dumps({"success": False, "error": {"code": 500, "message": "planted"}}).encode()
        if self.dialect == "cllm":
            data = {"id": "0" * 32, "text": text, "finish_reason": self.reason, "seed": 1, **self._counts()}
            document: Any = {"data": data, "success": self.failure != "not_done"}
        elif self.dialect == "openai":
            reason = None if self.failure == "not_done" else self.reason
            data = {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}
            document = {"object": "text_completion", "choices": [data], "usage": self._counts()}
        else:
            data = document = {"response": text, "done": self.failure != "not_done", "done_reason": self.reason,
                               **self._counts()}
        if self.failure == "no_text":
            del data["response" if self.dialect == "ollama" else "text"]
        return self._spoil(json.dumps([document] if self.failure == "not_an_object" else document).encode())

    def frames(self) -> Iterator[bytes]:
        """The frames of a stream, one for each token (empty where a token sends none), and the closing ones."""
        for place, text in enumerate(self.texts()):
            frame = self._frame(text)
            if self.failure == "error_object" and place == 1:
                last = {"error": {"code": 500, "message": "planted"}, "done": True}
                yield self._wire(last)
                return
            if self.failure == "no_text" and place == 1:
                frame = {key: value for key, value in frame.items() if key not in ("token", "choices", "response")}
            wire = self._wire([frame] if self.failure == "not_an_object" and place == 1 else frame)
            yield (self._spoil(wire) if place == 1 else wire) if text else b""
        if self.failure == "half_a_line":
            yield self._wire(self._frame("x")).rstrip(b"\n")
        elif self.failure != "no_last_frame":
            yield from self._closing()

    def _frame(self, text: str) -> dict[str, Any]:
        if self.dialect == "cllm":
            return {"id": "0" * 32, "token": text, "done": False}
        if self.dialect == "openai":
            choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": None}
            return {"object": "text_completion", "choices": [choice], "usage": None}
        return {"response": text, "done": False}

    def _closing(self) -> Iterator[bytes]:
        last = self._frame("")
        if self.dialect == "cllm":
            last |= {"done": True, "finish_reason": self.reason, "seed": 1, **self._counts()}
            yield self._wire(last)
        elif self.dialect == "openai":
            last["choices"][0]["finish_reason"] = self.reason
            yield self._wire(last)
            if self.usage_wanted:
                yield self._wire({"object": "text_completion", "choices": [], "usage": self._counts()})
            yield b"data: [DONE]\n\n"
        else:
            last |= {"done": True, "done_reason": self.reason, **self._counts()}
            yield self._wire(last)
        if self.failure == "after_the_end":
            yield self._wire(self._frame(" more"))

    def _counts(self) -> dict[str, Any]:
        names = {"cllm": ("prompt_tokens", "generated_tokens"), "openai": ("prompt_tokens", "completion_tokens"),
                 "ollama": ("prompt_eval_count", "eval_count")}[self.dialect]
        if self.failure == "no_counts":
            return {}
        count = str(self.count) if self.failure == "count_is_text" else self.count
        return {names[0]: self.prompt_tokens, names[1]: count}

    def _wire(self, frame: Any) -> bytes:
        text = json.dumps(frame, ensure_ascii=False).encode()
        return text + b"\n" if self.dialect == "ollama" else b"data: " + text + b"\n\n"

    def _spoil(self, wire: bytes) -> bytes:
        if self.failure == "bad_json":
            return wire.replace(b"}", b"", 1).replace(b'"', b"", 1)
        if self.failure == "bad_utf8":
            return wire.replace(b" ", b"\xe6\x99", 1) if b"\xe6\x99" not in wire else wire.replace(b"\xba", b"")
        if self.failure == "plain_text":
            return b"Internal error\n"
        return wire
