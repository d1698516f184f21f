#!/usr/bin/env python3
"""Real schemas, let in or refused, compiled, and held to what they let through: nothing that jsonschema says is invalid.

    schema_corpus.py --tool build/release/bench/schema_corpus --cllm build/cllm [--model FILE] [--most N] [--only TEXT]

Each schema is asked about as a request's would be. Where a grammar comes of it, values that fit it (made from what is enforced, compact,
in the order of the properties) have to be accepted token by token, values that do not fit may not, and what is drawn by chance has to fit.
--model: tokens of that file instead of single bytes. Prints Markdown; writes what is wrong, one JSON object a line, to --findings.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import queue
import random
import re
import subprocess
import sys
import threading
import venv
from dataclasses import dataclass, field
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cllm"
REQUIREMENTS = Path(__file__).with_name("requirements-schemas.txt")
VALID, INVALID, DRAWS = 6, 12, 6  # of each schema
PATIENCE_S = 600


def run_in_environment() -> None:
    """Goes on in a Python environment that has what this needs."""
    home = CACHE / f"venv-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]}"
    if Path(sys.prefix) == home:
        return
    if not (home / ".complete").exists():
        venv.create(home, clear=True, with_pip=True)
        subprocess.run([home / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS], check=True)
        (home / ".complete").touch()
    os.execv(home / "bin/python", [str(home / "bin/python"), *sys.argv])


run_in_environment()
import jsonschema  # noqa: E402
import schema_instances  # noqa: E402
import schema_sources  # noqa: E402


class Tool:
    """The program that answers questions about schemas, started again where it ends or hangs."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self.read, args=(self.process, self.lines), daemon=True).start()

    @staticmethod
    def read(process: subprocess.Popen, lines: queue.Queue[str]) -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    def ask(self, question: dict) -> dict:
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            line = self.lines.get(timeout=PATIENCE_S)
        except (queue.Empty, BrokenPipeError):
            line = ""
        if line:
            return json.loads(line)
        self.process.kill()
        ended = self.process.wait()
        self.start()
        return {"broken": f"no answer; the tool ended with {ended}"}


@dataclass
class Outcome:
    source: str
    strict: str | None = None  # why not
    relaxed: str | None = None
    pointers: list[str] = field(default_factory=list)
    refused: str | None = None  # by the compiler
    seconds: float = 0.0
    valid: int = 0
    valid_accepted: int = 0
    invalid: int = 0
    drawn: int = 0
    findings: list[dict] = field(default_factory=list)


class Judge:
    """What fits the schema, as jsonschema says it: what is enforced of it and, where that is all, the schema as it was written."""

    def __init__(self, schema: dict, enforced: object, is_strict: bool) -> None:
        self.validators = [jsonschema.Draft202012Validator(enforced)]
        if is_strict:
            self.validators.append(jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)(schema))

    def fits(self, value: object) -> bool | None:
        """None: jsonschema does not know, as with patterns that are no regular expressions of Python's."""
        try:
            return all(validator.is_valid(value) for validator in self.validators)
        except (re.error, RecursionError):
            return None


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def values_for(enforced: object, judge: Judge) -> tuple[list[str], list[str]]:
    valid, invalid, chance = {}, {}, random.Random(1)
    for seed in range(4 * VALID):
        try:
            value = schema_instances.Generator(enforced, seed).value()
        except (schema_instances.Impossible, RecursionError):
            continue
        text = compact(value)
        if len(valid) < VALID and len(text) < 20_000 and judge.fits(value):
            valid[text] = value
    for _ in range(20 * INVALID if valid else 0):
        value = schema_instances.mutated(chance.choice(list(valid.values())), chance)
        if len(invalid) < INVALID and judge.fits(value) is False:
            invalid[compact(value)] = value
    return list(valid), list(invalid)


def look_at(tool: Tool, source: str, name: str, schema: dict) -> Outcome:
    outcome = Outcome(source)

    def find(what: str, **more: object) -> None:
        outcome.findings.append({"source": source, "name": name, "what": what, **more})

    checked = tool.ask({"schema": json.dumps(schema)})
    if "broken" in checked:
        find("broken", **checked)
        return outcome
    outcome.strict = checked["strict"]
    if isinstance(checked["relaxed"], str):
        outcome.relaxed = checked["relaxed"]
        return outcome
    outcome.pointers = checked["relaxed"]
    judge = Judge(schema, checked["enforced"], checked["strict"] is None)
    valid, invalid = values_for(checked["enforced"], judge)
    matched = tool.ask({"enforced": checked["enforced"], "texts": valid + invalid, "draws": DRAWS})
    if "broken" in matched:
        find("broken", **matched)
        return outcome
    outcome.seconds, outcome.refused = matched["seconds"], matched.get("refused")
    if outcome.refused:
        return outcome
    accepted = matched["accepted"]
    outcome.valid, outcome.invalid, outcome.drawn = len(valid), len(invalid), len(matched["drawn"])
    outcome.valid_accepted = sum(accepted[:len(valid)])
    for text, lets in zip(valid + invalid, accepted, strict=True):
        if lets != (text in valid):
            find("invalid accepted" if lets else f"valid held back: {why_held_back(text)}", text=text, enforced=checked["enforced"])
    for text in matched["drawn"]:
        try:
            fits = judge.fits(json.loads(text))
        except ValueError:
            fits = False
        if fits is False:
            find("invalid drawn", text=text, enforced=checked["enforced"])
    return outcome


def reason(message: str) -> str:
    """What is said of a refusal, without what stands only in that schema."""
    message = message.replace("n't", "n’t")
    words = re.sub(r"^(the schema|/.*?|#.*?): ", "", message)
    named = re.match(r"'([^']+)' ", words)
    if named and "no keyword" in words:
        return "keywords that are unknown"
    words = re.sub(r"'[^']*'|\"[^\"]*\"|\d[\d,.]*|(?<= )[#/]\S*", "…", words[named.end():] if named else words)
    words = words.split(":")[0].replace("n’t", "n't")
    return f"`{named[1]}` {words}" if named else words


def why_held_back(text: str) -> str:
    return "escapes in strings with bounds of length or patterns" if "\\" in text else "other"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0


def print_report(outcomes: list[Outcome]) -> None:
    print("| schemas from | all | strict | relaxed | refused | compiled | not compiled | median, p99 of compiling | valid values accepted | invalid ones accepted |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for source in [*dict.fromkeys(outcome.source for outcome in outcomes), "all"]:
        of = [outcome for outcome in outcomes if source in (outcome.source, "all")]
        let_in = [outcome for outcome in of if outcome.relaxed is None]
        compiled = [outcome for outcome in let_in if outcome.refused is None]
        times = [outcome.seconds for outcome in compiled]
        wrong = sum(1 for outcome in of for finding in outcome.findings if finding["what"].startswith("invalid"))
        print(f"| {source} | {len(of)} | {sum(outcome.strict is None for outcome in of)} | {sum(outcome.strict is not None for outcome in let_in)} "
              f"| {len(of) - len(let_in)} | {len(compiled)} | {len(let_in) - len(compiled)} "
              f"| {percentile(times, 0.5):.2f} s, {percentile(times, 0.99):.2f} s "
              f"| {sum(outcome.valid_accepted for outcome in of)} of {sum(outcome.valid for outcome in of)} "
              f"| {wrong} of {sum(outcome.invalid + outcome.drawn for outcome in of)} |")
    for title, messages in (("refused in strict mode", [outcome.strict for outcome in outcomes if outcome.strict]),
                            ("refused in both modes", [outcome.relaxed for outcome in outcomes if outcome.relaxed]),
                            ("not compiled", [outcome.refused for outcome in outcomes if outcome.refused])):
        print(f"\n| {title} | schemas |\n|---|--:|")
        for words, count in collections.Counter(map(reason, messages)).most_common():
            print(f"| {words} | {count} |")
    findings = collections.Counter(finding["what"] for outcome in outcomes for finding in outcome.findings)
    print(f"\nFindings: {dict(findings) or 'none'}")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tool", required=True)
    options.add_argument("--cllm", required=True)
    options.add_argument("--model")
    options.add_argument("--most", type=int, default=10**9, help="schemas, spread over all of them")
    options.add_argument("--only", default="", help="schemas whose names hold this")
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--findings", type=Path)
    chosen = options.parse_args()
    command = [chosen.tool, str(Path(chosen.cllm).resolve()), *([chosen.model] if chosen.model else [])]
    schemas = [schema for schema in schema_sources.schemas(CACHE / "schemas") if chosen.only in schema[1]]
    tools: queue.Queue[Tool] = queue.Queue()
    for _ in range(chosen.jobs):
        tools.put(Tool(command))

    def ask(schema: tuple[str, str, dict]) -> Outcome:
        tool = tools.get()
        try:
            return look_at(tool, *schema)
        finally:
            tools.put(tool)

    with concurrent.futures.ThreadPoolExecutor(chosen.jobs) as pool:
        outcomes = list(pool.map(ask, schema_sources.spread(schemas, chosen.most)))
    print_report(outcomes)
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    if chosen.findings:
        chosen.findings.write_text("".join(json.dumps(finding) + "\n" for finding in findings))
    return 1 if any(not finding["what"].startswith("valid") for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
