#!/usr/bin/env python3
"""The engine alone beside llama.cpp's own benchmarks: `cllm bench engine` and llama-batched-bench, in turn.

    bench/engine_side_by_side.py --cllm build/cllm --llama-tools FOLDER --model FILE
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

Rates = dict[int, tuple[float, float]]  # streams → prompt and generated tokens a second


def cllm_rates(args: argparse.Namespace) -> Rates:
    command = [args.cllm, "bench", "engine", args.model, "--json", "--repetitions", "1", "--streams",
               ",".join(map(str, args.streams)), "--prompt-tokens", str(args.prompt), "--generate-tokens", str(args.generate),
               "-t", str(args.threads)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["streams"]: (row["prompt_tokens_per_second"], row["generated_tokens_per_second"]) for row in rows}


def llama_rates(args: argparse.Namespace) -> Rates:
    command = [str(Path(args.llama_tools) / "llama-batched-bench"), "-m", args.model, "-c",
               str(max(args.streams) * (args.prompt + args.generate + 256)), "-npp", str(args.prompt), "-ntg", str(args.generate),
               "-npl", ",".join(map(str, args.streams)), "-t", str(args.threads), "-tb", str(args.threads), "-b", "512",
               "--no-kv-unified"]
    rates: Rates = {}
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(cells) == 10 and cells[0].isdigit():
            rates[int(cells[2])] = (float(cells[5]), float(cells[7]))
    return rates


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--llama-tools", required=True, metavar="FOLDER")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 4, 8, 16, 32])
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    ours: list[Rates] = []
    theirs: list[Rates] = []
    for number in range(args.rounds):
        for measure, results in ([(cllm_rates, ours), (llama_rates, theirs)] if number % 2 == 0 else
                                 [(llama_rates, theirs), (cllm_rates, ours)]):
            results.append(measure(args))
        print(f"round {number + 1} of {args.rounds}: {ours[-1]} {theirs[-1]}", file=sys.stderr)
    print("| streams | prompt tok/s: cllm | llama.cpp | ratio | generate tok/s: cllm | llama.cpp | ratio |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for streams in args.streams:
        cells = []
        for which in (0, 1):
            mine = [run[streams][which] for run in ours]
            other = [run[streams][which] for run in theirs]
            ratio = statistics.median(a / b for a, b in zip(mine, other))
            cells += [f"{statistics.median(mine):.1f}", f"{statistics.median(other):.1f}", f"{ratio:.2f}"]
        print(f"| {streams} | " + " | ".join(cells) + " |")
    print(f"\nMedian of {args.rounds} rounds; a ratio is the median of the rounds' ratios.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
