"""Independent parts of MM-PHATE on several threads: NumPy and scikit-learn let others run while they compute."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 4  # each holds a tile of distances


def threads() -> int:
    """One for each core, but no more than ``OMP_NUM_THREADS`` allows, nor than four."""
    allowed = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST, int(allowed) if allowed.isdigit() else cores))


def each(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``function(item)`` for each item, in their order.

    Every result is made by one thread, and so are the products in it: more threads give the same bytes sooner. A
    library that spreads one product over threads rounds it otherwise with each number of them, and spins meanwhile.
    """
    many = threads()
    with threadpool_limits(1):
        if many == 1:
            yield from map(function, items)
            return
        with ThreadPoolExecutor(many, initializer=threadpool_limits, initargs=(1,)) as pool:
            yield from pool.map(function, items)
