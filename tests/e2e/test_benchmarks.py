"""The benchmarks in their short form: they run to their end and their tables are whole. Their figures say nothing here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest
from conftest import ROOT, Program

TIMEOUT_S = 300
Rows = dict[str, list[str]]
RunBenchmark = Callable[..., Rows]


def rows_of(markdown: str) -> Rows:
    """The cells of a table by the first of each row."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for cells in lines if not set(cells[0]) <= set("-: ")}


def number(cell: str) -> float:
    return float(re.sub(r"[−%×]", "", cell.split()[0]))


@pytest.fixture
def run_benchmark(program: Program) -> RunBenchmark:
    def run(script: str, *flags: str) -> Rows:
        command = [sys.executable, str(ROOT / "bench" / script), "--cllm", str(program.path), "--model", str(program.model), *flags]
        result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        assert result.returncode == 0, result.stderr[-2000:] + result.stdout[-2000:]
        print(result.stdout)
        return rows_of(result.stdout)
    return run


def test_side_by_side_measures_every_scenario(run_benchmark: RunBenchmark) -> None:
    rows = run_benchmark("side_by_side.py", "--rounds", "1", "--streams", "1", "2", "--tokens", "4", "--requests-per-stream", "1",
                         "--places", "2")
    assert len(rows) == 1 + 4 + 2, rows
    assert all(number(cells[0]) > 0 for scenario, cells in rows.items() if scenario != "scenario")


def test_the_engine_alone_is_measured_beside_busy_processes(run_benchmark: RunBenchmark) -> None:
    rows = run_benchmark("engine_side_by_side.py", "--rounds", "1", "--streams", "1", "3", "--prompt", "8", "--generate", "8", "--busy", "2")
    assert all(number(rows[streams][0]) > 0 and number(rows[streams][3]) > 0 for streams in ("1", "3"))


def test_throughput_reads_every_stream_to_its_end(run_benchmark: RunBenchmark) -> None:
    rows = run_benchmark("throughput.py", "--rounds", "1", "--streams", "1", "3", "--prompt", "8", "--generate", "8")
    assert number(rows["1"][0]) > 0
    assert number(rows["3"][0]) > 0


def test_threads_are_watched_before_during_and_after_a_load(run_benchmark: RunBenchmark) -> None:
    rows = run_benchmark("threads.py", "--seconds", "1", "--intervals", "1", "1", "1", "--streams", "1", "--tokens", "8", "--busy", "1")
    assert [cells[0] for cells in rows.values()] == ["load", "before", "during", "after"]
    assert all(int(cells[2]) >= 1 for seconds, cells in rows.items() if seconds != "seconds")


def test_interference_counts_gaps(run_benchmark: RunBenchmark) -> None:
    rows = run_benchmark("interference.py", "--rounds", "1", "--prompt", "300", "--streams", "2", "--tokens", "1000",
                         "--undisturbed-s", "0.2")
    assert number(rows["gap undisturbed, p50 (s)"][0]) > 0
    assert number(rows["longest gap / p50 undisturbed"][0]) >= number(rows["p99 gap while it is computed / p50 undisturbed"][0]) > 0
    assert number(rows["its first token beside the streams (s)"][0]) > 0


def test_sharing_computes_a_prefix_once(run_benchmark: RunBenchmark) -> None:
    rows = run_benchmark("sharing.py", "--rounds", "1", "--concurrency", "3", "--prefix", "200", "--tail", "4", "--tokens", "16")
    without, once, _ = rows["prompt tokens computed for them"]
    assert int(without) == 3 * 204
    # Each computes its own tail.
    assert 204 <= int(once) <= 204 + 2 * 4


def test_hostile_clients_beside_honest_streams(run_benchmark: RunBenchmark) -> None:
    sizes = ["--scale", "0.02", "--streams", "2", "--tokens", "40", "--seconds", "4", "--alone-s", "1", "--undisturbed-s", "2"]
    rows = run_benchmark("hostile.py", *sizes, "--most-ratio", "1e9", "--most-growth-mib", "1e9")
    attacks = ["json_keys", "json_elements", "json_messages", "stop_strings", "many_choices", "tokenize_flood", "pipelined_metrics",
               "get_with_body", "slow_reader", *(["tls_silent"] if shutil.which("openssl") else [])]
    assert list(rows)[1:] == ["nothing", *(f"`{name}`" for name in attacks), "all together"]
    for name, cells in list(rows.items())[1:]:
        assert number(cells[3]) >= number(cells[1]) > 0 and number(cells[4]) > 0 and number(cells[5]) > 0 and cells[8] == "0", name
    assert number(rows["all together"][6]) > 0, "answers come to their end"


def test_overload_answers_or_refuses(run_benchmark: RunBenchmark, program: Program) -> None:
    client = program.path.parents[2] / "bench" / "load_client"
    assert client.exists(), "built with everything else"
    rows = run_benchmark("overload.py", "--client", str(client), "--seconds", "4", "--rounds", "1", "--places", "2", "--queue", "4", "--tokens", "4")
    assert number(rows["goodput under overload (tok/s)"][0]) > 0
    statuses = dict(entry.split(": ") for entry in rows["answers by status"][0].split(", "))
    assert int(statuses["200"]) > 0
    assert int(statuses["429"]) > 0
