"""Signals that end a command: each is heard, and none where its exception would do harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rnnreport.errors import TerminatedError

_DEFAULTS = {
    getattr(signal, name): handler
    for name, handler in (
        ("SIGINT", signal.default_int_handler),
        ("SIGTERM", signal.SIG_DFL),
        ("SIGHUP", signal.SIG_DFL),  # not on Windows
    )
    if hasattr(signal, name)
}
_heard: list[int] = []  # the signals since a command began


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Let SIGTERM, and the end of the terminal, unwind a command as Ctrl-C does, unless somebody wants otherwise.

    What a signal raises may be lost: Python drops it in ``__del__`` and in the callbacks of weak references, and NumPy
    puts errors of its own in its place. So any error after a signal ends as that signal, and ``heed`` does what a
    dropped one could not.
    """
    ours = {}
    if threading.current_thread() is threading.main_thread():
        ours = {number: handler for number, handler in _DEFAULTS.items() if signal.getsignal(number) == handler}
    for number in ours:
        signal.signal(number, _end)
    try:
        yield
    except Exception:
        heed()
        raise
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        _heard.clear()


def heed() -> None:
    """End here if a signal has already told the command to end.

    Raises
    ------
    KeyboardInterrupt
    TerminatedError
    """
    if _heard:
        number = _heard[0]
        raise KeyboardInterrupt if number == signal.SIGINT else TerminatedError(number)


def _end(number: int, _: object) -> None:
    _heard.append(number)
    heed()


@contextmanager
def held() -> Iterator[None]:
    """Let the signals that end a command wait until the block ends.

    Compiled code that calls Python may lose an exception that a signal's handler raises there, and go on with what is
    half made: the trees of openTSNE then end the process with a segmentation fault.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python's handlers run in the main thread only
        return
    arrived: list[int] = []
    numbers = [number for number in _DEFAULTS if callable(signal.getsignal(number))]
    before = [signal.signal(number, lambda number, _: arrived.append(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])
