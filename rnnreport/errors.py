"""The errors a user can cause, each with its exit code.

Exit codes: 0 ok, 1 failure, 2 usage, configuration or bad input, 3 a threshold failed, 130 interrupted.
"""

from __future__ import annotations


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
        self.what = " ".join(what.split())
        self.remedy = " ".join(remedy.split())
        super().__init__(self.what)

    def __str__(self) -> str:
        return f"{self.what} ({self.remedy})" if self.remedy else self.what


class InputError(RnnReportError):
    """A file, option, corpus, model or set of weights that cannot be used."""

    exit_code = 2


class ThresholdError(RnnReportError):
    """A check of the report failed its threshold."""

    exit_code = 3


class RecordingWarning(UserWarning):
    """An epoch of a training that could not be recorded; the training goes on."""
