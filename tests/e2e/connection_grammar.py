"""What a hostile client may say on one connection, drawn from a seed: requests that are right, requests that are a little wrong, and bytes."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

GET_PATHS = ["/", "/health", "/health?level=detailed", "/readyz", "/livez", "/metrics", "/v1/models", "/v1/models/none", "/nothing"]
POST_BODIES = {
    "/generate": {"prompt": "a b", "max_tokens": 2, "temperature": 0},
    "/generate_stream": {"prompt": "a b", "max_tokens": 2},
    "/v1/completions": {"prompt": ["a", "b"], "max_tokens": 1, "logprobs": 2, "stream": True},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, "n": 2},
    "/tokenize": {"content": "a b c", "with_pieces": True},
    "/detokenize": {"tokens": [1, 2, 3]},
    "/apply-template": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
}
VALUES = [None, True, -1, 0, 1.5, 1e300, 2**70, "", "x", "\ud7ff", "<|im_end|>", [], [[]], {}, {"a": 1}, "y" * 5000, [0] * 300]
HEADERS = ["X-Request-Id: a b", "Connection: close", "Connection: keep-alive", "Expect: 100-continue", "Accept-Encoding: gzip", "Origin: null",
           "Content-Encoding: gzip", "X-Priority: 5", "Cookie: a=b", "Upgrade: websocket", "TE: trailers", "Host: other", "X: \x01",
           "Transfer-Encoding: chunked", "Content-Length: 5", "Content-Length: -1", " folded", "NoColon", "X-Long: " + "z" * 40_000]


@dataclass
class Conversation:
    pieces: list[bytes]  # sent one after the other
    answers: int | None  # of well-formed requests that were sent whole; None: something is wrong with one
    leaves_early: bool


class Grammar:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def value(self) -> object:
        return self.random.choice(VALUES)

    def body(self, path: str) -> dict[str, object]:
        body: dict[str, object] = dict(POST_BODIES[path])
        while self.chance(0.3):
            name = self.random.choice([*body, "stop", "seed", "stream", "top_k", "logit_bias", "wat", "n", "priority", "timeout", "tools"])
            body[name] = self.value()
        # What takes long is no subject here.
        if not isinstance(body.get("max_tokens", 1), int) or not 0 <= body.get("max_tokens", 1) <= 4:
            body["max_tokens"] = 1
        return body

    def chunked(self, data: bytes) -> bytes:
        text = b""
        while data:
            size = self.random.randint(1, max(1, len(data)))
            text += f"{size:x}\r\n".encode() + data[:size] + b"\r\n"
            data = data[size:]
        return text + b"0\r\n\r\n"

    def request(self) -> bytes:
        """A right one."""
        if self.chance(0.5):
            return f"{self.random.choice(['GET', 'HEAD', 'OPTIONS'])} {self.random.choice(GET_PATHS)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        path = self.random.choice(list(POST_BODIES))
        data = json.dumps(self.body(path), ensure_ascii=self.chance(0.5)).encode("utf-8", errors="replace")
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        if self.chance(0.4):
            return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + self.chunked(data)
        return head.encode() + f"Content-Length: {len(data)}\r\n\r\n".encode() + data

    def damaged(self, request: bytes) -> bytes:
        kind = self.random.randrange(5)
        if kind == 0:  # a header too many
            first, _, rest = request.partition(b"\r\n")
            return first + b"\r\n" + self.random.choice(HEADERS).encode("latin-1") + b"\r\n" + rest
        at = self.random.randrange(len(request))
        if kind == 1:  # a byte that is another one
            return request[:at] + bytes([self.random.randrange(256)]) + request[at + 1:]
        if kind == 2:  # bytes that are missing
            return request[:at] + request[at + self.random.randint(1, 20):]
        if kind == 3:  # bytes that come twice
            return request[:at] + request[max(0, at - self.random.randint(1, 50)):]
        return bytes(self.random.randrange(256) for _ in range(self.random.randint(1, 300)))

    def conversation(self) -> Conversation:
        requests = [self.request() for _ in range(self.random.randint(1, 5))]
        answers: int | None = len(requests)
        if self.chance(0.6):
            answers = None
            requests[self.random.randrange(len(requests))] = self.damaged(self.random.choice(requests))
        data = b"".join(requests)
        leaves_early = self.chance(0.2)
        if leaves_early:
            data = data[:self.random.randint(1, len(data))]
        cuts = sorted(self.random.sample(range(len(data)), min(len(data) - 1, self.random.randint(0, 4)))) if len(data) > 1 else []
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)]) if a < b]
        return Conversation(pieces, answers, leaves_early)
