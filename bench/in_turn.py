"""Things in turn, so that a machine whose speed drifts favours none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def in_turn(rounds: int, *things: T) -> Iterator[tuple[int, T]]:
    """Yields (round, which): first, second, second, first, first, second …"""
    for number in range(rounds):
        for which in things if number % 2 == 0 else reversed(things):
            yield number, which
