#!/usr/bin/env python3
"""Honest streams beside hostile clients: undisturbed, beside each attack alone, and beside all of them together.

Eight clients stream answers to unique prompts all the time. The honest ones' gaps are times between two arrivals of an answer. Exit
code 1 where their p99 beside all attacks is too many times what it was undisturbed, an answer is lost, or memory grows.

    make soak-hostile SECONDS=600 MODEL=FILE
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import multiprocessing
import os
import re
import selectors
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from attacks import ATTACKS, Target, run_for_ever
from servers import Command, free_port, started, tokens_of
from stream import END, request

PROMPT_TOKENS = 32
REFUSED = (b" 429 ", b" 503 ")
FINISHED = b'"finish_reason":"length"'
REFUSED_PAUSE_S = 0.5
HEALTH_PAUSE_S = 0.05
MEMORY_PAUSE_S = 0.5


@dataclass
class Figures:
    """What is seen in one phase."""

    name: str
    gaps: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)  # bytes, over time
    cores: float = 0.0  # that the server kept busy
    whole: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)


class Honest:
    """One client: streams one answer after the other."""

    def __init__(self, target: Target, tokens: int, salts: Iterator[int]) -> None:
        self.target, self.tokens, self.salts = target, tokens, salts
        self.open()

    def open(self) -> None:
        body = {"prompt": tokens_of(PROMPT_TOKENS, next(self.salts)), "max_tokens": self.tokens}
        self.connection = self.target.connect()
        self.connection.sendall(request("http://localhost", body))
        self.begun, self.last, self.not_before, self.tail = False, 0.0, 0.0, b""

    def read(self, figures: Figures) -> None:
        """Takes what is there, and begins the next answer where this one is over."""
        part = self.receive()
        now = time.monotonic()
        if not self.begun and any(status in part[:16] for status in REFUSED):
            figures.refused += 1
            self.not_before = now + REFUSED_PAUSE_S
            return
        if not part or (not self.begun and b" 200 " not in part[:16]):
            figures.lost.append(f"after {self.tail[-80:]!r}: {part[:200]!r}")
            self.not_before = now
            return
        if self.last:
            figures.gaps.append(now - self.last)
        self.begun, self.last, self.tail = True, now, (self.tail + part)[-1000:]
        if END in self.tail:
            whole = FINISHED in self.tail
            figures.whole += whole
            if not whole:
                figures.lost.append(f"ended by {self.tail[-200:]!r}")
            self.not_before = now

    def receive(self) -> bytes:
        with contextlib.suppress(OSError):
            part = self.connection.recv(1 << 16)
            while part and getattr(self.connection, "pending", lambda: 0)():  # of TLS: select does not see it
                part += self.connection.recv(1 << 16)
            return part
        return b""


class HonestClients:
    """All of them, read by one thread: many would take the server's cores from it at each token."""

    def __init__(self, target: Target, count: int, tokens: int) -> None:
        salts = itertools.count(1)
        self.selector = selectors.DefaultSelector()
        self.waiting: list[Honest] = []
        self.clients = [Honest(target, tokens, salts) for _ in range(count)]
        for client in self.clients:
            self.watch(client)

    def watch(self, client: Honest) -> None:
        self.selector.register(client.connection, selectors.EVENT_READ, client)

    def run(self, seconds: float, figures: Figures) -> None:
        start = time.monotonic()
        for client in self.clients:
            client.last = client.last and start
        end = start + seconds
        while (now := time.monotonic()) < end:
            for key, _ in self.selector.select(0.1):
                client = key.data
                client.read(figures)
                if client.not_before:
                    self.selector.unregister(client.connection)
                    client.connection.close()
                    self.waiting.append(client)
            for client in [client for client in self.waiting if client.not_before <= now]:
                self.waiting.remove(client)
                client.open()
                self.watch(client)
        # A gap that is not over counts as far as it went.
        figures.gaps += [now - client.last for client in self.clients if client.last]


def watch_health(target: Target, figures: Figures, stop: threading.Event) -> None:
    """A failure is as slow as the longest that anybody waits."""
    while not stop.wait(HEALTH_PAUSE_S):
        start = time.monotonic()
        try:
            with target.connect() as connection:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                answer.read()
            figures.health.append(time.monotonic() - start)
        except (OSError, http.client.HTTPException):
            figures.health.append(60.0)


def watch_memory(pid: int, figures: Figures, stop: threading.Event) -> None:
    while not stop.wait(MEMORY_PAUSE_S):
        if resident := re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()):
            figures.memory.append(int(resident[1]) << 10)


def processor_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def attacking(names: list[str], target: Target, scale: float) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    targets = [Target(target.port, target.certificate, f"127.0.0.{i}") for i in range(2, 2 + len(names))]
    attackers = [context.Process(target=run_for_ever, args=(name, own, scale), daemon=True) for name, own in zip(names, targets)]
    for attacker in attackers:
        attacker.start()
    try:
        yield
    finally:
        for attacker in attackers:
            attacker.terminate()
            attacker.join()


def phase(name: str, seconds: float, attacks: list[str], honest: HonestClients, target: Target, pid: int, scale: float) -> Figures:
    figures = Figures(name)
    stop = threading.Event()
    watchers = [threading.Thread(target=watch_health, args=(target, figures, stop)),
                threading.Thread(target=watch_memory, args=(pid, figures, stop))]
    with attacking(attacks, target, scale):
        for watcher in watchers:
            watcher.start()
        began, used = time.monotonic(), processor_seconds(pid)
        honest.run(seconds, figures)
        figures.cores = (processor_seconds(pid) - used) / (time.monotonic() - began)
        stop.set()
        for watcher in watchers:
            watcher.join()
    print(f"{name}: {len(figures.gaps)} gaps, {figures.whole} answers, {figures.refused} refused, lost: {figures.lost}", file=sys.stderr)
    return figures


def quantile(values: list[float], at: float) -> float:
    return sorted(values)[min(len(values) - 1, int(at * len(values)))] if values else float("inf")


def growth_mib(figures: Figures) -> float:
    """What memory has grown by between the second quarter of the time and the last one."""
    quarter = max(1, len(figures.memory) // 4)
    return (statistics.median(figures.memory[-quarter:]) - statistics.median(figures.memory[quarter:2 * quarter] or figures.memory)) / 2**20


def print_table(phases: list[Figures]) -> None:
    quiet = quantile(phases[0].gaps, 0.99)
    print("| beside the honest streams | gap p50 (ms) | gap p99 (ms) | × undisturbed | longest (ms) | `/health` p99 (ms) "
          "| cores kept busy | memory, most (MiB) | whole | refused | lost |")
    print("|---|" + "--:|" * 10)
    for each in phases:
        p50, p99 = (quantile(each.gaps, at) for at in (0.5, 0.99))
        longest = max(each.gaps, default=0)
        print(f"| {each.name} | {1000 * p50:.1f} | {1000 * p99:.1f} | {p99 / quiet:.2f} | {1000 * longest:.1f} "
              f"| {1000 * quantile(each.health, 0.99):.1f} | {each.cores:.2f} "
              f"| {max(each.memory, default=0) / 2**20:.0f} | {each.whole} | {each.refused} | {len(each.lost)} |")


def failures(args: argparse.Namespace, phases: list[Figures]) -> list[str]:
    together = phases[-1]
    ratio = quantile(together.gaps, 0.99) / quantile(phases[0].gaps, 0.99)
    lost = sum(len(each.lost) for each in phases)
    growth = growth_mib(together)
    return [text for text, failed in (
        (f"the honest p99 gap is {ratio:.2f} times the undisturbed one, {args.most_ratio:g} are allowed", not ratio <= args.most_ratio),
        (f"{lost} answers were lost", lost > 0),
        (f"memory grew by {growth:.0f} MiB, {args.most_growth_mib:g} are allowed", growth > args.most_growth_mib)) if failed]


def certificate(folder: str) -> tuple[str, str] | None:
    """A certificate for localhost and its key; none where nothing can make one."""
    if not shutil.which("openssl"):
        return None
    chain, key = f"{folder}/chain.pem", f"{folder}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-keyout", key, "-out", chain, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    return chain, key


def measure(args: argparse.Namespace, command: Command, chain: str) -> list[Figures]:
    attacks = [name for name in args.attacks if chain or name != "tls_silent"]
    port = free_port()
    url = f"{'https' if chain else 'http'}://localhost:{port}"
    with started("cLLM", command, port, url, chain or None) as process:
        target = Target(port, chain)
        honest = HonestClients(target, args.streams, args.tokens)

        def beside(name: str, seconds: float, *names: str) -> Figures:
            return phase(name, seconds, list(names), honest, target, process.pid, args.scale)

        beside("warm", args.alone_s)
        phases = [beside("nothing", args.undisturbed_s)]
        phases += [beside(f"`{name}`", args.alone_s, name) for name in attacks]
        phases.append(beside("all together", args.seconds, *attacks))
    return phases


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cllm", required=True, metavar="PROGRAM")
    parser.add_argument("--model", required=True, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=600, help="of all attacks together (default: %(default)s)")
    parser.add_argument("--alone-s", type=float, default=15, help="of each attack (default: %(default)s)")
    parser.add_argument("--undisturbed-s", type=float, default=30)
    parser.add_argument("--attacks", nargs="+", choices=list(ATTACKS), default=list(ATTACKS), metavar="NAME", help=", ".join(ATTACKS))
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=200, help="of an honest answer (default: %(default)s)")
    parser.add_argument("--scale", type=float, default=1, help="of the sizes of the attacks")
    parser.add_argument("--plain", action="store_true", help="no TLS: tls_silent is left out")
    parser.add_argument("--most-ratio", type=float, default=2.5)
    parser.add_argument("--most-growth-mib", type=float, default=64)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = None if args.plain else certificate(folder)
        command = [args.cllm, "serve", args.model, "--host", "127.0.0.1", "-np", str(args.streams + 4), "-c", "1024", "-t", "1",
                   "--num-threads", "2", "--min-threads", "2", "--log-level", "warn"]
        if made:
            command += ["--tls-certificate", made[0], "--tls-key", made[1]]
        phases = measure(args, command, made[0] if made else "")
    print_table(phases)
    wrong = failures(args, phases)
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
