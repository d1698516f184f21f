#!/usr/bin/env python3
"""How the compute threads follow a load that comes and goes: tokens a second before, during and after it, as a Markdown table.

    bench/threads.py --cllm build/cllm --model FILE

The load is like a compile: so many processes at a time that compute for a second or two, each followed by another.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import threading
import time

import requests
from servers import Command, cores, running, tokens_of
from stream import TIMEOUT_S, Stream

BUSY = "import sys, time\nend = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass"
PROMPT_TOKENS = 32


class Load:
    """While it is on, `count` processes at a time compute; each lives for a second or two."""

    def __init__(self, count: int) -> None:
        self.on = threading.Event()
        self.ended = threading.Event()
        self.workers = [threading.Thread(target=self._keep_busy, args=(seed,)) for seed in range(count)]
        for worker in self.workers:
            worker.start()

    def _keep_busy(self, seed: int) -> None:
        draw = random.Random(seed)
        while not self.ended.is_set():
            if not self.on.wait(timeout=0.2):
                continue
            with subprocess.Popen([sys.executable, "-c", BUSY, str(draw.uniform(0.5, 2))]) as process:
                while process.poll() is None and self.on.is_set() and not self.ended.is_set():
                    time.sleep(0.05)
                process.kill()

    def end(self) -> None:
        self.ended.set()
        for worker in self.workers:
            worker.join()


class Clients:
    """So many streams without a pause; `times` are the arrivals of all tokens."""

    def __init__(self, url: str, streams: int, tokens: int) -> None:
        self.times: list[float] = []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._read, args=(url, seed, tokens)) for seed in range(streams)]
        for thread in self.threads:
            thread.start()

    def _read(self, url: str, seed: int, tokens: int) -> None:
        while not self.ended.is_set():
            stream = Stream(url, tokens_of(PROMPT_TOKENS, seed), tokens)
            while not self.ended.is_set() and stream.read():
                pass
            stream.connection.close()
            self.times.extend(stream.times[1:])

    def end(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()


def engine_threads(url: str) -> int:
    lines = requests.get(url + "/metrics", timeout=TIMEOUT_S).text.splitlines()
    return int(float(next(line for line in lines if line.startswith("cllm_engine_threads ")).split()[1]))


def command(args: argparse.Namespace) -> Command:
    return [args.cllm, "serve", args.model, "--host", "127.0.0.1", "-np", str(args.streams), "-c", str(PROMPT_TOKENS + args.tokens),
            "--request-timeout", str(TIMEOUT_S), *(["-t", args.threads] if args.threads else [])]


def measure(args: argparse.Namespace) -> list[tuple[str, float, int]]:
    """Phase, tokens a second and threads at the end of each interval."""
    phases = ["before"] * args.intervals[0] + ["during"] * args.intervals[1] + ["after"] * args.intervals[2]
    load = Load(args.busy)
    try:
        with running("cLLM", command(args)) as url:
            clients = Clients(url, args.streams, args.tokens)
            try:
                start = time.monotonic()
                counts = []
                for number, phase in enumerate(phases):
                    load.on.set() if phase == "during" else load.on.clear()
                    time.sleep(max(0.0, start + (number + 1) * args.seconds - time.monotonic()))
                    counts.append(engine_threads(url))
            finally:
                clients.end()
    finally:
        load.end()
    rates = [sum(start + i * args.seconds <= t < start + (i + 1) * args.seconds for t in clients.times) / args.seconds
             for i in range(len(phases))]
    return list(zip(phases, rates, counts, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cllm", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--streams", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=200, help="of an answer")
    parser.add_argument("--busy", type=int, default=int(cores()), help="processes that compute beside the server")
    parser.add_argument("--seconds", type=float, default=10, help="of an interval")
    parser.add_argument("--intervals", type=int, nargs=3, default=[3, 6, 7], help="before, during and after the load")
    parser.add_argument("--threads", default="", help="a fixed number, for comparison")
    args = parser.parse_args()
    print("| seconds | load | tokens/s | threads |\n|---|---|---|---|")
    for number, (phase, rate, threads) in enumerate(measure(args)):
        print(f"| {number * args.seconds:g} – {(number + 1) * args.seconds:g} | {phase} | {rate:.1f} | {threads} |")


if __name__ == "__main__":
    main()
