"""Signals at moments in which an exception would crash the process, or be dropped."""

from __future__ import annotations

import ctypes
import signal
import weakref
from collections.abc import Callable

import pytest

from rnnreport.errors import TerminatedError
from rnnreport.interrupts import ending_cleanly, heed, held
from rnnreport.progress import Stage, track


class Thing:
    pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_where_an_exception_would_crash(number):
    reached = []

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, end)
    try:
        with pytest.raises(KeyboardInterrupt), held():
            signal.raise_signal(number)
            reached.append("the end of the block")
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)
    assert reached == ["the end of the block"]


class Dying:
    """Calls a function when it goes."""

    def __init__(self, last: Callable[[], object]) -> None:
        self.last = last

    def __del__(self) -> None:
        self.last()


def watched(last: Callable[[], object]) -> None:
    thing = Thing()
    reference = weakref.ref(thing, lambda _: last())
    del thing
    assert reference() is None


def called_from_c(last: Callable[[], object]) -> None:
    ctypes.CFUNCTYPE(None)(last)()


def a_stage() -> None:
    with Stage("the next one"):
        pass


def an_item() -> None:
    list(track([1], "items", 1))


ENDS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedError), (signal.SIGHUP, TerminatedError)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("dropping", [Dying, watched, called_from_c])
@pytest.mark.parametrize("afterwards", [a_stage, an_item, heed])
@pytest.mark.parametrize(("number", "error"), ENDS)
def test_a_signal_whose_exception_was_dropped_ends_the_next_step(dropping, afterwards, number, error):
    reached = []
    with pytest.raises(error), ending_cleanly():
        dropping(lambda: signal.raise_signal(number))
        reached.append("what comes next")
        afterwards()
        pytest.fail("it went on")
    assert reached == ["what comes next"]
    afterwards()  # which does not hear it again


@pytest.mark.parametrize(("number", "error"), ENDS)
def test_an_error_in_place_of_a_signals_exception_is_that_signal(number, error):
    before = signal.getsignal(number)
    with pytest.raises(error), ending_cleanly():
        try:
            signal.raise_signal(number)
        except BaseException:
            raise ValueError("cannot tidy up") from None
    assert signal.getsignal(number) == before


def test_other_errors_stay_what_they_are():
    with pytest.raises(ValueError, match="by itself"), ending_cleanly():
        raise ValueError("by itself")


def test_what_somebody_wants_otherwise_stays():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with ending_cleanly():
            signal.raise_signal(signal.SIGTERM)
            heed()
    finally:
        signal.signal(signal.SIGTERM, before)
