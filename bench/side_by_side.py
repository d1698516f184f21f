#!/usr/bin/env python3
"""cLLM beside llama-server on the same model: the same scenarios, in turn, medians and ratios as a Markdown page.

Both servers run with the same threads, context and places; caches are off and every prompt is unique, so that no cached
prefix flatters. In each round every server is started, measured and stopped; the order alternates.

    make bench MODEL=FILE            # or: bench/side_by_side.py --cllm build/cllm --llama-server PATH --model FILE
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from in_turn import in_turn, median_ratio
from servers import CACHES_OFF, cllm_command, cores, detail, llama_server_command, running

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "unified_benchmark.py"


@dataclass
class Load:
    """One run of the benchmark script."""

    name: str
    arguments: list[str]
    # How a scenario's JSON becomes one figure, and whether more is better.
    figure: str = "generated_tokens_per_s"


@dataclass
class Server:
    name: str
    command: list[str]
    server_type: str
    figures: dict[str, list[float]] = field(default_factory=dict)
    failed: int = 0
    idle_shares: list[float] = field(default_factory=list)
    cached_tokens: int = 0


def loads(streams: list[int], tokens: int, requests_per_stream: int) -> list[Load]:
    common = ["--ignore-eos", "--unique-prompts", "--temperature", "0"]
    listed = [
        Load("one at a time, 10 × 50 tokens (tok/s)", ["--test-type", "api-sequential", *common]),
        Load("five at a time, 10 × 50 tokens (tok/s)", ["--test-type", "api-concurrent", *common]),
        Load("five at a time, unstreamed (tok/s)", ["--test-type", "api-concurrent", "--no-stream", *common]),
        Load("512-token prompts, 1 token out (prompt tok/s)", ["--test-type", "prompt", "--requests", "5", *common],
             "total_tokens_per_s"),
    ]
    for n in streams:
        listed.append(Load(f"{n} streams × {tokens} tokens (tok/s)",
                           ["--test-type", "api-concurrent", "--concurrency", str(n), "--requests",
                            str(n * requests_per_stream), "--max-tokens", str(tokens), *common]))
    return listed


def measure(server: Server, url: str, load: Load) -> None:
    with tempfile.NamedTemporaryFile(suffix=".json") as output:
        result = subprocess.run([sys.executable, str(SCRIPT), "--server-type", server.server_type, "--server-url", url,
                                 "--output-file", output.name, *load.arguments], capture_output=True, text=True, check=False)
        report = json.loads(Path(output.name).read_text() or "{}")
    for scenario in report.get("scenarios", []):
        server.failed += scenario["failed"] + len(scenario["warmup_errors"])
        server.figures.setdefault(load.name, []).append(scenario[load.figure])
        print(f"  {server.name:14} {load.name}: {scenario[load.figure]:.1f}", file=sys.stderr)
    if result.returncode != 0:
        print(result.stdout[-1500:], result.stderr[-500:], file=sys.stderr)


def run_round(server: Server, planned: list[Load]) -> None:
    with running(server.name, server.command) as url:
        for load in planned:
            measure(server, url, load)
        if server.server_type == "cllm":
            engine = detail(url)["engine"]
            server.idle_shares.append(engine["idle_with_work_share"])
            server.cached_tokens += int(engine["cached_prompt_tokens"])


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def row(servers: list[Server], load: Load) -> str:
    figures = [server.figures.get(load.name, []) for server in servers]
    if not all(figures):
        return f"| {load.name} |" + " – |" * (2 * len(servers) - 1)
    ratios = [median_ratio(figures[0], other) for other in figures[1:]]
    return f"| {load.name} | " + " | ".join([*map(spread, figures), *ratios]) + " |"


def table(servers: list[Server], planned: list[Load], rounds: int) -> str:
    ours = servers[0]
    columns = ["scenario", *(server.name for server in servers), *["ratio"] * (len(servers) - 1)]
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "--:|" * (len(columns) - 1)]
    lines += [row(servers, load) for load in planned]
    lines += ["", f"Median (least–most) of {rounds} rounds; the ratio is the median of the rounds' ratios. Failed requests: "
              + ", ".join(f"{server.name} {server.failed}" for server in servers)
              + f". Idle-with-work share of {ours.name}: " + ", ".join(f"{share:.1%}" for share in ours.idle_shares)
              + f". Prompt tokens from its caches: {ours.cached_tokens}."]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--llama-server", metavar="PROGRAM", help="measured beside it")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--places", type=int, default=16, help="requests that run at a time (default: %(default)s)")
    parser.add_argument("--context", type=int, default=1024, help="tokens of one request (default: %(default)s)")
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 5, 8, 16], help="default: 1 5 8 16")
    parser.add_argument("--tokens", type=int, default=64, help="of each stream (default: %(default)s)")
    parser.add_argument("--requests-per-stream", type=int, default=2)
    parser.add_argument("--llama-flags", default="--no-kv-unified -b 512", help="further flags of llama-server (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="compute threads of both; 0 = all cores")
    args = parser.parse_args()

    threads = str(args.threads) if args.threads else cores()
    servers = [Server("cLLM", cllm_command(args.cllm, args.model, args.places, args.context, threads, "--no-prefix"), "cllm")]
    if args.llama_server:
        servers.append(Server("llama-server", llama_server_command(args.llama_server, args.model, args.places, args.context, threads,
                                                                   f"{CACHES_OFF} {args.llama_flags}"), "openai"))
    planned = loads(args.streams, args.tokens, args.requests_per_stream)
    for number, server in in_turn(args.rounds, *servers):
        print(f"round {number + 1} of {args.rounds}: {server.name}", file=sys.stderr)
        run_round(server, planned)
    print(table(servers, planned, args.rounds))
    return 1 if any(server.failed for server in servers) else 0


if __name__ == "__main__":
    sys.exit(main())
