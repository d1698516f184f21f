#!/usr/bin/env python3
"""A long prompt arrives while streams run: what it does to them, and they to it. cLLM beside llama-server, in turn.

In each round and server: the long prompt's time to first token alone; then the long prompt beside running streams: the streams'
gaps until its first token, and its time. The undisturbed gap is the mean of two medians, before it came and after its first
token: the streams' own contexts grow meanwhile, which slows them down, too.

    bench/interference.py --cllm build/cllm --llama-server PATH --model FILE
"""

from __future__ import annotations

import argparse
import selectors
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from in_turn import in_turn
from servers import CACHES_OFF, Command, cllm_command, cores, llama_server_command, running, tokens_of
from stream import TIMEOUT_S, Stream


@dataclass
class Server:
    name: str
    command: Command
    rounds: list[dict[str, float]] = field(default_factory=list)


class Client:
    """Streams that one thread reads: a client of many threads would take the servers' processors from them at each token."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()

    def stream(self, url: str, prompt: list[int], tokens: int, **fields: object) -> Stream:
        stream = Stream(url, prompt, tokens, **fields)
        self.selector.register(stream.connection, selectors.EVENT_READ, stream)
        return stream

    def read_until(self, is_done: Callable[[], bool], seconds: float = TIMEOUT_S) -> None:
        """Reads all streams until `is_done`, or for so long."""
        end = time.monotonic() + seconds
        while not is_done() and (left := end - time.monotonic()) > 0:
            for key, _ in self.selector.select(left):
                stream = key.data
                if not stream.read():
                    self.selector.unregister(stream.connection)
                    stream.connection.close()


def gaps(streams: list[Stream], since: float, until: float) -> list[float]:
    return [b - a for stream in streams for a, b in zip(stream.times[1:], stream.times[2:]) if b > since and a < until]


def quantile(values: list[float], at: float) -> float:
    return sorted(values)[min(len(values) - 1, int(at * len(values)))]


def measure(url: str, args: argparse.Namespace, salt: int) -> dict[str, float]:
    client = Client()
    score = {"echo": True, "logprobs": args.score} if args.score is not None else {}
    long_one = client.stream(url, tokens_of(args.prompt, salt), 1, **score)
    client.read_until(lambda: long_one.ended)
    alone = long_one.times[-1] - long_one.times[0]
    streams = [client.stream(url, tokens_of(16, salt + 1 + i), args.tokens) for i in range(args.streams)]
    client.read_until(lambda: all(len(stream.times) > 4 for stream in streams))
    prompt = tokens_of(args.prompt, salt + 9)
    start = time.monotonic()
    client.read_until(lambda: False, args.undisturbed_s)
    arrival = time.monotonic()
    long_one = client.stream(url, prompt, 1, **score)
    client.read_until(lambda: long_one.ended)
    beside, first_token = long_one.times[-1] - long_one.times[0], long_one.times[-1]
    client.read_until(lambda: False, args.undisturbed_s)
    if any(stream.ended for stream in streams):
        sys.exit("a stream ended too early: use more --tokens")
    for stream in streams:
        stream.connection.close()
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
    parser.add_argument("--score", type=int, metavar="N", help="the long prompt is scored, with N alternatives a token (llama-server can't)")
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
