"""From the bytes of a fuzzer to structured nonsense: JSON and arrays that are nearly what a parser expects."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

Item = TypeVar("Item")

DEEP: Any = 0
for _ in range(60):
    DEEP = [DEEP]

ATOMS: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    7,
    2**31,
    -(2**63),
    2**64,
    10**400,
    -0.0,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "0",
    "nan",
    " ",
    "\x00",
    "\ud800",
    "\u202e",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "x" * 3000,
    [],
    {},
    [[]],
    [None],
    {"": {}},
    {"value": None},
    [0] * 300,
    DEEP,
)
PIECES = (
    b"\x00",
    b"\n",
    b"\r\n",
    b"\t",
    b'"',
    b"'",
    b"|",
    b"{",
    b"}",
    b"[" * 2000,
    b'{"a":' * 500,
    b"]",
    b"\\u",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
    b"\xed\xa0\x80",
    b"-",
    b"1e999",
    b"9" * 5000,
    b"0x" + b"f" * 5000,
    b"nan",
    b"null",
    b"NaN",
    b"-Infinity",
    b"2147483648",
    b"..",
    b":",
    b"=",
    b"a.b.c",
    b" " * 50,
)
TYPES = ("f4", "f8", "i1", "i4", "i8", "u8", "?", "c8", "U3", "S2", "f2", ">i4")


class Choices:
    """Draws from bytes; zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, count: int) -> int:
        """A number from 0 to ``count`` - 1."""
        size = 1 if count <= 256 else 2
        number = int.from_bytes(self._data[self._at : self._at + size], "little")
        self._at += size
        return number % max(1, count)

    def of(self, items: Sequence[Item]) -> Item:
        return items[self.below(len(items))]

    def rest(self) -> bytes:
        return self._data[self._at :]


def disturbed(value: Any, choices: Choices) -> Any:
    """A copy of a JSON value in which one to four things are wrong."""
    value = copy.deepcopy(value)
    for _ in range(1 + choices.below(4)):
        value = _disturb(value, choices)
    return value


def _disturb(value: Any, choices: Choices) -> Any:
    if isinstance(value, (dict, list)) and value and choices.below(8):
        key = choices.of(sorted(value, key=str)) if isinstance(value, dict) else choices.below(len(value))
        action = choices.below(10)
        if action == 0:
            del value[key]
        elif action == 1 and isinstance(value, dict):
            value[str(choices.of(ATOMS))[:40]] = value.pop(key)
        elif action == 1:
            value.append(copy.deepcopy(value[key]))
        elif action == 2:
            other = choices.of(sorted(value, key=str)) if isinstance(value, dict) else choices.below(len(value))
            value[key], value[other] = value[other], value[key]
        else:
            value[key] = _disturb(value[key], choices)
        return value
    return copy.deepcopy(choices.of(ATOMS))


def disturbed_arrays(arrays: dict[str, np.ndarray], choices: Choices) -> dict[str, np.ndarray]:
    """Arrays of which up to three have another type, shape, name or content."""
    arrays = dict(arrays)
    for _ in range(choices.below(4)):
        if not arrays:
            break
        name = choices.of(sorted(arrays))
        action = choices.below(8)
        if action == 0:
            del arrays[name]
        elif action == 1:
            arrays[choices.of(("x", "", "a/b", "../up", *sorted(arrays)))] = arrays.pop(name)
        elif action == 2:
            arrays[name] = _in_type(arrays[name], choices.of(TYPES))
        elif action == 3:
            arrays[name] = _in_shape(arrays[name], choices.below(8))
        else:
            arrays[name] = _with_values(arrays[name], choices)
    return arrays


def _in_type(array: np.ndarray, kind: str) -> np.ndarray:
    try:
        with np.errstate(all="ignore"):
            return array.astype(kind)
    except (ValueError, TypeError):
        return np.zeros(array.shape, kind)


def _in_shape(array: np.ndarray, way: int) -> np.ndarray:
    if not array.ndim:
        return array[None]
    if way == 0:
        return array.reshape(-1)
    if way == 1:
        return array[None]
    if way == 2:
        return array[..., None]
    if way == 3:
        return array[:0]
    if way == 4:
        return array[: len(array) // 2]
    if way == 5 and array.size:
        return array.reshape(-1)[:1].reshape(())
    if way == 6:
        return np.concatenate([array, array[:1]])
    return np.swapaxes(array, 0, -1) if array.ndim > 1 else array[..., :0]


def _with_values(array: np.ndarray, choices: Choices) -> np.ndarray:
    array = array.copy()
    if not array.size:
        return array
    place = choices.below(array.size)
    if array.dtype.kind in "fc":
        array.flat[place] = choices.of((np.nan, np.inf, -np.inf, 1e30, -1.0, 0.0))
    elif array.dtype.kind in "iu":
        limits = np.iinfo(array.dtype)
        array.flat[place] = choices.of((limits.min, limits.max, 0, limits.max // 2))
    elif array.dtype.kind in "US":
        array.flat[place] = choices.of(("", "\ud800", "a", "\x00"))[:1] if array.dtype.kind == "U" else b""
    return array


def mutated(seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """A seed with bytes changed, removed, repeated or put in, or the halves of two."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        start = rng.randrange(len(data) + 1)
        stop = min(len(data), start + rng.choice((1, 1, 2, 4, 16)))
        data[start:stop] = rng.choice(
            (
                rng.randbytes(1),
                rng.randbytes(stop - start),
                b"",
                bytes(data[start:stop]) * 2,
                rng.choice(PIECES),
                bytes(rng.choice(seeds)[start : stop + 8]),
            )
        )
    return bytes(data)
