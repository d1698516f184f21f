#!/usr/bin/env python3
"""The engine alone beside llama.cpp's own benchmarks: `cllm bench engine` and llama-batched-bench, in turn.

Each number of streams is measured with both, one right after the other, so that a machine whose speed drifts favours neither.

    make bench-engine MODEL=FILE     # or: bench/engine_side_by_side.py --cllm build/cllm --llama-tools FOLDER --model FILE
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator

from in_turn import in_turn, median_ratio
from servers import batched_bench

Rates = tuple[float, float]  # prompt and generated tokens a second


def cllm_rates(args: argparse.Namespace, streams: int) -> Rates:
    command = [args.cllm, "bench", "engine", args.model, "--json", "--repetitions", "1", "--streams",
               str(streams), "--prompt-tokens", str(args.prompt), "--generate-tokens", str(args.generate),
               "-t", str(args.threads)]
    row = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return row["prompt_tokens_per_second"], row["generated_tokens_per_second"]


def llama_rates(args: argparse.Namespace, streams: int) -> Rates:
    [row] = batched_bench(args.llama_tools, args.model, [streams], args.prompt, args.generate, str(args.threads), "--no-kv-unified")
    return row[5], row[7]


# Computes until its parent, named in its argument, is gone.
BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes beside that compute without pause."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY, str(os.getpid())]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def speed_cells(mine: list[float], other: list[float]) -> list[str]:
    cells = [f"{statistics.median(mine):.1f}"]
    return [*cells, f"{statistics.median(other):.1f}", median_ratio(mine, other)] if other else [*cells, "–", "–"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--llama-tools", metavar="FOLDER", help="measured beside it")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 4, 8, 16, 32])
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="other processes beside, which compute without pause")
    args = parser.parse_args()
    ours: dict[int, list[Rates]] = {streams: [] for streams in args.streams}
    theirs: dict[int, list[Rates]] = {streams: [] for streams in args.streams}
    programs = [(cllm_rates, ours), (llama_rates, theirs)] if args.llama_tools else [(cllm_rates, ours)]
    with busy(args.busy):
        for streams in args.streams:
            for number, (measure, results) in in_turn(args.rounds, *programs):
                rates = measure(args, streams)
                results[streams].append(rates)
                print(f"{streams} streams, round {number + 1}: {measure.__name__} {rates[0]:.1f} {rates[1]:.1f}", file=sys.stderr)
    print("| streams | prompt tok/s: cllm | llama.cpp | ratio | generate tok/s: cllm | llama.cpp | ratio |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for streams in args.streams:
        cells = []
        for which in (0, 1):
            cells += speed_cells([rates[which] for rates in ours[streams]], [rates[which] for rates in theirs[streams]])
        print(f"| {streams} | " + " | ".join(cells) + " |")
    beside = f" Busy processes beside: {args.busy}." if args.busy else ""
    print(f"\nMedian of {args.rounds} rounds; a ratio is the median of the rounds' ratios.{beside}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
