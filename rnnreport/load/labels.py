"""Class names and their order."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from rnnreport.errors import InputError
from rnnreport.results.recorded import Ints

_INTEGER = re.compile(r"-?\d{1,18}")


class ClassIndex:
    """Labels to integers.

    Parameters
    ----------
    names : tuple of str, length K, all different
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._numbers = {name: number for number, name in enumerate(names)}
        if len(self._numbers) < len(names):
            raise InputError(f"a class appears twice in {', '.join(names)}", "name every class once")

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


def sorted_classes(labels: set[str]) -> tuple[str, ...]:
    """All labels in order: by value when all are integers, otherwise alphabetically."""
    if all(_INTEGER.fullmatch(label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))
