#!/usr/bin/env python3
"""Measures an LLM server from the client's side: cLLM, anything with OpenAI's completions (llama-server), or Ollama.

Every answer is checked. A request counts as a success only when its answer is complete, free of errors and consistent
with what was asked; one failure anywhere, warm-up included, makes the exit code 1.

What the figures mean (client's monotonic clock, successful requests only, streams only where tokens are timed):
  response time        from just before the request is sent until the last byte of the body is here
  time to first token  until the first frame with text (or the closing frame, where no frame had text)
  between tokens       gaps between successive frames with text, all requests pooled; a server that holds back half a
                       character puts several tokens into one frame
  per token            per request, (closing frame - first token) / (generated tokens - 1): does not depend on framing
  tokens/s             tokens as the server counts them / wall time of the scenario without its warm-up
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import random
import re
import secrets
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Optional, Sequence, TextIO

import requests

from benchmark_dialects import (DIALECTS, Answer, Dialect, JsonObject, RequestFailed, Sampling, TimedBytes, get,
                                parse_object, read_all, read_chunks, read_lines)

DEFAULT_PROMPTS = (
    "人工智能是计算机科学的一个分支，它企图了解智能的实质，并生产出一种新的能以人类智能相似的方式做出反应的智能机器。",
    "机器学习是人工智能的一个分支，它使计算机能够在不被明确编程的情况下从数据中学习。",
    "深度学习是机器学习的一个子集，它模仿人脑的工作方式来学习数据中的模式。",
    "自然语言处理是人工智能领域中的一个重要方向，致力于让计算机理解和生成人类语言。",
    "计算机视觉是人工智能的一个重要应用领域，旨在让计算机能够像人类一样理解和解释图像和视频。",
)
LONG_PROMPT_TOKENS = 512
# Common words, one token each in nearly every vocabulary, so that n words are close to n tokens.
FILLER_WORDS = (
    "time year people way day man thing world life hand part child eye place work week case point home water room "
    "area money story fact month right study book word side kind head house friend power hour game line end"
).split()


@dataclass(frozen=True)
class Scenario:
    """What is asked: `requests` of `max_tokens` each (0: health checks), `concurrency` at a time."""

    name: str
    requests: int
    concurrency: int
    max_tokens: int
    long_prompts: bool = False
    fixed: tuple[str, ...] = ()  # what the command line cannot change without making it another scenario


SCENARIOS = (
    Scenario("health", requests=10, concurrency=1, max_tokens=0),
    Scenario("single", requests=1, concurrency=1, max_tokens=50, fixed=("requests", "concurrency")),
    Scenario("api-sequential", requests=10, concurrency=1, max_tokens=50, fixed=("concurrency",)),
    Scenario("api-concurrent", requests=10, concurrency=5, max_tokens=50),
    Scenario("prompt", requests=10, concurrency=1, max_tokens=1, long_prompts=True),
)


# ---- Figures ----


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The percentile of a sorted, non-empty sequence, linear between its two nearest values."""
    position = (len(ordered) - 1) * percent / 100
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def summarise(values: Sequence[float]) -> Optional[dict[str, float]]:
    """Mean, extremes and percentiles; None if there are no values."""
    if not values:
        return None
    ordered = sorted(values)
    return {"mean": sum(ordered) / len(ordered), "min": ordered[0], "max": ordered[-1],
            "p50": percentile(ordered, 50), "p95": percentile(ordered, 95), "p99": percentile(ordered, 99)}


@dataclass
class RequestResult:
    """One request; times in seconds. What a request does not have (a health check: tokens) is None."""

    index: int
    started_s: float  # since the start of the scenario
    response_time_s: float = 0.0  # of a failed request: until it failed
    error: Optional[str] = None
    prompt_tokens: Optional[int] = None
    generated_tokens: Optional[int] = None
    finish_reason: Optional[str] = None
    time_to_first_token_s: Optional[float] = None
    time_per_token_s: Optional[float] = None
    gaps_s: list[float] = field(default_factory=list)

    def take(self, answer: Answer, sent_at: float) -> None:
        self.prompt_tokens, self.generated_tokens = answer.prompt_tokens, answer.generated_tokens
        self.finish_reason = answer.finish_reason
        if answer.finished_at is None:
            return
        first = answer.text_times[0] if answer.text_times else answer.finished_at
        self.time_to_first_token_s = first - sent_at
        self.gaps_s = [after - before for before, after in itertools.pairwise(answer.text_times)]
        if answer.generated_tokens > 1:
            self.time_per_token_s = (answer.finished_at - first) / (answer.generated_tokens - 1)

    def to_json(self) -> JsonObject:
        document = {"ok": self.error is None, **asdict(self)}
        document["time_between_tokens_s"] = summarise(document.pop("gaps_s"))
        return document


@dataclass
class ScenarioResult:
    """A scenario that was run. The figures cover its successful requests, without the warm-up."""

    scenario: Scenario
    note: Optional[str]
    wall_s: float
    results: list[RequestResult]
    warmup_errors: list[str]

    def __post_init__(self) -> None:
        good = [result for result in self.results if result.error is None]
        self.succeeded = len(good)
        self.ok = self.succeeded == len(self.results) and not self.warmup_errors
        self.prompt_counts = [result.prompt_tokens for result in good if result.prompt_tokens is not None]
        self.generated_tokens = sum(result.generated_tokens or 0 for result in good)
        self.times: dict[str, Optional[dict[str, float]]] = {
            "response_time_s": summarise([result.response_time_s for result in good]),
            "time_to_first_token_s": summarise([r.time_to_first_token_s for r in good
                                                if r.time_to_first_token_s is not None]),
            "time_between_tokens_s": summarise([gap for result in good for gap in result.gaps_s]),
            "time_per_token_s": summarise([r.time_per_token_s for r in good if r.time_per_token_s is not None]),
        }

    def to_json(self) -> JsonObject:
        prompt_tokens = sum(self.prompt_counts)
        return {
            "name": self.scenario.name, "requests": self.scenario.requests, "concurrency": self.scenario.concurrency,
            "max_tokens": self.scenario.max_tokens, "note": self.note, "wall_s": self.wall_s,
            "succeeded": self.succeeded, "failed": len(self.results) - self.succeeded,
            "success_rate": self.succeeded / len(self.results), "warmup_errors": self.warmup_errors,
            "prompt_tokens": prompt_tokens, "generated_tokens": self.generated_tokens,
            "requests_per_s": self.succeeded / self.wall_s,
            "generated_tokens_per_s": self.generated_tokens / self.wall_s,
            "total_tokens_per_s": (prompt_tokens + self.generated_tokens) / self.wall_s,
            **self.times, "results": [result.to_json() for result in self.results],
        }


# ---- Asking ----


def describe_failure(error: Exception) -> str:
    """One line on what went wrong; of requests' nested connection errors only the innermost."""
    cause: Any = error
    while getattr(cause, "reason", None) or (isinstance(cause, requests.RequestException) and cause.args):
        cause = getattr(cause, "reason", None) or cause.args[0]
    # urllib3 1 names the object with its address, which would make every message another one.
    message = re.sub(r"<\S+ object at 0x[0-9a-f]+>: ", "", str(cause))
    return " ".join(message.split()) or type(error).__name__


class Client:
    """Sends requests to one server; each thread keeps a session, and so a connection, of its own."""

    def __init__(self, dialect: Dialect, url: str, timeout_s: float, api_key: Optional[str]) -> None:
        self._dialect, self._url, self._timeout_s, self._api_key = dialect, url, timeout_s, api_key
        self._local = threading.local()

    def measure(self, index: int, origin: float, ask: Callable[[], Optional[Answer]]) -> RequestResult:
        """Runs `ask` and records how long it took, or why it failed. `origin` is the scenario's start."""
        started = time.perf_counter()
        result = RequestResult(index, started - origin)
        answer = None
        try:
            answer = ask()
        except (RequestFailed, requests.RequestException) as error:
            result.error = describe_failure(error)
        result.response_time_s = time.perf_counter() - started
        if result.response_time_s > self._timeout_s:
            result.error = f"no complete answer within {self._timeout_s:g} s"
        elif answer is not None and result.error is None:
            result.take(answer, started)
        return result

    def generate(self, prompt: str, max_tokens: int, sampling: Sampling) -> Answer:
        path, body = self._dialect.build_request(prompt, max_tokens, sampling)
        reuse = self._dialect.reuses_stream_connections or not sampling.stream
        with self._open("POST", path, body, reuse) as chunks:
            if sampling.stream:
                answer = self._dialect.parse_stream(read_lines(chunks))
            else:
                answer = self._dialect.parse_response(parse_object(read_all(chunks)))
        answer.check(max_tokens, sampling.ignore_eos)
        return answer

    def health(self) -> None:
        with self._open("GET", self._dialect.health_path) as chunks:
            self._dialect.check_health(read_all(chunks))

    def count_tokens(self, text: str) -> int:
        """The length of a prompt as the server would count it, leading special token included."""
        if not self._dialect.has_tokenize:
            raise RequestFailed("this kind of server has none")
        with self._open("POST", "/tokenize", {"content": text, "add_special": True}) as chunks:
            return len(get(parse_object(read_all(chunks)), "tokens", list))

    def first_model(self, path: str) -> str:
        with self._open("GET", path) as chunks:
            return self._dialect.first_model(parse_object(read_all(chunks)))

    @contextmanager
    def _open(self, method: str, path: str, body: Optional[JsonObject] = None,
              reuse: bool = True) -> Iterator[Iterator[TimedBytes]]:
        """Opens an answer with status 200. A block that is left before the body's end drops the connection."""
        deadline = time.perf_counter() + self._timeout_s
        session = self._session()
        try:
            with session.request(method, self._url + path, json=body, stream=True, timeout=self._timeout_s,
                                 allow_redirects=False) as response:
                chunks = read_chunks(response, deadline)
                if response.status_code != 200:
                    body_text = b"".join(chunk for _, chunk in chunks).decode("utf-8", "replace")
                    raise RequestFailed(f"HTTP {response.status_code}: {body_text[:200].strip()}")
                yield chunks
        finally:
            if not reuse:
                session.close()  # its connections only: the session opens new ones

    def _session(self) -> requests.Session:
        session: Optional[requests.Session] = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # a proxy named by the environment would be measured too
            session.headers["Accept-Encoding"] = "identity"  # a compressor would hold frames back
            if self._api_key:
                session.headers["Authorization"] = f"Bearer {self._api_key}"
            self._local.session = session
        return session


class PromptSource:
    """Makes prompts: the given ones in turn, or long ones of a set length."""

    def __init__(self, prompts: Sequence[str], unique: bool, count_tokens: Callable[[str], int]) -> None:
        self._prompts, self._unique, self._count_tokens = prompts, unique, count_tokens
        # New in every run: the server may still hold the last run's prompts in its cache.
        self._run = secrets.token_hex(8)
        self._made = itertools.count()

    def given(self, count: int) -> list[str]:
        prompts = [self._prompts[index % len(self._prompts)] for index in range(count)]
        return [f"{self._tag()} {prompt}" for prompt in prompts] if self._unique else prompts

    def long(self, count: int, tokens: int) -> tuple[list[str], str]:
        """Returns `count` distinct prompts of `tokens` tokens, and a note on how exact that length is."""
        try:
            return ([self._trim(self._words(tokens), tokens) for _ in range(count)],
                    f"prompts trimmed to {tokens} tokens by the server's /tokenize")
        except (RequestFailed, requests.RequestException) as error:
            # The tag and a leading special token make up for about six words.
            return ([" ".join(self._words(tokens - 6)) for _ in range(count)],
                    f"prompts of about {tokens} tokens; /tokenize could not be used: {describe_failure(error)}")

    def _tag(self) -> str:
        # A hash differs from its first character on, so no prefix is shared; a counter would share one.
        return hashlib.sha256(f"{self._run}/{next(self._made)}".encode()).hexdigest()[:8]

    def _words(self, count: int) -> list[str]:
        tag = self._tag()
        return [tag, *random.Random(tag).choices(FILLER_WORDS, k=count - 1)]

    def _trim(self, words: list[str], tokens: int) -> str:
        """Drops words while there are too many tokens and pads with short ones while there are too few."""
        for _ in range(64):
            text = " ".join(words)
            excess = self._count_tokens(text) - tokens
            if excess == 0:
                return text
            if excess > 0:
                del words[max(1, len(words) - (excess + 1) // 2):]
            else:
                words += ["a"] * -excess
        raise RequestFailed(f"no text of exactly {tokens} tokens found")


# ---- Running ----


class Progress:
    """A bar on a terminal; silent anywhere else."""

    def __init__(self, stream: TextIO, label: str, total: int) -> None:
        self._stream, self._label, self._total = stream, label, total
        self._shown = stream.isatty()
        self.update(0, 0)

    def update(self, done: int, failed: int) -> None:
        if self._shown:
            bar = "#" * (30 * done // self._total)
            failures = f", {failed} failed" if failed else ""
            self._stream.write(f"\r{self._label:<15}[{bar:<30}] {done}/{self._total}{failures}")
            self._stream.flush()

    def close(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


class Runner:
    """Runs scenarios one after the other."""

    def __init__(self, client: Client, source: PromptSource, sampling: Sampling, warmup: int, bar: TextIO) -> None:
        self._client, self._source, self._sampling = client, source, sampling
        self._warmup, self._bar = warmup, bar

    def run(self, scenario: Scenario) -> ScenarioResult:
        asks, note = self._prepare(scenario)
        pool = ThreadPoolExecutor(max_workers=scenario.concurrency)
        try:
            warmup, _ = self._run_batch(pool, asks[:self._warmup], f"warm-up {scenario.name}")
            results, wall_s = self._run_batch(pool, asks[self._warmup:], scenario.name)
        finally:
            pool.shutdown(cancel_futures=True)
        errors = [result.error for result in warmup if result.error is not None]
        outcome = ScenarioResult(scenario, note, wall_s, results, errors)
        if scenario.long_prompts and outcome.prompt_counts:
            low, high = min(outcome.prompt_counts), max(outcome.prompt_counts)
            outcome.note = f"{note}; the server counted {low}" + (f" to {high}" if high > low else " in each")
        return outcome

    def _prepare(self, scenario: Scenario) -> tuple[list[Callable[[], Optional[Answer]]], Optional[str]]:
        """The calls to make, warm-up first, and what is to be said about their prompts."""
        count = self._warmup + scenario.requests
        if scenario.max_tokens == 0:
            return [self._client.health] * count, None
        note = None
        if scenario.long_prompts:
            prompts, note = self._source.long(count, LONG_PROMPT_TOKENS)
        else:
            prompts = self._source.given(count)
        return [self._generation(prompt, scenario.max_tokens) for prompt in prompts], note

    def _generation(self, prompt: str, max_tokens: int) -> Callable[[], Answer]:
        return lambda: self._client.generate(prompt, max_tokens, self._sampling)

    def _run_batch(self, pool: ThreadPoolExecutor, asks: Sequence[Callable[[], Optional[Answer]]],
                   label: str) -> tuple[list[RequestResult], float]:
        if not asks:
            return [], 0.0
        progress = Progress(self._bar, label, len(asks))
        failed = 0
        origin = time.perf_counter()
        futures = [pool.submit(self._client.measure, index, origin, ask) for index, ask in enumerate(asks)]
        for done, future in enumerate(as_completed(futures), start=1):
            failed += future.result().error is not None
            progress.update(done, failed)
        wall_s = time.perf_counter() - origin
        progress.close()
        return [future.result() for future in futures], wall_s


# ---- Reporting ----

TIME_LABELS = {"response_time_s": "response", "time_to_first_token_s": "first token",
               "time_between_tokens_s": "between tokens", "time_per_token_s": "per token"}
STATISTICS = ("mean", "min", "max", "p50", "p95", "p99")


def markdown_table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def milliseconds(seconds: Optional[float]) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.1f}"


def summary_row(outcome: ScenarioResult) -> list[str]:
    figures = outcome.to_json()
    row = [outcome.scenario.name, str(outcome.scenario.concurrency),
           # The counts as well: 9999 of 10000 would round to 100.0 %.
           f"{outcome.succeeded}/{len(outcome.results)} ({100 * figures['success_rate']:.1f} %)",
           f"{outcome.wall_s:.2f}", f"{figures['requests_per_s']:.2f}"]
    if outcome.scenario.max_tokens == 0:
        return row + ["–"] * 4
    return row + [str(figures["prompt_tokens"]), str(figures["generated_tokens"]),
                  f"{figures['generated_tokens_per_s']:.1f}", f"{figures['total_tokens_per_s']:.1f}"]


def time_rows(outcome: ScenarioResult) -> Iterator[list[str]]:
    for key, label in TIME_LABELS.items():
        if outcome.scenario.max_tokens > 0 or key == "response_time_s":
            stats = outcome.times[key] or {}
            yield [outcome.scenario.name, label, *(milliseconds(stats.get(name)) for name in STATISTICS)]


def request_rows(outcome: ScenarioResult) -> Iterator[list[str]]:
    for result in outcome.results:
        times = (result.response_time_s, result.time_to_first_token_s, result.time_per_token_s)
        yield [outcome.scenario.name, str(result.index), result.error or "ok", str(result.prompt_tokens or "–"),
               str(result.generated_tokens or "–"), *map(milliseconds, times)]


def notes(outcome: ScenarioResult) -> Iterator[str]:
    """What has to be said beside the figures; one line per kind of failure, with how often it happened."""
    name = outcome.scenario.name
    if outcome.note:
        yield f"- {name}: {outcome.note}"
    for error, count in Counter(outcome.warmup_errors).items():
        yield f"- {name}: failed in the warm-up: {count} x {error}"
    for error, count in Counter(result.error for result in outcome.results if result.error is not None).items():
        yield f"- {name}: failed: {count} x {error}"


def render_markdown(outcomes: Sequence[ScenarioResult], settings: JsonObject, per_request: bool) -> str:
    model = settings["model"] or "model not named"
    mode = "streamed" if settings["stream"] else "not streamed"
    parts = [
        f"## {settings['server_type']} at {settings['server_url']}, {model}, {mode}\n",
        markdown_table(["Scenario", "At a time", "Success", "Wall s", "Requests/s", "Prompt tokens", "Generated tokens",
                        "Generated tokens/s", "With prompt tokens/s"], map(summary_row, outcomes)),
        markdown_table(["Scenario", "Time (ms)", *(name.capitalize() for name in STATISTICS)],
                       itertools.chain.from_iterable(map(time_rows, outcomes))),
    ]
    if per_request:
        parts.append(markdown_table(["Scenario", "Request", "Result", "Prompt tokens", "Generated tokens",
                                     "Response ms", "First token ms", "Per token ms"],
                                    itertools.chain.from_iterable(map(request_rows, outcomes))))
    remarks = "".join(line + "\n" for outcome in outcomes for line in notes(outcome))
    return "\n".join(parts + [remarks] if remarks else parts)


def build_report(outcomes: Sequence[ScenarioResult], settings: JsonObject, started_at: datetime) -> JsonObject:
    total, succeeded = sum(len(o.results) for o in outcomes), sum(o.succeeded for o in outcomes)
    return {"format": 1, "started_at": started_at.isoformat(timespec="seconds"), "settings": settings,
            "ok": all(outcome.ok for outcome in outcomes),
            "totals": {"requests": total, "succeeded": succeeded, "failed": total - succeeded,
                       "success_rate": succeeded / total},
            "scenarios": [outcome.to_json() for outcome in outcomes]}


# ---- Command line ----


def at_least(low: float, kind: type) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = kind(text)
        if not low <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not a number from {low:g} on")
        return value
    parse.__name__ = kind.__name__  # argparse names it in "invalid int value"
    return parse


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__,
        epilog="Exit codes: 0 every request succeeded, 1 something failed, 2 wrong usage.\n\n"
               "Example: unified_benchmark.py --test-type all --ignore-eos --unique-prompts --output-file report.json")
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--test-type", choices=[*names, "all"], default="all",
                        help="health: 10 health checks; single: 1 request x 50 tokens; api-sequential: 10 x 50, one "
                             "at a time; api-concurrent: 10 x 50, five at a time; prompt: 10 distinct prompts of "
                             f"{LONG_PROMPT_TOKENS} tokens, 1 token out (default: all of them)")
    parser.add_argument("--server-type", choices=list(DIALECTS), default="cllm",
                        help="cllm: /generate and /generate_stream; openai: /v1/completions, as llama-server has it; "
                             "ollama: /api/generate, raw (default: %(default)s)")
    parser.add_argument("--server-url", metavar="URL", help="default: " + ", ".join(
        f"{dialect.default_url} for {name}" for name, dialect in DIALECTS.items()))
    parser.add_argument("--model", help="model to ask for; default for openai and ollama: the first that the server "
                                        "lists. cllm serves one model and only has the name put into the report")
    parser.add_argument("--api-key", metavar="KEY", help="sent as a bearer token; never written to the report")
    parser.add_argument("--requests", type=at_least(1, int), metavar="N", help="requests per scenario, except single")
    parser.add_argument("--concurrency", type=at_least(1, int), metavar="N",
                        help="requests at a time, except single and api-sequential")
    parser.add_argument("--max-tokens", type=at_least(1, int), metavar="N", help="tokens to generate per request")
    parser.add_argument("--warmup", type=at_least(0, int), default=1, metavar="N",
                        help="requests before each scenario that are not counted (default: %(default)s)")
    parser.add_argument("--timeout", type=at_least(0.001, float), default=120.0, metavar="SECONDS",
                        help="limit for one whole request (default: %(default)g)")
    parser.add_argument("--temperature", type=at_least(0, float), default=0.0, help="default: %(default)g, greedy")
    parser.add_argument("--seed", type=at_least(0, int), default=42, help="default: %(default)s")
    parser.add_argument("--ignore-eos", action="store_true",
                        help="generate all max-tokens tokens; fewer are then a failure (not for ollama)")
    parser.add_argument("--no-stream", dest="stream", action="store_false",
                        help="ask for whole answers; there are no times to tokens then")
    parser.add_argument("--prompts-file", type=Path, metavar="FILE",
                        help="one prompt a line, used in turn (default: five Chinese sentences)")
    parser.add_argument("--unique-prompts", action="store_true",
                        help="put a distinct short prefix before each prompt, so that no cached prefix helps")
    parser.add_argument("--output-file", type=Path, metavar="FILE", help="write the full report there, as JSON")
    parser.add_argument("--per-request", action="store_true", help="also print one table row per request")
    return parser


def choose_scenarios(parser: argparse.ArgumentParser, args: argparse.Namespace) -> list[Scenario]:
    """The scenarios asked for, with the command line's numbers where a scenario lets them be changed."""
    given = {key: getattr(args, key) for key in ("requests", "concurrency", "max_tokens") if getattr(args, key)}
    chosen = [scenario for scenario in SCENARIOS if args.test_type in (scenario.name, "all")]
    if args.test_type != "all":
        for key in chosen[0].fixed:
            if given.get(key, getattr(chosen[0], key)) != getattr(chosen[0], key):
                parser.error(f"--{key} is always {getattr(chosen[0], key)} in --test-type {args.test_type}")
    adapted = []
    for scenario in chosen:
        kept = (*scenario.fixed, "max_tokens") if scenario.max_tokens == 0 else scenario.fixed
        adapted.append(replace(scenario, **{key: value for key, value in given.items() if key not in kept}))
    return adapted


def read_prompts(parser: argparse.ArgumentParser, path: Optional[Path]) -> Sequence[str]:
    if path is None:
        return DEFAULT_PROMPTS
    try:
        prompts = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"--prompts-file: {error}")
    if not prompts:
        parser.error(f"--prompts-file: {path} holds no prompt")
    return prompts


def execute(args: argparse.Namespace, dialect: Dialect, scenarios: Sequence[Scenario], prompts: Sequence[str]) -> bool:
    """Runs the scenarios and writes the reports; returns whether everything succeeded."""
    started_at = datetime.now(timezone.utc)
    url = (args.server_url or dialect.default_url).rstrip("/")
    client = Client(dialect, url, args.timeout, args.api_key)
    model = args.model
    if model is None and dialect.models_path and any(scenario.max_tokens for scenario in scenarios):
        try:
            model = client.first_model(dialect.models_path)
        except (RequestFailed, requests.RequestException) as error:
            print(f"unified_benchmark: no --model given, and {url}{dialect.models_path} does not name one: "
                  f"{describe_failure(error)}", file=sys.stderr)
            return False
    sampling = Sampling(args.temperature, args.seed, args.ignore_eos, args.stream, model)
    source = PromptSource(prompts, args.unique_prompts, client.count_tokens)
    runner = Runner(client, source, sampling, args.warmup, sys.stderr)
    outcomes = [runner.run(scenario) for scenario in scenarios]
    settings = {"test_type": args.test_type, "server_type": args.server_type, "server_url": url, **asdict(sampling),
                "warmup": args.warmup, "timeout_s": args.timeout, "unique_prompts": args.unique_prompts,
                "prompts": list(prompts)}
    print(render_markdown(outcomes, settings, args.per_request), end="", flush=True)
    report = build_report(outcomes, settings, started_at)
    if args.output_file:
        args.output_file.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return all(outcome.ok for outcome in outcomes)


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    dialect = DIALECTS[args.server_type]()
    if args.ignore_eos and not dialect.has_ignore_eos:
        parser.error(f"{args.server_type} has no way to ignore the end-of-text token")
    if args.output_file and not args.output_file.absolute().parent.is_dir():
        parser.error(f"--output-file: no folder {args.output_file.parent}")
    scenarios = choose_scenarios(parser, args)
    prompts = read_prompts(parser, args.prompts_file)
    try:
        return 0 if execute(args, dialect, scenarios, prompts) else 1
    except OSError as error:
        print(f"unified_benchmark: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("unified_benchmark: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
