"""Which results of a run do not fit together, as ``shapes.py`` says they do: asked where a page could not be made.

A page indexes one result by another, and what does not fit mostly ends in an error there. It is explained then, not
checked before, so that no run that can be shown is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.errors import RnnReportError
from rnnreport.results import store
from rnnreport.results.folder import RunFolder
from rnnreport.results.shapes import SHAPES

Sizes = dict[str, int]
_CALL = re.compile(r"(sum|squares)\((\w+)\)")
_SHARED = re.compile(r"[A-Z][a-z]\w+@?")


@contextmanager
def misfits_named(folder: RunFolder) -> Iterator[None]:
    """Name the results that do not fit together where something fails; what fails otherwise is raised as it is.

    Raises
    ------
    DamagedError
        With file, part and the command that rebuilds it.
    """
    try:
        yield
    except RnnReportError:
        raise
    except Exception as error:
        refuse_misfits(folder, error)
        raise


def refuse_misfits(folder: RunFolder, cause: Exception | None = None) -> None:
    """Raise where the results of a run do not fit together.

    Parameters
    ----------
    folder : RunFolder
    cause : Exception, optional
        What failed.

    Raises
    ------
    DamagedError
    """
    kinds = {kind.__name__: kind for kind in SHAPES}
    places = {name: place for place, name in enumerate(kinds)}  # sequences and words first: others belong to them
    found = [(store.peek(path, "record"), path) for path in (folder.made / "results").glob("*.json")]
    together: Sizes = {}
    for name, path in sorted((pair for pair in found if pair[0] in kinds), key=lambda pair: (places[pair[0]], pair[1])):
        fit = _Fit(store.load(path.with_suffix(""), kinds[name]), together)
        try:
            for field, line in SHAPES[kinds[name]].items():
                fit.check(field, line)
        except ValueError as error:
            remedy = f"rebuild it with `rnnreport analyse {folder.path} --force`"
            raise store.DamagedError(f"{path}: {error}", remedy) from cause


class _Fit:
    """The sizes of a record, as far as they are known."""

    def __init__(self, record: Any, together: Sizes) -> None:
        self.record = record
        self.own: Sizes = {}
        self.together = together

    def check(self, name: str, line: str) -> None:
        shapes, *kept = line.split("; ")
        value = getattr(self.record, name)
        for array in value.values() if isinstance(value, dict) else [value]:
            shape = array.shape if isinstance(array, np.ndarray) else (len(array),)
            if not any(self._has(shape, one.split()) for one in shapes.split(" | ")):
                wanted = " or ".join(f"({', '.join(map(self._in_words, one.split()))})" for one in shapes.split(" | "))
                raise ValueError(f"{name} is of shape {shape}, not {wanted}")
            for rule in kept:
                self._keep(name, array, rule)

    def _has(self, shape: tuple[int, ...], wanted: list[str]) -> bool:
        """Whether a shape is the wanted one; sizes that are new become known."""
        if len(shape) != len(wanted):
            return False
        new: Sizes = {}
        for size, text in zip(shape, wanted, strict=True):
            if text == "*":
                continue
            known = new[text] if text in new else self._size(text)
            if known is None:
                new[text] = size
            elif known != size:
                return False
        for text, size in new.items():
            self._learn(text, size)
        return True

    def _keep(self, name: str, array: NDArray[Any], rule: str) -> None:
        if rule.startswith("sum "):
            size, steps = rule.removeprefix("sum "), int(array.sum(dtype=np.int64))
            if self._size(size) is None:
                self._learn(size, steps)
            _expect(self._size(size) == steps, f"{name} add up to {steps}, not {self._in_words(size)}")
        elif rule.startswith("like "):
            size, there = rule.removeprefix("like "), int(array.size > 0)
            if self._size(size) is None:
                self._learn(size, there)
            _expect(self._size(size) == there, f"{name} are {'' if there else 'not '}there, unlike others")
        elif rule in ("increasing", "rising"):
            moves = np.diff(array.astype(np.float64))
            holds = bool(np.all(moves > 0 if rule == "rising" else moves >= 0))
            _expect(holds, f"{name} are not {rule}")
        elif array.size:
            low, high = rule.split("..")
            most = self._size(high) if high else None
            holds = int(array.min()) >= int(low) and (most is None or int(array.max()) < most)
            _expect(holds, f"{name} are not all from {low}" + (f" to below {self._in_words(high)}" if high else " up"))

    def _learn(self, text: str, size: int) -> None:
        (self.together if _SHARED.fullmatch(text) else self.own)[self._name(text)] = size

    def _name(self, text: str) -> str:
        return f"{text}{self.record.scope}" if text.endswith("@") else text

    def _size(self, text: str) -> int | None:
        """The value of a size; None where it is not known yet."""
        total = 0
        for term in re.split(r"(?=[-+])", text):
            product = -1 if term.startswith("-") else 1
            for factor in term.lstrip("+-").split("*"):
                value = self._factor(factor)
                if value is None:
                    return None
                product *= value
            total += product
        return total

    def _factor(self, text: str) -> int | None:
        if text.isdecimal():
            return int(text)
        if text.startswith("#"):
            return len(getattr(self.record, text[1:]))
        if text.startswith("="):
            return int(getattr(self.record, text[1:]))
        if call := _CALL.fullmatch(text):
            first = getattr(self.record, call[2]).astype(np.int64)
            return int((first * first if call[1] == "squares" else first).sum())
        return (self.together if _SHARED.fullmatch(text) else self.own).get(self._name(text))

    def _in_words(self, text: str) -> str:
        known = None if text == "*" or text.isdecimal() else self._size(text)
        return text.rstrip("@") if known is None else f"{text.rstrip('@')} = {known}"


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
