#!/usr/bin/env python3
"""A long prompt arrives while streams run: what it does to them, and they to it. cLLM beside llama-server, in turn.

In each round and server: the long prompt's time to first token alone; then the long prompt beside running streams: the streams'
gaps until its first token, and its time. The undisturbed gap is the mean of two medians, before it came and after its first
token: the streams' own contexts grow meanwhile, which slows them down, too.

    bench/interference.py --cllm build/cllm --llama-server PATH --model FILE
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field

from in_turn import in_turn
from servers import CACHES_OFF, Command, cllm_command, cores, llama_server_command, running, tokens_of
from stream import TIMEOUT_S, token_times


@dataclass
class Server:
    name: str
    command: Command
    rounds: list[dict[str, float]] = field(default_factory=list)


class Stream(threading.Thread):
    """One streamed completion; `times` are when it was sent, and the arrivals of its tokens."""

    def __init__(self, url: str, prompt: list[int], tokens: int) -> None:
        super().__init__(daemon=True)
        self.url, self.times, self.error = url, [], ""
        self.body = {"prompt": prompt, "max_tokens": tokens}
        self.running = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            for now in token_times(self.url, self.body):
                self.times.append(now)
                if len(self.times) > 3:
                    self.running.set()
        except (OSError, SystemExit) as error:
            self.error = str(error)
        self.running.set()

    def first_token_s(self) -> float:
        self.join()
        if self.error or len(self.times) < 2:
            sys.exit(self.error or "a stream had no token")
        return self.times[1] - self.times[0]


def gaps(streams: list[Stream], since: float, until: float) -> list[float]:
    return [b - a for stream in streams for a, b in zip(stream.times[1:], stream.times[2:]) if b > since and a < until]


def quantile(values: list[float], at: float) -> float:
    return sorted(values)[min(len(values) - 1, int(at * len(values)))]


def measure(url: str, args: argparse.Namespace, salt: int) -> dict[str, float]:
    alone = Stream(url, tokens_of(args.prompt, salt), 1).first_token_s()
    streams = [Stream(url, tokens_of(16, salt + 1 + i), args.tokens) for i in range(args.streams)]
    for stream in streams:
        stream.running.wait()
    start = time.monotonic()
    time.sleep(args.undisturbed_s)  # the time over which the streams are watched by themselves
    arrival = time.monotonic()
    long_one = Stream(url, tokens_of(args.prompt, salt + 9), 1)
    beside = long_one.first_token_s()
    first_token = long_one.times[1]
    time.sleep(args.undisturbed_s)
    if any(not stream.is_alive() for stream in streams):
        sys.exit("a stream ended too early: use more --tokens")
    quiet = [gaps(streams, start, arrival), gaps(streams, first_token, time.monotonic())]
    disturbed = gaps(streams, arrival, first_token)
    p50 = statistics.mean(statistics.median(part) for part in quiet)
    # Decode work done meanwhile: as many steps as the streams made, at their undisturbed time.
    decode_s = p50 * len(disturbed) / args.streams
    return {"alone_s": alone, "beside_s": beside, "p50_s": p50, "p99_ratio": quantile(disturbed, 0.99) / p50,
            "longest_ratio": max(disturbed) / p50, "first_token_ratio": (beside - decode_s) / alone, "gaps": len(disturbed)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--llama-server", metavar="PROGRAM", help="measured beside it")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt", type=int, default=4000, help="tokens of the long prompt (default: %(default)s)")
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=4000, help="of each stream; they must outlast the prompt (default: %(default)s)")
    parser.add_argument("--undisturbed-s", type=float, default=5)
    parser.add_argument("--cllm-flags", default="")
    parser.add_argument("--llama-flags", default=f"--no-kv-unified {CACHES_OFF}")
    args = parser.parse_args()
    context = max(args.prompt + 64, args.tokens + 64)
    places = args.streams + 1
    ours = Server("cLLM", cllm_command(args.cllm, args.model, places, context, cores(), "--no-prefix", "--request-timeout",
                                       str(TIMEOUT_S), *shlex.split(args.cllm_flags)))
    servers = [ours]
    if args.llama_server:
        servers.append(Server("llama-server", llama_server_command(args.llama_server, args.model, places, context, cores(),
                                                                   args.llama_flags)))
    for number, server in in_turn(args.rounds, *servers):
        with running(server.name, server.command) as url:
            server.rounds.append(measure(url, args, 20 * number))
        print(f"round {number + 1}: {server.name}: {server.rounds[-1]}", file=sys.stderr)

    def row(label: str, key: str, form: str = "{:.2f}") -> str:
        values = [statistics.median(entry[key] for entry in server.rounds) for server in servers]
        ratio = f" {values[0] / values[1]:.2f} |" if len(values) == 2 else ""
        return f"| {label} | " + " | ".join(form.format(value) for value in values) + " |" + ratio
    print(f"| {args.prompt}-token prompt beside {args.streams} streams | " + " | ".join(s.name for s in servers) + " |"
          + (" ratio |" if len(servers) == 2 else ""))
    print("|---|" + "--:|" * (1 if len(servers) == 1 else 3))
    print(row("gap undisturbed, p50 (s)", "p50_s", "{:.4f}"))
    print(row("p99 gap while it is computed / p50 undisturbed", "p99_ratio"))
    print(row("longest gap / p50 undisturbed", "longest_ratio"))
    print(row("its first token alone (s)", "alone_s"))
    print(row("its first token beside the streams (s)", "beside_s"))
    print(row("(beside − decode work) / alone", "first_token_ratio"))
    print(f"\nMedians of {args.rounds} rounds in turn; less is better everywhere.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
