#!/usr/bin/env python3
"""What clients get when N of them stream at once, beside llama-server and beside llama.cpp's engine alone, in turn.

N requests start together, each with a prompt that no other has, and are read to the end; the figure is the tokens that they
generated over the time from the first request to the last token, prompts included. llama-batched-bench computes the same
prompts and tokens without a server; the better of one KV stream a sequence and a unified cache counts (`-kvu`).

    make bench-throughput MODEL=FILE
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from in_turn import in_turn, median_ratio
from servers import CACHES_OFF, Command, batched_bench, cllm_command, cores, detail, llama_server_command, running, tokens_of
from stream import TIMEOUT_S, parts

Figures = dict[int, list[float]]  # tokens a second of each round, by streams


def read_stream(url: str, body: dict[str, object], start: threading.Barrier) -> tuple[float, float]:
    """When the request was sent and when its answer was complete. Parses nothing before."""
    arrivals = list(parts(url, body, start.wait))
    answer = b"".join(part for _, part in arrivals)
    if f'"completion_tokens":{body["max_tokens"]}' not in answer.decode(errors="replace").replace(" ", ""):
        sys.exit(f"a stream is not complete: {answer[-500:]!r}")
    return arrivals[0][0], arrivals[-1][0]


def burst(url: str, streams: int, args: argparse.Namespace, salt: int) -> float:
    """Generated tokens a second of `streams` requests that start together."""
    start = threading.Barrier(streams)
    bodies = [{"prompt": tokens_of(args.prompt, salt + i), "max_tokens": args.generate,
               "stream_options": {"include_usage": True}} for i in range(streams)]
    with ThreadPoolExecutor(streams) as pool:
        times = list(pool.map(lambda body: read_stream(url, body, start), bodies))
    return streams * args.generate / (max(end for _, end in times) - min(sent for sent, _ in times))


class Server:
    def __init__(self, name: str, command: Command) -> None:
        self.name, self.command = name, command
        self.figures: Figures = {}
        self.idle: dict[int, list[float]] = {}  # shares of idle time with work, by streams; cLLM alone counts it
        self.cached_tokens = 0

    def measure(self, args: argparse.Namespace, salt: int) -> None:
        with running(self.name, self.command) as url:
            burst(url, 1, args, salt + 999)
            for streams in args.streams:
                before = self.counters(url)
                rate = burst(url, streams, args, salt)
                salt += streams
                self.figures.setdefault(streams, []).append(rate)
                print(f"  {self.name}: {streams} streams {rate:.1f}", file=sys.stderr)
                if before:
                    idle, computing, self.cached_tokens = (a - b for a, b in zip(self.counters(url), before))
                    self.idle.setdefault(streams, []).append(idle / (idle + computing))

    def counters(self, url: str) -> tuple[float, ...]:
        if self.name != "cLLM":
            return ()
        engine = detail(url)["engine"]
        return engine["idle_with_work_s"], engine["computing_s"], engine["cached_prompt_tokens"]


class BatchedBench:
    def __init__(self, name: str, tools: str, *flags: str) -> None:
        self.name, self.tools, self.flags = name, tools, flags
        self.figures: Figures = {}

    def measure(self, args: argparse.Namespace, _salt: int) -> None:
        for row in batched_bench(self.tools, args.model, args.streams, args.prompt, args.generate, cores(), *self.flags):
            streams, seconds = int(row[2]), row[8]
            self.figures.setdefault(streams, []).append(streams * args.generate / seconds)
            print(f"  {self.name}: {streams} streams {self.figures[streams][-1]:.1f}", file=sys.stderr)


def table(ours: Server, peer: Server | None, engines: list[BatchedBench], args: argparse.Namespace) -> str:
    columns = ["streams", "cLLM", "idle with work"] + (["llama-server", "ratio", "engine alone", "ratio"] if peer else [])
    lines = ["| " + " | ".join(columns) + " |", "|" + "--:|" * len(columns)]
    for streams in args.streams:
        mine = ours.figures[streams]
        cells = [str(streams), f"{statistics.median(mine):.1f}", f"{statistics.median(ours.idle[streams]):.1%}"]
        if peer:
            best = max((engine.figures[streams] for engine in engines), key=statistics.median)
            for others in (peer.figures[streams], best):
                cells += [f"{statistics.median(others):.1f}", median_ratio(mine, others)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"Generated tokens a second; medians of {args.rounds} rounds, a ratio is the median of the rounds' ratios. "
                      f"{args.prompt} prompt and {args.generate} generated tokens a stream. Prompt tokens from caches: {ours.cached_tokens:.0f}."])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--llama-tools", metavar="FOLDER", help="llama-server and llama-batched-bench, measured beside it")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 5, 8, 16, 32])
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--generate", type=int, default=128)
    args = parser.parse_args()
    places, context = max(args.streams), args.prompt + args.generate + 16
    ours = Server("cLLM", cllm_command(args.cllm, args.model, places, context, cores(), "--no-prefix"))
    peer, engines = None, []
    if args.llama_tools:
        program = str(Path(args.llama_tools) / "llama-server")
        peer = Server("llama-server", llama_server_command(program, args.model, places, context, cores(),
                                                           f"{CACHES_OFF} --no-kv-unified -b 512"))
        engines = [BatchedBench("engine", args.llama_tools, "--no-kv-unified"),
                   BatchedBench("engine, unified cache", args.llama_tools, "-kvu")]
    for number, measured in in_turn(args.rounds, *[ours, *engines[:1], *([peer] if peer else []), *engines[1:]]):
        print(f"round {number + 1} of {args.rounds}: {measured.name}", file=sys.stderr)
        measured.measure(args, 100 + 10_000 * number)
    print(table(ours, peer, engines, args))
    return 0


if __name__ == "__main__":
    sys.exit(main())
