"""How unified_benchmark.py talks to each kind of server: what a request looks like, and what a correct answer is.

A dialect either returns a complete Answer or raises RequestFailed; nothing incomplete passes as a success.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator, Optional, TypeVar

import requests

T = TypeVar("T")
JsonObject = dict[str, Any]
TimedBytes = tuple[float, bytes]  # arrival on the client's monotonic clock in seconds, and what arrived
TimedText = tuple[float, str]


class RequestFailed(Exception):
    """An answer that is incomplete, an error, or not what was asked for; the message says why."""


# ---- Reading answers ----


def read_chunks(response: requests.Response, deadline: float) -> Iterator[TimedBytes]:
    """Yields (arrival, bytes) as they come; raises RequestFailed once the deadline has passed."""
    for chunk in response.iter_content(chunk_size=chunk_size(response)):
        now = time.perf_counter()
        if now > deadline:
            raise RequestFailed("the answer was not complete in time")
        yield now, chunk


def chunk_size(response: requests.Response) -> Optional[int]:
    """How many bytes to ask for at once; None yields each HTTP chunk as it comes."""
    if getattr(response.raw, "chunked", False):
        return None
    # Otherwise urllib3 waits until that many bytes are there, which would falsify the arrivals within a stream.
    return 65536 if "Content-Length" in response.headers else 1


def read_all(chunks: Iterable[TimedBytes]) -> str:
    return decode(b"".join(chunk for _, chunk in chunks))


def read_lines(chunks: Iterable[TimedBytes]) -> Iterator[TimedText]:
    """Cuts chunks into lines (without their ends), stamped with the arrival of the line's end."""
    rest = b""
    for at, chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n") if b"\n" in chunk else (rest + chunk,)
        for line in lines:
            yield at, decode(line).rstrip("\r")
    if rest:
        raise RequestFailed("the stream ended inside a line")


def read_sse(lines: Iterable[TimedText]) -> Iterator[TimedText]:
    """Yields the data of each server-sent event; an event without its closing blank line is dropped, as in the spec."""
    data: list[str] = []
    for at, line in lines:
        if not line and data:
            yield at, "\n".join(data)
            data = []
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif line and not line.startswith((":", "event:", "id:", "retry:")):
            raise RequestFailed(f"not a server-sent event: {line[:200]}")


def decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestFailed(f"the answer is not valid UTF-8: {error}") from None


def parse_object(text: str) -> JsonObject:
    """Parses one JSON object; an error reported in it becomes RequestFailed."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise RequestFailed(f"malformed JSON ({error}): {text[:100]}") from None
    if not isinstance(document, dict):
        raise RequestFailed(f"not a JSON object: {text[:100]}")
    if document.get("error") is not None:
        raise RequestFailed(describe_error(document["error"]))
    return document


def describe_error(error: Any) -> str:
    """Shortens an error object of any of the dialects to one line."""
    parts = [error.get("code"), error.get("message")] if isinstance(error, dict) else [error]
    return "the server says: " + ": ".join(str(part) for part in parts if part is not None)


def get(document: Any, key: str, kind: type[T]) -> T:
    """The member `key` of a JSON object, which must be of type `kind`."""
    value = document.get(key) if isinstance(document, dict) else None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RequestFailed(f"the answer has no '{key}' of type {kind.__name__}")
    return value


# ---- Dialects ----


@dataclass
class Answer:
    """One complete answer; the counts are the server's."""

    text: str = ""
    prompt_tokens: int = 0
    generated_tokens: int = 0
    finish_reason: str = ""
    text_times: list[float] = field(default_factory=list)  # arrival of each frame with text; empty if not streamed
    finished_at: Optional[float] = None  # arrival of the closing frame; None if not streamed

    def add(self, at: float, text: str) -> None:
        if text:
            self.text += text
            self.text_times.append(at)

    def check(self, max_tokens: int, ignore_eos: bool) -> None:
        """Raises RequestFailed where the answer contradicts the request or itself."""
        if self.finish_reason not in ("length", "stop"):
            raise RequestFailed(f"finish reason '{self.finish_reason}'")
        if self.prompt_tokens < 1:
            raise RequestFailed(f"the server counted {self.prompt_tokens} prompt tokens")
        if self.generated_tokens < 1:
            raise RequestFailed("no token was generated")
        if self.generated_tokens > max_tokens:
            raise RequestFailed(f"{self.generated_tokens} tokens generated, more than the {max_tokens} allowed")
        must_be_full = ignore_eos or self.finish_reason == "length"
        if must_be_full and self.generated_tokens < max_tokens:
            raise RequestFailed(f"{self.generated_tokens} tokens generated instead of {max_tokens}")


@dataclass(frozen=True)
class Sampling:
    """What every request of a run has in common."""

    temperature: float
    seed: int
    ignore_eos: bool
    stream: bool
    model: Optional[str]


class Dialect(ABC):
    """One server's way of asking and answering."""

    default_url = "http://127.0.0.1:8080"
    health_path = "/health"
    has_tokenize = True
    has_ignore_eos = True
    reuses_stream_connections = True
    models_path: Optional[str] = None  # where the served models are listed; None if requests name no model

    @abstractmethod
    def build_request(self, prompt: str, max_tokens: int, sampling: Sampling) -> tuple[str, JsonObject]:
        """Returns the path and the JSON body."""

    @abstractmethod
    def parse_response(self, document: JsonObject) -> Answer:
        """Reads an unstreamed answer."""

    @abstractmethod
    def parse_stream(self, lines: Iterable[TimedText]) -> Answer:
        """Reads a stream to its end; raises RequestFailed unless it was closed as the dialect demands."""

    def check_health(self, body: str) -> None:
        """Raises RequestFailed if the body of a 200 says that the server is not healthy."""

    def first_model(self, document: JsonObject) -> str:
        """Reads the first name in what `models_path` answers; only called where there is such a path."""
        raise NotImplementedError


class CllmDialect(Dialect):
    """cLLM: POST /generate and /generate_stream."""

    def build_request(self, prompt: str, max_tokens: int, sampling: Sampling) -> tuple[str, JsonObject]:
        body = {"prompt": prompt, "max_tokens": max_tokens, "temperature": sampling.temperature, "seed": sampling.seed}
        if sampling.ignore_eos:
            body["ignore_eos"] = True
        return ("/generate_stream" if sampling.stream else "/generate"), body

    def parse_response(self, document: JsonObject) -> Answer:
        if document.get("success") is not True:
            raise RequestFailed("the answer does not say that it succeeded")
        data = get(document, "data", dict)
        answer = Answer(text=get(data, "text", str))
        self._close(answer, data)
        return answer

    def parse_stream(self, lines: Iterable[TimedText]) -> Answer:
        answer = Answer()
        for at, data in read_sse(lines):
            if answer.finished_at is not None:
                raise RequestFailed("a frame after the last one")
            frame = parse_object(data)
            answer.add(at, get(frame, "token", str))
            if get(frame, "done", bool):
                answer.finished_at = at
                self._close(answer, frame)
        if answer.finished_at is None:
            raise RequestFailed("the stream ended without its last frame")
        return answer

    def check_health(self, body: str) -> None:
        if get(get(parse_object(body), "data", dict), "status", str) != "healthy":
            raise RequestFailed(f"not healthy: {body[:200]}")

    @staticmethod
    def _close(answer: Answer, data: JsonObject) -> None:
        answer.prompt_tokens = get(data, "prompt_tokens", int)
        answer.generated_tokens = get(data, "generated_tokens", int)
        answer.finish_reason = get(data, "finish_reason", str)


class OpenAiDialect(Dialect):
    """OpenAI's POST /v1/completions, which llama-server, vLLM and cLLM speak as well."""

    models_path = "/v1/models"
    # llama-server announces keep-alive and yet closes the connection after every stream, at times only once the next
    # request is on its way. A retry would hide true failures; a new connection is what its clients end up with anyway.
    reuses_stream_connections = False

    def build_request(self, prompt: str, max_tokens: int, sampling: Sampling) -> tuple[str, JsonObject]:
        body: JsonObject = {"model": sampling.model, "prompt": prompt, "max_tokens": max_tokens,
                            "temperature": sampling.temperature, "seed": sampling.seed, "stream": sampling.stream}
        if sampling.ignore_eos:  # an extension, which OpenAI itself would refuse
            body["ignore_eos"] = True
        if sampling.stream:
            body["stream_options"] = {"include_usage": True}
        return "/v1/completions", body

    def parse_response(self, document: JsonObject) -> Answer:
        choices = get(document, "choices", list)
        if len(choices) != 1:
            raise RequestFailed(f"{len(choices)} choices instead of one")
        answer = Answer(text=get(choices[0], "text", str), finish_reason=get(choices[0], "finish_reason", str))
        self._count(answer, document)
        return answer

    def parse_stream(self, lines: Iterable[TimedText]) -> Answer:
        answer = Answer()
        closing: JsonObject = {}  # the frame with the usage: a separate one, or the one with the finish reason
        done = False
        for at, data in read_sse(lines):
            if done:
                raise RequestFailed("a frame after [DONE]")
            if data == "[DONE]":
                done = True
                continue
            frame = parse_object(data)
            if frame.get("usage") is not None:
                closing = frame
            for choice in get(frame, "choices", list):
                answer.add(at, get(choice, "text", str))
                if choice.get("finish_reason") is not None:
                    answer.finish_reason = get(choice, "finish_reason", str)
                    answer.finished_at = at
        if not done:
            raise RequestFailed("the stream ended without [DONE]")
        if answer.finished_at is None:
            raise RequestFailed("no frame gave a finish reason")
        self._count(answer, closing)
        return answer

    def first_model(self, document: JsonObject) -> str:
        models = get(document, "data", list)
        return get(models[0] if models else None, "id", str)

    @staticmethod
    def _count(answer: Answer, document: JsonObject) -> None:
        usage = get(document, "usage", dict)
        answer.prompt_tokens = get(usage, "prompt_tokens", int)
        answer.generated_tokens = get(usage, "completion_tokens", int)


class OllamaDialect(Dialect):
    """Ollama's POST /api/generate, raw, so that no chat template is put around the prompt."""

    default_url = "http://127.0.0.1:11434"
    health_path = "/api/version"
    has_tokenize = False
    has_ignore_eos = False
    models_path = "/api/tags"

    def build_request(self, prompt: str, max_tokens: int, sampling: Sampling) -> tuple[str, JsonObject]:
        options = {"num_predict": max_tokens, "temperature": sampling.temperature, "seed": sampling.seed}
        return "/api/generate", {"model": sampling.model, "prompt": prompt, "raw": True, "stream": sampling.stream,
                                 "options": options}

    def parse_response(self, document: JsonObject) -> Answer:
        if get(document, "done", bool) is not True:
            raise RequestFailed("the answer says that it is not done")
        answer = Answer(text=get(document, "response", str))
        self._close(answer, document)
        return answer

    def parse_stream(self, lines: Iterable[TimedText]) -> Answer:
        answer = Answer()
        for at, line in lines:
            if answer.finished_at is not None:
                raise RequestFailed("a line after the last one")
            frame = parse_object(line)
            answer.add(at, get(frame, "response", str))
            if get(frame, "done", bool):
                answer.finished_at = at
                self._close(answer, frame)
        if answer.finished_at is None:
            raise RequestFailed("the stream ended without its last line")
        return answer

    def check_health(self, body: str) -> None:
        get(parse_object(body), "version", str)

    def first_model(self, document: JsonObject) -> str:
        models = get(document, "models", list)
        return get(models[0] if models else None, "name", str)

    @staticmethod
    def _close(answer: Answer, document: JsonObject) -> None:
        answer.prompt_tokens = get(document, "prompt_eval_count", int)
        answer.generated_tokens = get(document, "eval_count", int)
        answer.finish_reason = get(document, "done_reason", str)


DIALECTS: dict[str, type[Dialect]] = {"cllm": CllmDialect, "openai": OpenAiDialect, "ollama": OllamaDialect}
