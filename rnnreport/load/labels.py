"""Names of classes, labels and quantities, and their order."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from rnnreport.errors import InputError
from rnnreport.results.recorded import Ints

MOST_CLASSES = 10_000  # a confusion matrix has the square of it
_INTEGER = re.compile(r"-?\d{1,18}")


class ClassIndex:
    """Labels to integers.

    Parameters
    ----------
    names : tuple of str, length K, all different

    Raises
    ------
    InputError
        If a name comes twice, or they are too many.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        if len(names) > MOST_CLASSES:
            raise InputError(f"{len(names):,} classes, more than {MOST_CLASSES:,}", "merge the rare ones")
        self.names = names
        self._numbers = {name: number for number, name in enumerate(names)}
        if len(self._numbers) < len(names):
            raise InputError(f"a class appears twice in {', '.join(names[:20])}", "name every class once")

    def encode(self, labels: Sequence[str], place: str) -> Ints:
        """Class numbers, int32.

        Raises
        ------
        InputError
            If a label is none of the classes; names ``place`` (file:line).
        """
        for label in labels:
            if label not in self._numbers:
                shown = ", ".join(self.names[:20])
                raise InputError(
                    f"{place}: label {label[:60]!r} is none of the classes {shown}",
                    "correct the label, or give all classes in the model's order (--classes a,b,c)",
                )
        return np.fromiter((self._numbers[label] for label in labels), np.int32, len(labels))


def names_of(one: str, count: int, given: tuple[str, ...] | None, place: str) -> tuple[str, ...]:
    """Names of ``count`` outputs: those given, or numbers behind the word for one of them.

    Raises
    ------
    InputError
        If another number of names is given; names ``place`` (file:line).
    """
    if given is None:
        return (one,) if count == 1 else tuple(f"{one} {number}" for number in range(count))
    if len(ClassIndex(given).names) != count:
        raise InputError(
            f"{place}: {count} {one}{'s' * (count != 1)}, but --classes names {len(given)}", "name each once"
        )
    return given


def order_of(listed: tuple[str, ...], given: tuple[str, ...] | None, place: str) -> list[int]:
    """Places in ``listed`` of the names given, which are the same in another order; as listed where none are given.

    Raises
    ------
    InputError
        If they are other names, or one is listed twice; names ``place`` (file:line).
    """
    if len(set(listed)) < len(listed):
        raise InputError(f"{place}: a name appears twice in {', '.join(listed[:20])}", "name every column once")
    wanted = ClassIndex(given or listed).names
    if set(listed) != set(wanted):
        raise InputError(
            f"{place}: the names are {', '.join(listed[:20])}, but --classes names {', '.join(wanted[:20])}",
            "give the same names in the model's order",
        )
    places = {name: number for number, name in enumerate(listed)}
    return [places[name] for name in wanted]


def sorted_classes(labels: set[str]) -> tuple[str, ...]:
    """All labels in order: by value when all are integers, otherwise alphabetically."""
    if all(_INTEGER.fullmatch(label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))
