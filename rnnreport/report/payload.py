"""What the scripts of a page read, once: JSON that describes the page, and typed arrays, in one gzip'd block.

``templates/assets/core.js`` reads it: a line of JSON, after it the arrays, whose places it names. Most real numbers
travel as 8- or 16-bit codes, the largest meaning "no value".

What makes the block small, besides few bits:

* Planes. Of numbers of several bytes the lowest bytes of all travel first, then the next ones. The higher bytes, of
  which few values occur, then stand together, which gzip sees: it saves a third of 12-bit codes.
* Changes. What is recorded at every epoch changes little from one to the next. Such an array travels as its first entry
  and the differences of each entry from the one before, modulo the range of its type: a third to a half less. They
  count 0, -1, 1, -2, 2, ... (zigzag), so that the higher byte of a small change is 0 whatever its sign.
* Rests. Units of a network resemble each other. Of a column only what a weighted sum of the columns before it does not
  tell travels, and the weights, which are whole numbers, so that the browser finds the same sums: a seventh less.
* Blocks. Each array is given code lengths of its own, which fit few others; and zlib is told that it packs numbers, in
  which what repeats is mostly chance. That saves another 3 to 5%.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_UNIT, _PARTS = 64, 1024  # also in core.js
_GZIP = 31  # zlib's word for gzip with its largest window
_MEMORY = 6  # code lengths are chosen anew every 4,096 symbols, not 16,384; measured best of 5 to 9


def packed(data: bytes) -> str:
    """Bytes as gzip'd base64 text, which ``templates/assets/unpack.js`` reads; without the time it was made."""
    return base64.b64encode(gzip.compress(data, compresslevel=9, mtime=0)).decode("ascii")


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

    def add_reals(self, name: str, array: NDArray[np.floating[Any]], bits: int = 16, *, changes: bool = False) -> None:
        """Add real numbers as codes between their minimum and maximum; NaN and infinities mean "no value".

        Parameters
        ----------
        name : str
        array : real, any shape
        bits : 2 to 16; the largest error is the range divided by twice the number of codes, 2^bits - 1
        changes : whether entries along the first axis resemble each other; smaller then, and as exact
        """
        codes, lows, spacings = _codes(array.reshape(-1, 1), bits)
        codes = codes.reshape(array.shape)
        extra = {"low": lows[0], "step": spacings[0]}
        if changes and codes.size:
            codes = np.concatenate([codes[:1], _changes(codes)])
            extra["stride"] = codes[0].size
        self._add(name, codes, extra)

    def add_exact(self, name: str, array: NDArray[np.floating[Any]]) -> None:
        """Add real numbers that the page prints, as float32."""
        self._add(name, array.astype(np.float32), {})

    def add_columns(
        self, name: str, array: NDArray[np.floating[Any]], bits: int = 16, *, related: bool = False
    ) -> None:
        """Add real numbers whose last axis holds quantities of different size: each has codes of its own.

        Parameters
        ----------
        name : str
        array : real, any shape
        bits : 2 to 16; at most 8 where ``related``
        related : whether columns resemble those before them; told from these where that is smaller, and as exact
        """
        columns = array.reshape(-1, array.shape[-1]) if array.size else array.reshape(0, 1)
        codes, lows, spacings = _codes(columns, bits)
        self.add_exact(f"{name}.low", np.array(lows))
        self.add_exact(f"{name}.step", np.array(spacings))
        extra = {"low": f"{name}.low", "step": f"{name}.step"}
        if related and codes.size:
            told = _smaller(codes)
            if told:
                codes, weights = told
                self._add(f"{name}.weights", weights, {})
                extra["weights"] = f"{name}.weights"
        self._add(name, codes.reshape(array.shape), extra)

    def _add(self, name: str, array: NDArray[Any], extra: dict[str, Any]) -> None:
        ordered = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        data = ordered.reshape(-1, 1).view(np.uint8).T.tobytes()  # a plane for each byte of a number
        self._directory[name] = {"type": array.dtype.name, "shape": list(array.shape), "at": self._size, **extra}
        self._blocks.append(data)
        self._size += len(data)

    def block(self, description: dict[str, Any]) -> str:
        """A description of the page and the arrays as base64 text.

        Parameters
        ----------
        description : dict of what JSON holds
            It gets a further entry, ``arrays``: name to type, shape and place of every array.
        """
        described = json.dumps({**description, "arrays": self._directory}, separators=(",", ":"), allow_nan=False)
        packer = zlib.compressobj(9, wbits=_GZIP, memLevel=_MEMORY, strategy=zlib.Z_FILTERED)
        parts = (described.encode("ascii") + b"\n", *self._blocks)
        made = b"".join(packer.compress(part) + packer.flush(zlib.Z_BLOCK) for part in parts) + packer.flush()
        return base64.b64encode(made).decode("ascii")


def _smaller(
    codes: NDArray[np.unsignedinteger[Any]],
) -> tuple[NDArray[np.uint8], NDArray[np.int16]] | None:
    """What ``_told`` makes of the columns, where it takes less room than they do."""
    room = len(zlib.compress(codes.tobytes()))
    if 2 * codes.shape[1] ** 2 >= room:  # the weights alone; to find those of many columns takes long
        return None
    rests, weights = _told(codes)
    return (rests, weights) if len(zlib.compress(rests.tobytes())) + weights.nbytes < room else None


def _told(codes: NDArray[np.unsignedinteger[Any]]) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Zigzag of what least squares leave of each column (n, columns), modulo 256, and their weights (columns, columns).

    Row c holds the weights of column c: of the constant ``_UNIT``, then of the columns before it, times ``_PARTS``.
    """
    columns = codes.shape[1]
    known = np.column_stack([np.full(len(codes), _UNIT), codes]).astype(np.int64)
    products = (known.T @ known).astype(np.float64)  # exact: whole numbers far below 2^53
    # for columns that are constant or twice there
    products[np.diag_indices(columns + 1)] += 0.01 * len(codes)
    weights, rests = np.zeros((columns, columns), np.int16), np.empty(codes.shape, np.uint8)
    for column in range(columns):
        before = slice(0, column + 1)
        found = np.linalg.solve(products[before, before], products[before, column + 1])
        weights[column, before] = np.clip(np.round(found * _PARTS), -32768, 32767)
        told = (known[:, before] @ weights[column, before].astype(np.int64) + _PARTS // 2) // _PARTS
        rest = (known[:, column + 1] - told).astype(np.int8)
        rests[:, column] = ((rest << 1) ^ (rest >> 7)).view(np.uint8)
    return rests, weights


def _changes(codes: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.unsignedinteger[Any]]:
    """Zigzag of the differences along the first axis, of the same type."""
    steps = (codes[1:] - codes[:-1]).view(f"i{codes.itemsize}")
    changed: NDArray[np.unsignedinteger[Any]] = ((steps << 1) ^ (steps >> (8 * codes.itemsize - 1))).view(codes.dtype)
    return changed


def _codes(
    columns: NDArray[np.floating[Any]], bits: int
) -> tuple[NDArray[np.unsignedinteger[Any]], list[float], list[float]]:
    """Codes (n, columns), and for each column its minimum and the distance between two codes."""
    top = 2**bits - 2
    kind: type[np.unsignedinteger[Any]] = np.uint8 if bits <= 8 else np.uint16
    codes = np.empty(columns.shape, kind)
    lows, spacings = [], []
    for place, column in enumerate(columns.T):
        finite = np.isfinite(column)
        low = float(column[finite].min()) if finite.any() else 0.0
        step = (float(column[finite].max()) - low) / top if finite.any() else 0.0
        scaled = np.where(finite, column.astype(np.float64) - low, 0) / (step or 1)
        codes[:, place] = np.where(finite, np.round(scaled), np.iinfo(kind).max)
        lows.append(low)
        spacings.append(step)
    return codes, lows, spacings
