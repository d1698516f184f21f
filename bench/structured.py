#!/usr/bin/env python3
"""What a constraint costs: streams that have to keep a JSON schema beside free ones, the time of masks, and hostile schemas.

All streams of a kind start together, with prompts that no other has, and generate the same number of tokens: the schema asks for more
than they may. llama-server gets the same schema, which its own grammar then enforces. Last, free streams run while clients send
schemas and grammars that are deep, huge or exponential.

    make bench-structured MODEL=FILE
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from in_turn import in_turn, median_ratio
from servers import CACHES_OFF, cllm_command, cores, llama_server_command, running, tokens_of
from stream import TIMEOUT_S, Stream, parts

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 30},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "email": {"type": ["string", "null"], "maxLength": 40},
        "role": {"enum": ["admin", "editor", "viewer"]},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 4},
        "address": {"type": "object", "properties": {"street": {"type": "string", "maxLength": 30}, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
                    "required": ["street", "zip"], "additionalProperties": False},
    },
    "required": ["name", "age", "email", "role", "tags", "address"],
    "additionalProperties": False,
}
SCHEMA = {"type": "array", "items": PERSON, "minItems": 500}

REFUSED_PAUSE_S = 0.1  # a client that asks without one takes the cores that it shares with the server
HOSTILE = [
    {"regex": "(((a{1,60}){1,60}){1,60}){1,60}"},
    {"json_schema": {"type": "string", "maxLength": 10**9}},
    {"json_schema": {"type": "array", "items": PERSON, "minItems": 10**6}},
    {"json_schema": {"type": "object", "properties": {f"p{i}": {"enum": [f"v{i}-{j}" for j in range(40)]} for i in range(200)}}},
    {"json_schema": {"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {c: {"$ref": "#/$defs/n"} for c in "abcdefgh"}}}}},
    {"grammar": 'root ::= a a a a a a a a\na ::= b b b b b b b b\nb ::= c c c c c c c c\nc ::= "x" | "xx" | "xxx" | ""'},
    {"grammar": 'root ::= root root | "a" root | ""'},
    {"regex": "(.*a.*b.*c.*d.*e.*f.*g.*h.*){3}"},
]


def burst(url: str, streams: int, args: argparse.Namespace, salt: int, fields: dict[str, object]) -> float:
    """Generated tokens a second of `streams` requests that start together."""
    start = threading.Barrier(streams)

    def read(i: int) -> tuple[float, float, int]:
        body = {"prompt": tokens_of(args.prompt, salt + i), "max_tokens": args.generate, "stream_options": {"include_usage": True}, **fields}
        arrivals = list(parts(url, body, start.wait))
        answer = b"".join(part for _, part in arrivals).decode(errors="replace")
        counted = re.search(r'"completion_tokens":\s*(\d+)', answer)
        if not counted:
            sys.exit(f"a stream is not complete: {answer[-500:]!r}")
        return arrivals[0][0], arrivals[-1][0], int(counted[1])

    with ThreadPoolExecutor(streams) as pool:
        ends = list(pool.map(read, range(streams)))
    return sum(tokens for _, _, tokens in ends) / (max(end for _, end, _ in ends) - min(sent for sent, _, _ in ends))


class Server:
    def __init__(self, name: str, command: list[str], constraint: dict[str, object]) -> None:
        self.name, self.command, self.constraint = name, command, constraint
        self.free: list[float] = []
        self.constrained: list[float] = []
        self.masks = ""

    def measure(self, args: argparse.Namespace, salt: int) -> None:
        with running(self.name, self.command) as url:
            burst(url, 1, args, salt + 5000, self.constraint)  # compiles it
            for rates, fields in ((self.free, {}), (self.constrained, self.constraint)):
                salt += 100
                rates.append(burst(url, args.streams, args, salt, fields))
            print(f"  {self.name}: free {self.free[-1]:.1f}, constrained {self.constrained[-1]:.1f} tokens/s", file=sys.stderr)
            if self.name == "cLLM":
                self.masks = masks(url)


def masks(url: str) -> str:
    """Bounds that half and 99 % of the masks kept, from the buckets of the metrics page."""
    page = requests.get(url + "/metrics", timeout=30).text
    buckets = [(float(bound), int(float(count))) for bound, count in
               re.findall(r'^cllm_grammar_mask_seconds_bucket\{le="([^"]+)"\} (\S+)$', page, re.M)]
    total = buckets[-1][1]
    within = [next(bound for bound, count in buckets if count >= share * total) for share in (0.5, 0.99, 1)]
    mean = float(re.search(r"^cllm_grammar_mask_seconds_sum (\S+)$", page, re.M)[1]) / total
    return f"{total} masks: mean {mean * 1e6:.0f} us, half within {within[0] * 1e6:.0f}, 99 % within {within[1] * 1e6:.0f}, all within {within[2] * 1e6:.0f} us"


def gaps(url: str, args: argparse.Namespace, salt: int) -> list[float]:
    streams = [Stream(url, tokens_of(args.prompt, salt + i), args.generate) for i in range(4)]

    def read(stream: Stream) -> list[float]:
        while stream.read():
            pass
        times = stream.times[1:]
        return [b - a for a, b in zip(times, times[1:])]

    with ThreadPoolExecutor(len(streams)) as pool:
        return [gap for list_ in pool.map(read, streams) for gap in list_]


def beside_hostile(args: argparse.Namespace, command: list[str]) -> str:
    lines = ["| beside 4 free streams | p50 gap (ms) | p99 gap (ms) | longest (ms) | /health p99 (ms) |", "|---|--:|--:|--:|--:|"]
    with running("cLLM", command) as url:
        gaps(url, args, 1)
        for name in ("nobody", "clients that constrain nothing", "hostile clients"):
            stop = threading.Event()
            health: list[float] = []

            def ask(fields: dict) -> None:
                while not stop.is_set():
                    answer = requests.post(url + "/generate", json={"prompt": f"{time.monotonic_ns()}", "max_tokens": 64, **fields}, timeout=TIMEOUT_S)
                    if answer.status_code != 200:
                        stop.wait(REFUSED_PAUSE_S)

            def ask_health() -> None:
                while not stop.wait(0.05):
                    start = time.monotonic()
                    requests.get(url + "/health", timeout=TIMEOUT_S)
                    health.append(time.monotonic() - start)

            threads = [threading.Thread(target=ask_health)]
            if name != "nobody":
                threads += [threading.Thread(target=ask, args=(fields if name == "hostile clients" else {},)) for fields in HOSTILE]
            for thread in threads:
                thread.start()
            measured = sorted(gap for number in range(args.rounds) for gap in gaps(url, args, 1000 + 100 * number))
            stop.set()
            for thread in threads:
                thread.join()
            at = lambda values, share: sorted(values)[min(int(share * len(values)), len(values) - 1)] * 1000  # noqa: E731
            lines.append(f"| {name} | {at(measured, 0.5):.1f} | {at(measured, 0.99):.1f} | {measured[-1] * 1000:.1f} | {at(health, 0.99):.1f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--llama-server", metavar="PROGRAM")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--generate", type=int, default=128)
    args = parser.parse_args()
    context = args.prompt + args.generate + 96
    command = cllm_command(args.cllm, args.model, args.streams, context, cores(), "--no-prefix")
    servers = [Server("cLLM", command, {"json_schema": SCHEMA})]
    if args.llama_server:
        peer = llama_server_command(args.llama_server, args.model, args.streams, context, cores(), f"{CACHES_OFF} --no-kv-unified -b 512")
        servers.append(Server("llama-server", peer, {"json_schema": SCHEMA}))
    for number, server in in_turn(args.rounds, *servers):
        print(f"round {number + 1} of {args.rounds}: {server.name}", file=sys.stderr)
        server.measure(args, 100 + 10_000 * number)
    print(f"| {args.streams} streams | free (tokens/s) | constrained (tokens/s) | ratio |\n|---|--:|--:|--:|")
    for server in servers:
        print(f"| {server.name} | {statistics.median(server.free):.1f} | {statistics.median(server.constrained):.1f} "
              f"| {median_ratio(server.constrained, server.free)} |")
    print(f"\n{servers[0].masks}.\n")
    print(beside_hostile(args, cllm_command(args.cllm, args.model, 8, context, cores(), "--no-prefix", "--max-queue-size", "256")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
