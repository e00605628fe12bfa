"""Timing of actions against one another on a machine whose load changes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Action = Callable[[], object]


def seconds(action: Action) -> float:
    """Processor time of one run, which other work on the machine hardly changes; with one thread, its wall time."""
    start = time.process_time()
    action()
    return time.process_time() - start


def shares(whole: Action, parts: Mapping[str, Action], repeats: int) -> dict[str, float]:
    """Time of each part as a share of the whole: medians over rounds in which all take turns, after one to warm up.

    In a round the load of the machine moves all of them together, and a round that it disturbs drops out of the median.
    """
    found: dict[str, list[float]] = {name: [] for name in parts}
    for number in range(repeats + 1):
        reference = seconds(whole)
        for name, part in parts.items():
            share = seconds(part) / reference
            if number:
                found[name].append(share)
    return {name: statistics.median(values) for name, values in found.items()}


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Markdown, numbers to the right."""
    lines = [columns, ["---:"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
