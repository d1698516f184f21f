#!/usr/bin/env python3
"""The engine alone beside llama.cpp's own benchmarks: `cllm bench engine` and llama-batched-bench, in turn.

Each number of streams is measured with both, one right after the other, so that a machine whose speed drifts favours neither.

    bench/engine_side_by_side.py --cllm build/cllm --llama-tools FOLDER --model FILE
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--llama-tools", required=True, metavar="FOLDER")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 4, 8, 16, 32])
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    ours: dict[int, list[Rates]] = {streams: [] for streams in args.streams}
    theirs: dict[int, list[Rates]] = {streams: [] for streams in args.streams}
    for streams in args.streams:
        for number, (measure, results) in in_turn(args.rounds, (cllm_rates, ours), (llama_rates, theirs)):
            rates = measure(args, streams)
            results[streams].append(rates)
            print(f"{streams} streams, round {number + 1}: {measure.__name__} {rates[0]:.1f} {rates[1]:.1f}", file=sys.stderr)
    print("| streams | prompt tok/s: cllm | llama.cpp | ratio | generate tok/s: cllm | llama.cpp | ratio |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for streams in args.streams:
        cells = []
        for which in (0, 1):
            mine = [rates[which] for rates in ours[streams]]
            other = [rates[which] for rates in theirs[streams]]
            cells += [f"{statistics.median(mine):.1f}", f"{statistics.median(other):.1f}", median_ratio(mine, other)]
        print(f"| {streams} | " + " | ".join(cells) + " |")
    print(f"\nMedian of {args.rounds} rounds; a ratio is the median of the rounds' ratios.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
