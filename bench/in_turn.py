"""Things in turn, so that a machine whose speed drifts favours none."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def in_turn(rounds: int, *things: T) -> Iterator[tuple[int, T]]:
    """Yields (round, which): first, second, second, first, first, second …"""
    for number in range(rounds):
        for which in things if number % 2 == 0 else reversed(things):
            yield number, which


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The median of the rounds' ratios: each compares neighbours in time."""
    return f"{statistics.median(a / b for a, b in zip(ours, theirs)):.2f}"
