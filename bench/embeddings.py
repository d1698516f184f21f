#!/usr/bin/env python3
"""What clients get who ask for embeddings, beside llama-server, in turn: texts a second at /v1/embeddings.

Each of some clients sends requests one after the other, each with as many texts as it is told; no text is like another. The figure is
all texts over the time from the first request to the last answer.

    make bench-embeddings MODEL=FILE
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from in_turn import in_turn, median_ratio
from servers import Command, cores, running

WORDS = ("time year people way day man thing woman life child world school state family student group country problem hand part place case "
         "week company system program question work government number night point home water room mother area money story fact month").split()
Load = tuple[int, int, int]  # clients, texts of a request, words of a text


def text(words: int, rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words))


def rate(url: str, load: Load, texts: int, salt: int) -> float:
    """Texts a second, of about `texts` in all."""
    clients, batch, words = load
    rounds = max(1, texts // (clients * batch))
    rng = random.Random(salt)
    bodies = [[{"input": [text(words, rng) for _ in range(batch)], "encoding_format": "base64"} for _ in range(rounds)]
              for _ in range(clients)]

    def ask(mine: list[dict[str, object]]) -> None:
        with requests.Session() as session:
            for body in mine:
                answer = session.post(url + "/v1/embeddings", json=body, timeout=600)
                if answer.status_code != 200 or len(answer.json()["data"]) != batch:
                    sys.exit(f"no embeddings: {answer.text[:500]}")

    start = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(ask, bodies))
    return clients * batch * rounds / (time.monotonic() - start)


class Measured:
    def __init__(self, name: str, command: Command) -> None:
        self.name, self.command = name, command
        self.figures: dict[Load, list[float]] = {}

    def measure(self, args: argparse.Namespace, loads: list[Load], salt: int) -> None:
        with running(self.name, self.command) as url:
            rate(url, (1, 4, 10), 8, salt)
            for load in loads:
                figure = rate(url, load, args.texts * 16 // max(16, load[2]), salt)
                self.figures.setdefault(load, []).append(figure)
                print(f"  {self.name}: {load} {figure:.1f}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--llama-tools", metavar="FOLDER", help="llama-server, measured beside it")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=400, help="of 16 words; of longer ones fewer")
    args = parser.parse_args()
    loads: list[Load] = [(1, 1, 16), (1, 32, 16), (8, 1, 16), (8, 32, 16), (1, 1, 200), (8, 8, 200)]
    measured = [Measured("cLLM", [args.cllm, "serve", args.model, "--host", "127.0.0.1", "-t", cores()])]
    if args.llama_tools:
        # As many tokens at a time as a text may have.
        measured.append(Measured("llama-server", [str(Path(args.llama_tools) / "llama-server"), "-m", args.model, "--host", "127.0.0.1",
                                                  "--embeddings", "-np", "8", "-c", "4096", "-b", "2048", "-ub", "2048", "-t", cores(),
                                                  "--log-disable"]))
    for number, one in in_turn(args.rounds, *measured):
        print(f"round {number + 1} of {args.rounds}: {one.name}", file=sys.stderr)
        one.measure(args, loads, 100 + number)
    print("| clients | texts a request | words a text | cLLM |" + (" llama-server | ratio |" if len(measured) > 1 else ""))
    print("|--:|--:|--:|--:|" + ("--:|--:|" if len(measured) > 1 else ""))
    for load in loads:
        ours = measured[0].figures[load]
        cells = [*map(str, load), f"{statistics.median(ours):.1f}"]
        if len(measured) > 1:
            peers = measured[1].figures[load]
            cells += [f"{statistics.median(peers):.1f}", median_ratio(ours, peers)]
        print("| " + " | ".join(cells) + " |")
    print(f"\nTexts a second; medians of {args.rounds} rounds, a ratio is the median of the rounds' ratios.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
