"""Tests of tools/unified_benchmark.py against a toy server with planted failures."""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path[:0] = [str(TOOLS), str(Path(__file__).resolve().parent)]

import benchmark_dialects as dialects  # noqa: E402
import unified_benchmark as benchmark  # noqa: E402
from toy_server import (FAILURES_IN_BOTH, FAILURES_IN_STREAM, FAILURES_UNSTREAMED, ToyServer,  # noqa: E402
                        count_tokens)

SCENARIOS = ["health", "single", "api-sequential", "api-concurrent", "prompt"]
STATISTICS = {"mean", "min", "max", "p50", "p95", "p99"}
SERVER_TYPES = ["cllm", "openai", "ollama"]


class Run:
    """Runs the script in this process against a server and keeps what it left behind."""

    def __init__(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._file, self._capsys = tmp_path / "report.json", capsys

    def __call__(self, url: str, *options: str) -> int:
        self._file.unlink(missing_ok=True)
        code = benchmark.main(["--server-url", url, "--output-file", str(self._file), *options])
        captured = self._capsys.readouterr()
        self.stdout, self.stderr = captured.out, captured.err
        self.report: dict[str, Any] = json.loads(self._file.read_text("utf-8")) if self._file.exists() else {}
        return code

    def scenario(self, name: str) -> dict[str, Any]:
        return next(scenario for scenario in self.report["scenarios"] if scenario["name"] == name)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(tmp_path, capsys)


def tables_of(markdown: str) -> list[list[list[str]]]:
    """The Markdown tables as lists of rows of cells, the header first and without the line under it."""
    tables = []
    for block in re.findall(r"(?:^\|.*\|\n)+", markdown, re.MULTILINE):
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        assert set(rows[1]) == {"---"}
        tables.append([rows[0], *rows[2:]])
    return tables


# ---- Arithmetic ----


@pytest.mark.parametrize("values, percent, expected", [
    ([7.0], 50, 7.0), ([7.0], 99, 7.0), ([1.0, 2.0], 50, 1.5), ([1.0, 2.0, 3.0], 50, 2.0), ([1.0, 2.0, 3.0], 0, 1.0),
    ([1.0, 2.0, 3.0], 100, 3.0), ([0.0, 10.0], 95, 9.5), (list(map(float, range(101))), 99, 99.0),
    ([1.0, 2.0, 3.0, 4.0], 95, 3.85), ([1.0, 1.0, 1.0, 101.0], 99, 98.0),
])
def test_percentile_is_linear_between_neighbours(values: list[float], percent: float, expected: float) -> None:
    assert benchmark.percentile(values, percent) == pytest.approx(expected)


def test_summarise_sorts_and_covers_all_statistics() -> None:
    assert benchmark.summarise([4.0, 1.0, 3.0, 2.0]) == pytest.approx(
        {"mean": 2.5, "min": 1.0, "max": 4.0, "p50": 2.5, "p95": 3.85, "p99": 3.97})
    assert benchmark.summarise([]) is None


def test_times_of_a_streamed_answer() -> None:
    result = benchmark.RequestResult(0, 0.0)
    result.take(dialects.Answer("abc", 4, 6, "length", text_times=[10.5, 10.7, 11.2], finished_at=11.5), sent_at=10.0)
    assert result.time_to_first_token_s == pytest.approx(0.5)
    assert result.gaps_s == pytest.approx([0.2, 0.5])
    assert result.time_per_token_s == pytest.approx(1.0 / 5)  # six tokens: five steps after the first


def test_times_of_an_answer_without_any_text() -> None:
    result = benchmark.RequestResult(0, 0.0)
    result.take(dialects.Answer("", 4, 1, "length", finished_at=10.25), sent_at=10.0)
    assert (result.time_to_first_token_s, result.gaps_s, result.time_per_token_s) == (0.25, [], None)


def test_figures_of_a_scenario_leave_failures_out() -> None:
    def result(index: int, response_s: float, error: str | None, *gaps: float) -> benchmark.RequestResult:
        return benchmark.RequestResult(index, 0.0, response_s, error, 3, 5, "length", 0.1, 0.2, list(gaps))

    scenario = benchmark.Scenario("x", requests=3, concurrency=1, max_tokens=5)
    outcome = benchmark.ScenarioResult(scenario, None, 4.0, [
        result(0, 1.0, None, 0.1, 0.2), result(1, 99.0, "broken", 50.0), result(2, 2.0, None, 0.6)], [])
    figures = outcome.to_json()
    assert not outcome.ok
    assert (figures["succeeded"], figures["failed"], figures["success_rate"]) == (2, 1, pytest.approx(2 / 3))
    assert (figures["prompt_tokens"], figures["generated_tokens"]) == (6, 10)
    assert (figures["generated_tokens_per_s"], figures["total_tokens_per_s"]) == (2.5, 4.0)
    assert (figures["response_time_s"]["mean"], figures["response_time_s"]["max"]) == (1.5, 2.0)
    assert figures["time_between_tokens_s"]["mean"] == pytest.approx(0.3)


# ---- Reading streams ----


def test_lines_survive_any_cut_and_carry_the_arrival_of_their_end() -> None:
    wire = "data: 智能\r\ndata: \u2028x\n\n".encode()
    whole = ["data: 智能", "data: \u2028x", ""]
    assert [text for _, text in dialects.read_lines([(0.0, wire)])] == whole
    bytewise = list(dialects.read_lines((float(at), wire[at:at + 1]) for at in range(len(wire))))
    assert [text for _, text in bytewise] == whole
    assert [at for at, _ in bytewise] == [13.0, len(wire) - 2.0, len(wire) - 1.0]


def test_sse_events() -> None:
    lines = [": ping", "event: x", "id: 1", "data: a", "data:b", "", "", "data: [DONE]", "", "data: never ended"]
    events = [data for _, data in dialects.read_sse((0.0, line) for line in lines)]
    assert events == ["a\nb", "[DONE]"]
    with pytest.raises(dialects.RequestFailed, match="not a server-sent event"):
        list(dialects.read_sse([(0.0, "<html>")]))


@pytest.mark.parametrize("document", [{}, {"n": None}, {"n": "1"}, {"n": True}, {"n": 1.0}, [1], None])
def test_a_member_of_another_type_is_a_failure(document: Any) -> None:
    with pytest.raises(dialects.RequestFailed, match="no 'n' of type int"):
        dialects.get(document, "n", int)


# ---- Success ----


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("server_type", SERVER_TYPES)
def test_all_scenarios(run: Run, server_type: str, stream: bool) -> None:
    with ToyServer() as toy:
        options = ["--server-type", server_type] + ([] if stream else ["--no-stream"])
        assert run(toy.url, *options) == 0, run.stdout
    assert run.report["ok"] is True
    assert run.report["totals"] == {"requests": 41, "succeeded": 41, "failed": 0, "success_rate": 1.0}
    assert [scenario["name"] for scenario in run.report["scenarios"]] == SCENARIOS
    shapes = {s["name"]: (s["requests"], s["concurrency"], s["max_tokens"]) for s in run.report["scenarios"]}
    assert shapes == {"health": (10, 1, 0), "single": (1, 1, 50), "api-sequential": (10, 1, 50),
                      "api-concurrent": (10, 5, 50), "prompt": (10, 1, 1)}
    sequential = run.scenario("api-sequential")
    assert sequential["generated_tokens"] == 500
    # The warm-up took the first prompt, so the ten counted ones start with the second.
    prompts = [benchmark.DEFAULT_PROMPTS[(1 + index) % 5] for index in range(10)]
    assert [result["prompt_tokens"] for result in sequential["results"]] == [count_tokens(p) for p in prompts]
    for name in ("time_to_first_token_s", "time_between_tokens_s", "time_per_token_s"):
        assert (sequential[name] is not None) == stream
        assert (sequential["results"][0][name] is not None) == stream
    assert run.scenario("health")["time_to_first_token_s"] is None
    assert len(toy.generations) == 31 + 4  # one warm-up for each of the four
    health_path = "/api/version" if server_type == "ollama" else "/health"
    assert sum(request.path == health_path for request in toy.recorded) == 11


@pytest.mark.parametrize("server_type, stream, path, expected", [
    ("cllm", True, "/generate_stream", {"max_tokens": 7, "temperature": 0.5, "seed": 9, "ignore_eos": True}),
    ("cllm", False, "/generate", {"max_tokens": 7, "temperature": 0.5, "seed": 9, "ignore_eos": True}),
    ("openai", True, "/v1/completions",
     {"model": "toy-model", "max_tokens": 7, "temperature": 0.5, "seed": 9, "ignore_eos": True, "stream": True,
      "stream_options": {"include_usage": True}}),
    ("openai", False, "/v1/completions", {"model": "toy-model", "max_tokens": 7, "temperature": 0.5, "seed": 9,
                                          "ignore_eos": True, "stream": False}),
    ("ollama", True, "/api/generate", {"model": "toy-model:latest", "raw": True, "stream": True,
                                       "options": {"num_predict": 7, "temperature": 0.5, "seed": 9}}),
])
def test_what_is_sent(run: Run, server_type: str, stream: bool, path: str, expected: dict[str, Any]) -> None:
    options = ["--test-type", "single", "--server-type", server_type, "--warmup", "0", "--max-tokens", "7",
               "--temperature", "0.5", "--seed", "9", *([] if stream else ["--no-stream"]),
               *([] if server_type == "ollama" else ["--ignore-eos"])]
    with ToyServer() as toy:
        assert run(toy.url + "/", *options) == 0, run.stdout
    (request,) = toy.generations
    assert request.path == path
    assert request.body == {"prompt": benchmark.DEFAULT_PROMPTS[0], **expected}


def test_model_and_api_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # must not be used
    with ToyServer() as toy:
        assert run(toy.url, "--test-type", "single", "--server-type", "openai", "--model", "mine",
                   "--api-key", "s3cr3t") == 0
    assert {request.path for request in toy.recorded} == {"/v1/completions"}
    assert toy.generations[0].body["model"] == "mine"
    assert toy.generations[0].headers["Authorization"] == "Bearer s3cr3t"
    assert "mine" in run.stdout and "s3cr3t" not in run.stdout + run.stderr + json.dumps(run.report)


def test_sequential_is_one_at_a_time_on_one_connection(run: Run) -> None:
    with ToyServer() as toy:
        assert run(toy.url, "--test-type", "api-sequential") == 0
    assert toy.max_active == 1
    assert len({request.client for request in toy.generations}) == 1


@pytest.mark.parametrize("stream, connections", [(True, 11), (False, 1)])
def test_openai_streams_take_a_new_connection_each(run: Run, stream: bool, connections: int) -> None:
    with ToyServer() as toy:
        assert run(toy.url, "--test-type", "api-sequential", "--server-type", "openai",
                   *([] if stream else ["--no-stream"])) == 0
    assert len({request.client for request in toy.generations}) == connections


def test_concurrent_requests_are_in_flight_together(run: Run) -> None:
    with ToyServer(gate=5) as toy:  # answers nothing until five have come
        assert run(toy.url, "--test-type", "api-concurrent", "--warmup", "0") == 0, run.stdout
    assert toy.max_active == 5
    with ToyServer(gate=3) as toy:
        assert run(toy.url, "--test-type", "api-concurrent", "--warmup", "3", "--concurrency", "3",
                   "--requests", "6") == 0, run.stdout
    assert toy.max_active == 3
    assert len(toy.generations) == 9
    assert run.scenario("api-concurrent")["requests"] == len(run.scenario("api-concurrent")["results"]) == 6


def test_numbers_given_reach_the_scenarios_that_allow_them(run: Run) -> None:
    with ToyServer() as toy:
        assert run(toy.url, "--requests", "3", "--concurrency", "2", "--max-tokens", "4") == 0
    shapes = {s["name"]: (s["requests"], s["concurrency"], s["max_tokens"]) for s in run.report["scenarios"]}
    assert shapes == {"health": (3, 2, 0), "single": (1, 1, 4), "api-sequential": (3, 1, 4),
                      "api-concurrent": (3, 2, 4), "prompt": (3, 2, 4)}


# ---- Prompts ----


@pytest.mark.parametrize("server_type", ["cllm", "openai"])
def test_long_prompts_have_exactly_512_tokens_and_are_distinct(run: Run, server_type: str) -> None:
    with ToyServer() as toy:
        assert run(toy.url, "--test-type", "prompt", "--server-type", server_type, "--warmup", "2") == 0, run.stdout
    scenario = run.scenario("prompt")
    assert [result["prompt_tokens"] for result in scenario["results"]] == [512] * 10
    assert [result["generated_tokens"] for result in scenario["results"]] == [1] * 10
    assert scenario["total_tokens_per_s"] == pytest.approx(513 * scenario["generated_tokens_per_s"])
    assert len({request.body["prompt"][:8] for request in toy.generations}) == 12
    assert "trimmed to 512 tokens by the server's /tokenize; the server counted 512 in each" in scenario["note"]
    assert scenario["note"] in run.stdout


@pytest.mark.parametrize("server_type, reason", [("cllm", "HTTP 404"), ("ollama", "has none")])
def test_long_prompts_without_tokenize_say_so(run: Run, server_type: str, reason: str) -> None:
    with ToyServer(tokenize=False) as toy:
        assert run(toy.url, "--test-type", "prompt", "--server-type", server_type) == 0, run.stdout
    note = run.scenario("prompt")["note"]
    assert "about 512 tokens" in note and reason in note and "the server counted" in note
    assert {len(request.body["prompt"].split()) for request in toy.generations} == {506}
    assert len({request.body["prompt"] for request in toy.generations}) == 11


def test_trimming_gives_up_where_no_text_fits() -> None:
    source = benchmark.PromptSource(["x"], False, lambda text: 2 * len(text.split()))
    prompts, note = source.long(2, 51)  # every count is even
    assert len(set(prompts)) == 2 and "no text of exactly 51 tokens" in note


def test_prompts_file_and_unique_prompts(run: Run, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("first one\n\n  zweites  \n", encoding="utf-8")
    options = ["--test-type", "api-sequential", "--prompts-file", str(prompts), "--requests", "4", "--warmup", "0"]
    with ToyServer() as toy:
        assert run(toy.url, *options) == 0
        assert [request.body["prompt"] for request in toy.generations] == ["first one", "zweites"] * 2
        assert run(toy.url, *options, "--unique-prompts") == 0
        assert run(toy.url, *options, "--unique-prompts") == 0
    unique = [request.body["prompt"] for request in toy.generations[4:]]
    assert [prompt.split(" ", 1)[1] for prompt in unique] == ["first one", "zweites"] * 4
    # Distinct over both runs: a server's cache outlives a run.
    assert len({prompt.split(" ", 1)[0] for prompt in unique}) == 8


def test_default_prompts() -> None:
    assert len(set(benchmark.DEFAULT_PROMPTS)) == 5
    assert all(prompt.endswith("。") for prompt in benchmark.DEFAULT_PROMPTS)


# ---- Times ----


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "until-close"])
def test_frames_are_timed_as_they_arrive(run: Run, chunked: bool) -> None:
    with ToyServer(token_s=0.05, chunked=chunked) as toy:
        assert run(toy.url, "--test-type", "single", "--max-tokens", "8") == 0, run.stdout
    (result,) = run.scenario("single")["results"]
    assert result["response_time_s"] >= 8 * 0.05
    # A client that reads the frames in bulk would see them all at the end.
    assert 0.05 <= result["time_to_first_token_s"] < 0.7 * result["response_time_s"]
    assert result["time_between_tokens_s"]["max"] >= 0.04
    assert run.scenario("single")["wall_s"] >= result["response_time_s"]


def test_counts_are_the_servers_where_frames_hold_several_tokens(run: Run) -> None:
    with ToyServer(hold_back=True) as toy:
        assert run(toy.url, "--test-type", "single", "--max-tokens", "8") == 0, run.stdout
    assert run.scenario("single")["generated_tokens"] == 8


def test_one_token_without_text_succeeds_and_has_a_time(run: Run) -> None:
    with ToyServer(silent=True) as toy:
        assert run(toy.url, "--test-type", "prompt", "--server-type", "openai") == 0, run.stdout
    scenario = run.scenario("prompt")
    assert scenario["time_to_first_token_s"]["min"] > 0
    assert scenario["time_between_tokens_s"] is None and scenario["time_per_token_s"] is None


# ---- Failures ----

REASONS = {  # what the message must contain
    "http_500": "HTTP 500", "http_429": "HTTP 429", "http_302": "HTTP 302", "hang": "no complete answer within",
    "trickle": "no complete answer within", "bad_json": "malformed JSON", "not_an_object": "not a JSON object",
    "bad_utf8": "not valid UTF-8", "empty": "no token was generated", "no_counts": "the answer has no '",
    "count_is_text": "of type int", "no_prompt_tokens": "0 prompt tokens", "short": "4 tokens generated instead of 5",
    "too_many": "6 tokens generated, more than", "bad_reason": "finish reason 'error'",
    "no_text": "the answer has no '",
    "error_object": "the server says: 500: planted", "no_last_frame": "ended without", "after_the_end": "after",
    "half_a_line": "inside a line", "not_done": "", "cut": "", "drop": "closed connection",
    "plain_text": "Internal error",
}
CASES = [(failure, stream) for failures, modes in [(FAILURES_IN_BOTH, (True, False)), (FAILURES_IN_STREAM, (True,)),
                                                   (FAILURES_UNSTREAMED, (False,))]
         for failure in failures for stream in modes]


@pytest.mark.parametrize("server_type", SERVER_TYPES)
@pytest.mark.parametrize("failure, stream", CASES, ids=[f"{f}-{'stream' if s else 'whole'}" for f, s in CASES])
def test_planted_failure_is_found_and_only_it(run: Run, server_type: str, failure: str, stream: bool) -> None:
    options = ["--test-type", "api-sequential", "--server-type", server_type, "--requests", "4", "--max-tokens", "5",
               "--warmup", "0", "--timeout", "1" if failure in ("hang", "trickle") else "20",
               *([] if stream else ["--no-stream"])]
    with ToyServer(failures={2: failure}) as toy:
        assert run(toy.url, *options) == 1
    scenario = run.scenario("api-sequential")
    errors = [result["error"] for result in scenario["results"]]
    assert [error is None for error in errors] == [True, True, False, True], errors
    assert REASONS[failure] in errors[2]
    assert len(toy.generations) == 4  # nothing is tried again
    assert scenario["results"][2]["response_time_s"] < 5  # a server that never ends does not hold the run up
    assert [result["ok"] for result in scenario["results"]] == [True, True, False, True]
    assert (scenario["succeeded"], scenario["failed"], scenario["success_rate"]) == (3, 1, 0.75)
    assert scenario["generated_tokens"] == 15
    assert run.report["ok"] is False
    assert "3/4 (75.0 %)" in run.stdout and f"failed: 1 x {errors[2]}" in run.stdout


@pytest.mark.parametrize("server_type", SERVER_TYPES)
def test_stream_cut_between_frames_without_chunks(run: Run, server_type: str) -> None:
    with ToyServer(failures={0: "cut"}, chunked=False) as toy:
        assert run(toy.url, "--test-type", "single", "--server-type", server_type, "--warmup", "0") == 1
    assert "ended without" in run.scenario("single")["results"][0]["error"]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("server_type", ["cllm", "openai"])
def test_an_early_end_is_a_failure_only_with_ignore_eos(run: Run, server_type: str, stream: bool) -> None:
    options = ["--test-type", "single", "--server-type", server_type] + ([] if stream else ["--no-stream"])
    with ToyServer(generated=20) as toy:
        assert run(toy.url, *options) == 0, run.stdout
        assert run.scenario("single")["generated_tokens"] == 20
        assert run(toy.url, *options, "--ignore-eos") == 1
    assert run.scenario("single")["results"][0]["error"] == "20 tokens generated instead of 50"


def test_a_failed_warm_up_is_not_counted_but_fails_the_run(run: Run) -> None:
    with ToyServer(failures={0: "http_500"}) as toy:
        assert run(toy.url, "--test-type", "single") == 1
    assert run.report["totals"]["failed"] == 0 and run.report["ok"] is False
    assert len(run.scenario("single")["warmup_errors"]) == 1
    assert "failed in the warm-up: 1 x HTTP 500" in run.stdout


@pytest.mark.parametrize("status, reason", [("loading", "HTTP 503"), ("sick", "not healthy")])
def test_unhealthy_server(run: Run, status: str, reason: str) -> None:
    with ToyServer(health_status=status) as toy:
        assert run(toy.url, "--test-type", "health", "--requests", "2") == 1
    assert all(reason in result["error"] for result in run.scenario("health")["results"])


def test_failures_in_every_scenario_when_nobody_listens(run: Run) -> None:
    with socket.socket() as bound:  # holds the port without listening
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert run(url) == 1
        assert run.report["totals"] == {"requests": 41, "succeeded": 0, "failed": 41, "success_rate": 0.0}
        assert "failed: 10 x" in run.stdout and "refused" in run.stdout
        assert run(url, "--server-type", "openai") == 1
    assert "no --model given" in run.stderr and run.report == {}


# ---- Reports ----


def test_tables(run: Run) -> None:
    with ToyServer(failures={3: "http_500"}) as toy:
        assert run(toy.url, "--per-request") == 1
    summary, times, per_request = tables_of(run.stdout)
    for table in (summary, times, per_request):
        assert {len(row) for row in table} == {len(table[0])}
    assert [row[0] for row in summary] == ["Scenario", *SCENARIOS]
    assert times[0] == ["Scenario", "Time (ms)", "Mean", "Min", "Max", "P50", "P95", "P99"]
    labels = ["response", "first token", "between tokens", "per token"]
    assert [row[:2] for row in times[1:]] == [["health", "response"]] + [
        [name, label] for name in SCENARIOS[1:] for label in labels]
    assert len(per_request) == 1 + 41
    assert summary[1][5:] == ["–"] * 4
    figures = run.scenario("api-concurrent")
    assert summary[4] == ["api-concurrent", "5", "10/10 (100.0 %)", f"{figures['wall_s']:.2f}",
                          f"{figures['requests_per_s']:.2f}", str(figures["prompt_tokens"]), "500",
                          f"{figures['generated_tokens_per_s']:.1f}", f"{figures['total_tokens_per_s']:.1f}"]
    assert times[2][2] == f"{1000 * run.scenario('single')['response_time_s']['mean']:.1f}"


def test_a_bar_in_an_error_does_not_break_the_table() -> None:
    assert benchmark.markdown_table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |\n"


def test_unstreamed_times_to_tokens_are_dashes(run: Run) -> None:
    with ToyServer() as toy:
        assert run(toy.url, "--test-type", "single", "--no-stream") == 0
    _, times = tables_of(run.stdout)
    assert [row[2:] == ["–"] * 6 for row in times[1:]] == [False, True, True, True]
    assert "not streamed" in run.stdout


def test_report_file(run: Run) -> None:
    with ToyServer() as toy:
        assert run(toy.url, "--test-type", "api-concurrent", "--ignore-eos", "--model", "m") == 0
    report = run.report
    assert set(report) == {"format", "started_at", "settings", "ok", "totals", "scenarios"}
    assert report["settings"] == {
        "test_type": "api-concurrent", "server_type": "cllm", "server_url": toy.url, "model": "m", "temperature": 0.0,
        "seed": 42, "ignore_eos": True, "stream": True, "warmup": 1, "timeout_s": 120.0, "unique_prompts": False,
        "prompts": list(benchmark.DEFAULT_PROMPTS)}
    (scenario,) = report["scenarios"]
    assert set(scenario) == {
        "name", "requests", "concurrency", "max_tokens", "note", "wall_s", "succeeded", "failed", "success_rate",
        "warmup_errors", "prompt_tokens", "generated_tokens", "requests_per_s", "generated_tokens_per_s",
        "total_tokens_per_s", "response_time_s", "time_to_first_token_s", "time_between_tokens_s", "time_per_token_s",
        "results"}
    assert all(set(scenario[key]) == STATISTICS for key in scenario if key.startswith(("response_", "time_")))
    assert [result["index"] for result in scenario["results"]] == list(range(10))
    for result in scenario["results"]:
        assert set(result) == {
            "ok", "index", "started_s", "response_time_s", "error", "prompt_tokens", "generated_tokens",
            "finish_reason", "time_to_first_token_s", "time_per_token_s", "time_between_tokens_s"}
        assert set(result["time_between_tokens_s"]) == STATISTICS
        assert 0 < result["time_to_first_token_s"] <= result["response_time_s"] <= scenario["wall_s"]
    assert scenario["generated_tokens_per_s"] == pytest.approx(500 / scenario["wall_s"])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_bar_only_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with ToyServer(failures={4: "http_500"}) as toy:
        assert run(toy.url, "--test-type", "api-sequential") == 1
        assert run.stderr == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ToyServer(failures={4: "http_500"}) as toy:
        assert run(toy.url, "--test-type", "api-sequential") == 1
    shown = terminal.getvalue()
    assert "0/10" in shown and f"[{'#' * 15}{' ' * 15}] 5/10, 1 failed" in shown and "10/10, 1 failed" in shown
    assert shown.endswith("\r\x1b[K")
    assert "#" * 15 not in run.stdout


# ---- Command line ----


@pytest.mark.parametrize("options, message", [
    (["--test-type", "nonsense"], "invalid choice"),
    (["--requests", "0"], "from 1 on"),
    (["--requests", "x"], "invalid int value"),
    (["--timeout", "0"], "from 0.001 on"),
    (["--temperature", "nan"], "from 0 on"),
    (["--server-type", "ollama", "--ignore-eos"], "no way to ignore"),
    (["--test-type", "single", "--requests", "2"], "--requests is always 1"),
    (["--test-type", "api-sequential", "--concurrency", "2"], "--concurrency is always 1"),
    (["--output-file", "missing-folder/report.json"], "no folder missing-folder"),
    (["--prompts-file", "missing-file"], "missing-file"),
])
def test_wrong_usage(options: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        benchmark.main(options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_empty_prompts_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").write_text("\n \n")
    with pytest.raises(SystemExit):
        benchmark.main(["--prompts-file", str(tmp_path / "empty")])
    assert "holds no prompt" in capsys.readouterr().err


def test_as_a_program(tmp_path: Path) -> None:
    def program(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, str(TOOLS / "unified_benchmark.py"), *options], cwd=tmp_path,
                              capture_output=True, text=True, encoding="utf-8", timeout=60)

    usage = program("--help")
    assert usage.returncode == 0
    for option in ("test-type", "server-type", "server-url", "model", "api-key", "requests", "concurrency",
                   "max-tokens", "temperature", "seed", "ignore-eos", "no-stream", "prompts-file", "unique-prompts",
                   "warmup", "timeout", "output-file", "per-request"):
        assert f"--{option}" in usage.stdout
    with ToyServer() as toy:
        good = program("--server-url", toy.url, "--test-type", "single", "--output-file", "report.json")
    assert (good.returncode, good.stderr) == (0, "")
    assert len(tables_of(good.stdout)) == 2
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["ok"] is True
    with ToyServer(failures={5: "cut"}) as toy:
        bad = program("--server-url", toy.url, "--test-type", "api-concurrent")
    assert bad.returncode == 1
    assert "9/10 (90.0 %)" in bad.stdout
