#!/usr/bin/env python3
"""Ten times the load that the server can carry: what is still answered, and how.

The saturated closed loop (as many requests in flight as places and a short queue), whose throughput is the measure; arrivals at
ten times that rate; the closed loop again, since a machine is not always as fast: the mean of both counts.

    make bench-overload MODEL=FILE
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--client", required=True, metavar="PROGRAM", help="bench/load_client")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--places", type=int, default=8)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64, help="of an answer, on average: half to one and a half times as many (default: %(default)s)")
    parser.add_argument("--prompt", type=int, default=64, help="of a prompt, likewise (default: %(default)s)")
    parser.add_argument("--times", type=float, default=10)
    args = parser.parse_args()
    command = cllm_command(args.cllm, args.model, args.places, 2 * (args.prompt + args.tokens), cores(), "--no-prefix",
                           "--max-queue-size", str(args.queue))
    with running("cLLM", command) as url:
        report(start(args, url, 3, "closed", args.places))  # warm
        closed = [report(start(args, url, args.seconds / 4, "closed", 2 * args.places))["tokens_per_s"]]
        rate = args.times * closed[0] / args.tokens
        memory = [detail(url)["memory"]["resident_bytes"]]
        client = start(args, url, args.seconds, "rate", rate)
        waiting = []
        while client.poll() is None:
            now = detail(url)
            memory.append(now["memory"]["resident_bytes"])
            waiting.append(now["queue"]["queued"])
            time.sleep(1)
        opened = report(client)
        closed.append(report(start(args, url, args.seconds / 4, "closed", 2 * args.places))["tokens_per_s"])
    statuses = opened["statuses"]
    accepted = sum(count for status, count in statuses.items() if status in ("200", "408"))
    steady = waiting[3:int(args.seconds) - 1] or [0]
    print(f"| {args.times:g} × the sustainable rate ({rate:.0f} requests/s of {args.prompt} + {args.tokens} tokens) for {args.seconds:g} s | |", "|---|--:|", sep="\n")
    print(f"| saturated closed loop before and after (tok/s) | {closed[0]:.1f}, {closed[1]:.1f} |")
    print(f"| goodput under overload (tok/s) | {opened['tokens_per_s']:.1f} |")
    print(f"| ratio | {opened['tokens_per_s'] / statistics.mean(closed):.2f} |")
    print(f"| accepted, of which timed out | {accepted}, {statuses.get('408', 0)} ({statuses.get('408', 0) / max(1, accepted):.2%}) |")
    print(f"| answers by status | {', '.join(f'{status}: {count}' for status, count in sorted(statuses.items()))} |")
    print(f"| requests that waited, least | {min(steady)} |")
    print(f"| `/health` p50, p99 (ms), failures | {opened['health_p50_ms']:.1f}, {opened['health_p99_ms']:.1f}, {opened['health_failures']} |")
    print(f"| resident memory, first to last second (MiB) | {memory[0] / 2**20:.0f} to {memory[-1] / 2**20:.0f}, at most {max(memory) / 2**20:.0f} |")
    unexpected = set(statuses) - {"200", "408", "429"}
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
