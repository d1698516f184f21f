#!/usr/bin/env python3
"""What shared prefixes and the result cache save: the same requests with and without, in turn.

    bench/sharing.py --cllm build/cllm --model FILE
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from in_turn import in_turn
from servers import cllm_command, cores, detail, running, tokens_of
from stream import TIMEOUT_S, Stream

RESULT_CACHE = ("--result-max-memory-mb", "64")


def ask(url: str, prompt: list[int], tokens: int) -> tuple[float, float]:
    """Seconds to the first token and to the end."""
    stream = Stream(url, prompt, tokens)
    while stream.read():
        pass
    stream.connection.close()
    return stream.first_token_s(), stream.times[-1] - stream.times[0]


class Comparison:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.figures: dict[str, list[float]] = {}
        self.prefix_computed: list[int] = []

    def add(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)
        print(f"  {name}: {value:.3f}", file=sys.stderr)

    def command(self, *flags: str) -> list[str]:
        args = self.args
        return cllm_command(args.cllm, args.model, args.concurrency, args.prefix + 2 * args.tail + args.tokens, cores(),
                            "--request-timeout", str(TIMEOUT_S), *flags)

    def together(self, number: int, shares: bool) -> None:
        """Many at once with one prefix and a tail each."""
        args = self.args
        prefix = tokens_of(args.prefix, 50 + number)
        prompts = [prefix + tokens_of(args.tail, 100 + i) for i in range(args.concurrency)]
        with running("cLLM", self.command() if shares else self.command("--no-prefix")) as url:
            start = time.monotonic()
            with ThreadPoolExecutor(args.concurrency) as pool:
                list(pool.map(lambda prompt: ask(url, prompt, args.tokens), prompts))
            self.add("shared" if shares else "unshared", time.monotonic() - start)
            if shares:
                self.prefix_computed.append(detail(url)["engine"]["prompt_tokens"])

    def repeats(self, number: int) -> None:
        args = self.args
        prompt = tokens_of(args.prefix, 200 + number)
        with running("cLLM", self.command()) as url:
            first, _ = ask(url, prompt, args.tokens)
            again, _ = ask(url, prompt, args.tokens)
            self.add("first token", first)
            self.add("first token again", again)
        with running("cLLM", self.command(*RESULT_CACHE)) as url:
            _, first = ask(url, prompt, args.tokens)
            _, again = ask(url, prompt, args.tokens)
            self.add("answer", first)
            self.add("answer again", again)

    def beside_full_cache(self, number: int) -> None:
        """One stream's decode speed with an empty prefix cache, then with every slot but its own full."""
        args = self.args
        with running("cLLM", self.command()) as url:
            for name in ("empty", "full"):
                first, whole = ask(url, tokens_of(32, 300 + 2 * number + (name == "full")), args.tokens)
                self.add(f"decode beside {name} cache", (args.tokens - 1) / (whole - first))
                if name == "empty":
                    prompts = [tokens_of(args.prefix, 400 + 20 * number + i) for i in range(args.concurrency)]
                    with ThreadPoolExecutor(args.concurrency) as pool:
                        list(pool.map(lambda prompt: ask(url, prompt, 1), prompts))

    def median(self, name: str) -> float:
        return statistics.median(self.figures[name])

    def report(self) -> str:
        args = self.args
        shared, unshared = self.median("shared"), self.median("unshared")
        first, again = self.median("first token"), self.median("first token again")
        answer, answer_again = self.median("answer"), self.median("answer again")
        full, empty = self.median("decode beside full cache"), self.median("decode beside empty cache")
        all_tokens = args.concurrency * (args.prefix + args.tail)
        return "\n".join([
            f"| {args.prefix}-token prefix, {args.tokens} tokens out | without | with | |", "|---|--:|--:|--:|",
            f"| {args.concurrency} at once, tails of {args.tail} tokens (s) | {unshared:.2f} | {shared:.2f} | {unshared / shared:.1f} × |",
            f"| prompt tokens computed for them | {all_tokens} | {statistics.median(self.prefix_computed):.0f} | |",
            f"| the same prompt again: first token (s) | {first:.2f} | {again:.2f} | −{1 - again / first:.1%} |",
            f"| the same request again, result cache: answer (s) | {answer:.2f} | {answer_again:.4f} | −{1 - answer_again / answer:.1%} |",
            f"| one stream beside an empty and a full prefix cache (tok/s) | {empty:.1f} | {full:.1f} | {full / empty:.2f} × |",
            "", f"Medians of {args.rounds} rounds in turn."])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--prefix", type=int, default=1000)
    parser.add_argument("--tail", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    comparison = Comparison(parser.parse_args())
    for number, shares in in_turn(comparison.args.rounds, True, False):
        comparison.together(number, shares)
    for number in range(comparison.args.rounds):
        comparison.repeats(number)
        comparison.beside_full_cache(number)
    print(comparison.report())
    return 0


if __name__ == "__main__":
    sys.exit(main())
