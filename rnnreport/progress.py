"""Progress on stderr: a rewritten line on a terminal, sparse plain lines elsewhere, nothing when silenced."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rnnreport.errors import printable
from rnnreport.interrupts import heed

Item = TypeVar("Item")

_QUIET = False
_SECONDS: dict[str, float] = {}  # of the stages that ended since they were last asked for
_PLAIN_INTERVAL_S = 10.0
_TERMINAL_INTERVAL_S = 0.1
_SHOW_AFTER_S = 0.5


def silence(quiet: bool) -> None:
    """Turn all progress and notes off (``-q``) or on again."""
    global _QUIET
    _QUIET = quiet


def note(text: str) -> None:
    """Write one line to stderr."""
    if not _QUIET:
        print(printable(text), file=sys.stderr, flush=True)


def track(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Yield the items and show how far along they are.

    Parameters
    ----------
    items : iterable
    label : str
        What is being done, in the user's words.
    total : int
        Number of items; only used for the display.
    """
    with_terminal = sys.stderr.isatty()
    interval = _TERMINAL_INTERVAL_S if with_terminal else _PLAIN_INTERVAL_S
    start = time.monotonic()
    shown = start - interval + _SHOW_AFTER_S
    drawn = False
    for done, item in enumerate(items):
        heed()
        now = time.monotonic()
        if not _QUIET and now - shown >= interval:
            shown, drawn = now, True
            line = f"{printable(label)}: {done}/{total}"
            print(
                f"\r\x1b[K{line}" if with_terminal else line,
                end="" if with_terminal else "\n",
                file=sys.stderr,
                flush=True,
            )
        yield item
    if drawn and with_terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def stage_seconds() -> dict[str, float]:
    """Seconds of every named step since the last call, in order."""
    found = dict(_SECONDS)
    _SECONDS.clear()
    return found


class Stage:
    """A named step of unknown length: ``with Stage("t-SNE of 4,000 states"):`` prints its name and its seconds."""

    def __init__(self, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.label = label
        self._clock = clock

    def __enter__(self) -> Stage:
        heed()
        self._start = self._clock()
        if not _QUIET:
            print(f"{printable(self.label)} ...", end="", file=sys.stderr, flush=True)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            _SECONDS[self.label] = _SECONDS.get(self.label, 0.0) + self._clock() - self._start
        if not _QUIET:
            outcome = f"{self._clock() - self._start:.1f} s" if kind is None else "stopped"
            print(f" {outcome}", file=sys.stderr, flush=True)
