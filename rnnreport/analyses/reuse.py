"""What was computed before from the same inputs: as a training goes on it is given back instead of computed again."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Reuse:
    """Results of functions by the digest of everything that they were given, so that reusing one changes no result.

    A function must depend on its arguments alone, and nobody may change what it returned. What one update does not ask
    for is forgotten by the next.
    """

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}

    def begin_update(self) -> None:
        """Keep what was asked for since the last call, and nothing else."""
        self._before, self._asked = self._asked, {}

    def __call__(self, function: Callable[..., Result], *given: Any) -> Result:
        """The result of ``function(*given)``, computed only where it is not known.

        Parameters
        ----------
        function : of the top level of a module
        *given : arrays, numbers, texts and dataclasses of them
        """
        inputs = pickle.dumps((function.__module__, function.__qualname__, given), protocol=5)
        key = hashlib.blake2b(inputs, digest_size=32).hexdigest()
        if key not in self._asked:
            self._asked[key] = self._before[key] if key in self._before else function(*given)
        found: Result = self._asked[key]
        return found
