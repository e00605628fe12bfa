"""The errors a user can cause, each with its exit code.

Exit codes: 0 ok, 1 failure, 2 usage, configuration or bad input, 3 a threshold failed, 130 interrupted (Ctrl-C),
143 terminated (SIGTERM).
"""

from __future__ import annotations

import re

_LONGEST = 2000


# control characters, marks and overrides of the reading direction, separators of lines, halves of characters
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def printable(text: str) -> str:
    """Text in which what would steer a terminal, or turn the reading direction, is written as an escape."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class RnnReportError(Exception):
    """A failure that is told in one line, without a traceback.

    Parameters
    ----------
    what : str
        What is wrong and where (file and line, key, option), in one line.
    remedy : str, optional
        What to do about it.
    """

    exit_code = 1

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what = _one_line(what)
        self.remedy = _one_line(remedy)
        super().__init__(self.what)

    def __str__(self) -> str:
        return f"{self.what} ({self.remedy})" if self.remedy else self.what


def _one_line(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


class InputError(RnnReportError):
    """A file, option, corpus, model or set of weights that cannot be used."""

    exit_code = 2


class ThresholdError(RnnReportError):
    """A check of the report failed its threshold."""

    exit_code = 3


class TerminatedError(BaseException):
    """Another process asked this one to end: what is half made is removed, as after Ctrl-C.

    Parameters
    ----------
    number : int
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(number)


class RecordingWarning(UserWarning):
    """An epoch of a training that could not be recorded; the training goes on."""
