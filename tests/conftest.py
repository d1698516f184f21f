"""Options of the test suites. They are declared here so that `pytest tests` and `pytest tests/e2e` both know them."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cllm")
    group.addoption("--cllm", help="the program to test; default: build/cllm, else build/release/src/cli/cllm")
    group.addoption("--model", help="GGUF file to serve; default: the default model")
    group.addoption("--fuzz-seconds", type=float, default=4.0, help="how long hostile connections are drawn, for each kind of port")
    group.addoption("--api-seconds", type=int, default=0, help="how long requests are drawn from /openapi.json; 0: the short form")
    group.addoption("--structured-runs", type=int, default=140, help="how many constrained answers are drawn")
    group.addoption("--slow", action="store_true", help="run the tests that take a minute or more as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="takes a minute or more: run with --slow"))
