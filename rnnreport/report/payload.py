"""The numbers of a page, once: typed arrays in one gzip'd block, described by a small JSON directory.

``templates/assets/core.js`` reads it. Real numbers travel as 8- or 16-bit codes; the largest code means "no value".
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any, Literal

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

_ALIGNMENT = 4


class Payload:
    """Collects arrays under names and packs them."""

    def __init__(self) -> None:
        self._directory: dict[str, dict[str, Any]] = {}
        self._blocks: list[bytes] = []
        self._size = 0

    def add_integers(self, name: str, array: NDArray[np.integer[Any]]) -> None:
        """Add integers in the narrowest type that holds them (int8 to int32)."""
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        kinds = (np.uint8, np.int8, np.uint16, np.int16, np.int32)
        kind = next(kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
        self._add(name, array.astype(kind), {})

    def add_reals(self, name: str, array: NDArray[np.floating[Any]], bits: Literal[8, 16] = 16) -> None:
        """Add real numbers as codes between their minimum and maximum; NaN and infinities mean "no value".

        Parameters
        ----------
        name : str
        array : real, any shape
        bits : 8 or 16; the largest error is the range divided by twice the number of codes
        """
        top = 2**bits - 2
        finite = np.isfinite(array)
        low = float(array[finite].min()) if finite.any() else 0.0
        step = (float(array[finite].max()) - low) / top if finite.any() else 0.0
        scaled = np.where(finite, array.astype(np.float64) - low, 0) / (step or 1)
        codes = np.where(finite, np.round(scaled), top + 1)
        kind: type[np.unsignedinteger[Any]] = np.uint8 if bits == 8 else np.uint16
        self._add(name, codes.astype(kind), {"low": low, "step": step})

    def _add(self, name: str, array: NDArray[Any], extra: dict[str, float]) -> None:
        data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        self._directory[name] = {"type": array.dtype.name, "shape": list(array.shape), "at": self._size, **extra}
        padding = -len(data) % _ALIGNMENT
        self._blocks.append(data + bytes(padding))
        self._size += len(data) + padding

    def directory(self) -> dict[str, dict[str, Any]]:
        """Name to type, shape and place of every array."""
        return self._directory

    def block(self) -> str:
        """The packed arrays as base64 text."""
        return base64.b64encode(gzip.compress(b"".join(self._blocks), compresslevel=9, mtime=0)).decode("ascii")


def script_json(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
