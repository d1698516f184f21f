#!/usr/bin/env python3
"""Ten times the load that the server can carry: what is still answered, and how.

The saturated closed loop (as many requests in flight as places and a short queue), whose throughput is the measure; arrivals at
ten times that rate; the closed loop again, since a machine is not always as fast: the mean of both counts. And again: a shared
machine's speed may change by a tenth from one minute to the next.

    make bench-overload MODEL=FILE
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from servers import cllm_command, cores, detail, running

Report = dict[str, Any]


def start(args: argparse.Namespace, url: str, seconds: float, kind: str, amount: float) -> subprocess.Popen[str]:
    command = [args.client, url, str(seconds), kind, str(amount), str(args.tokens), str(args.prompt)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def report(client: subprocess.Popen[str]) -> Report:
    output, _ = client.communicate()
    if client.returncode != 0:
        sys.exit(f"{client.args[0]} failed")
    return json.loads(output)


def overload(args: argparse.Namespace, url: str, rate: float) -> Report:
    """One time of the overload, with what the server says of itself each second."""
    memory = [detail(url)["memory"]["resident_bytes"]]
    client = start(args, url, args.seconds, "rate", rate)
    waiting = []
    while client.poll() is None:
        now = detail(url)
        memory.append(now["memory"]["resident_bytes"])
        waiting.append(now["queue"]["queued"])
        time.sleep(1)
    return {**report(client), "memory": memory, "waiting": waiting[3:int(args.seconds) - 1] or [0]}


def measure(args: argparse.Namespace) -> tuple[float, list[float], list[Report]]:
    """The rate, the throughput of the closed loop before the first time and after each, what each time gave."""
    command = cllm_command(args.cllm, args.model, args.places, 2 * (args.prompt + args.tokens), cores(), "--no-prefix",
                           "--max-queue-size", str(args.queue))
    with running("cLLM", command) as url:
        def closed_loop(seconds: float, in_flight: int) -> float:
            return report(start(args, url, seconds, "closed", in_flight))["tokens_per_s"]

        closed_loop(3, args.places)  # warm
        closed = [closed_loop(args.seconds / 4, 2 * args.places)]
        rate = args.times * closed[0] / args.tokens
        opened = []
        for _ in range(args.rounds):
            opened.append(overload(args, url, rate))
            closed.append(closed_loop(args.seconds / 4, 2 * args.places))
    return rate, closed, opened


def print_table(args: argparse.Namespace, rate: float, closed: list[float], opened: list[Report]) -> None:
    ratios = [each["tokens_per_s"] / statistics.mean(closed[i:i + 2]) for i, each in enumerate(opened)]
    statuses = sum((Counter(each["statuses"]) for each in opened), Counter())
    accepted = statuses["200"] + statuses["408"]
    memory = [resident / 2**20 for each in opened for resident in each["memory"]]
    rounds = f", {args.rounds} times" if args.rounds > 1 else ""
    print(f"| {args.times:g} × the sustainable rate ({rate:.0f} requests/s of {args.prompt} + {args.tokens} tokens) for {args.seconds:g} s{rounds} | |", "|---|--:|", sep="\n")
    print(f"| saturated closed loop before and after (tok/s) | {listed(closed, '.1f')} |")
    print(f"| goodput under overload (tok/s) | {listed([each['tokens_per_s'] for each in opened], '.1f')} |")
    print(f"| ratio to the mean of the closed loops beside it, median | {listed(ratios, '.2f')}, {statistics.median(ratios):.2f} |")
    print(f"| accepted, of which timed out | {accepted}, {statuses['408']} ({statuses['408'] / max(1, accepted):.2%}) |")
    print(f"| answers by status | {', '.join(f'{status}: {count}' for status, count in sorted(statuses.items()))} |")
    print(f"| requests that waited, least | {min(min(each['waiting']) for each in opened)} |")
    for name in ("p50", "p99"):
        print(f"| `/health` {name} (ms) | {listed([each[f'health_{name}_ms'] for each in opened], '.1f')} |")
    print(f"| `/health` failures | {sum(each['health_failures'] for each in opened)} |")
    print(f"| resident memory, first to last second (MiB) | {memory[0]:.0f} to {memory[-1]:.0f}, at most {max(memory):.0f} |")


def listed(figures: list[float], form: str) -> str:
    return ", ".join(format(figure, form) for figure in figures)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--client", required=True, metavar="PROGRAM", help="bench/load_client")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--places", type=int, default=8)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64, help="of an answer, on average: half to one and a half times as many (default: %(default)s)")
    parser.add_argument("--prompt", type=int, default=64, help="of a prompt, likewise (default: %(default)s)")
    parser.add_argument("--times", type=float, default=10)
    args = parser.parse_args()
    rate, closed, opened = measure(args)
    print_table(args, rate, closed, opened)
    unexpected = {status for each in opened for status in each["statuses"]} - {"200", "408", "429"}
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
