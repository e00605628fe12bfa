"""Plain values, as a stranger's JSON holds them, into the types that a record's fields are declared with.

What passes is what our own writer could have written: later stages need not doubt it again.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any

import numpy as np

_DEEPEST = 12  # of values that no type describes
_KINDS = {"f": "f", "i": "iu", "u": "iu"}  # of arrays: the kind that is declared, and those that will do


def typed(value: Any, hint: Any, where: str = "") -> Any:
    """The value in a type: lists become tuples, and objects dataclasses, where the type says so.

    Parameters
    ----------
    value : parsed JSON, or an array
    hint : a type, as ``typing.get_type_hints`` gives it
    where : str
        What it is the value of, for messages.

    Raises
    ------
    ValueError
        Says what is wrong with which field.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _record(value, hint, where)
    if origin in (typing.Union, types.UnionType):
        return _one_of(value, arguments, where)
    if origin is typing.Literal:
        return _expect(value, isinstance(value, str) and value in arguments, where, f"one of {arguments}")
    if origin is tuple:
        _expect(value, isinstance(value, list), where, "a list")
        return tuple(typed(item, arguments[0], f"an item of {where}") for item in value)
    if origin is dict:
        _expect(value, isinstance(value, dict), where, "an object")
        return {key: typed(item, arguments[1], f"{where}[{key[:40]!r}]") for key, item in value.items()}
    if origin is np.ndarray or hint is np.ndarray:
        return _array(value, arguments, where)
    return _plain(value, hint, where)


def typed_entries(value: dict[str, Any], entries: dict[str, Any], where: str) -> None:
    """Check the entries that an object must have; it may have others.

    Raises
    ------
    ValueError
    """
    for name, hint in entries.items():
        if name not in value:
            raise ValueError(f"{where} has no {name!r}")
        typed(value[name], hint, f"{where}[{name!r}]")


def _expect(value: Any, holds: bool, where: str, wanted: str) -> Any:
    if not holds:
        raise ValueError(f"{where or 'it'} is {_shown(value)}, not {wanted}")
    return value


def _shown(value: Any) -> str:
    return repr(value)[:60] if isinstance(value, (str, int, float, bool, type(None))) else type(value).__name__


def _record(value: Any, kind: Any, where: str) -> Any:
    _expect(value, isinstance(value, dict), where, "an object")
    hints = typing.get_type_hints(kind)
    names = {field.name for field in dataclasses.fields(kind)}
    if wrong := sorted(set(value) ^ names):
        raise ValueError(f"{where or 'it'} has the wrong keys: {[name[:40] for name in wrong[:20]]}")
    return kind(**{name: typed(item, hints[name], name) for name, item in value.items()})


def _one_of(value: Any, kinds: tuple[Any, ...], where: str) -> Any:
    """A value of the first type that it fits; of dataclasses the one that has its keys."""
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if set(kinds) <= {str, int, float, bool}:
        return typed(value, next((kind for kind in kinds if type(value) is kind), kinds[0]), where)
    names = set(value) if isinstance(value, dict) else set()
    fitting = [
        kind
        for kind in kinds
        if not dataclasses.is_dataclass(kind) or names == {field.name for field in dataclasses.fields(kind)}
    ]
    return typed(value, (fitting or kinds)[0], where)


def _array(value: Any, arguments: tuple[Any, ...], where: str) -> Any:
    if not arguments:
        return _expect(value, isinstance(value, np.ndarray), where, "an array")
    declared = np.dtype(typing.get_args(arguments[1])[0])
    fits = isinstance(value, np.ndarray) and value.dtype.kind in _KINDS.get(declared.kind, declared.kind)
    _expect(value, fits, where, f"an array of {declared}")
    if declared.kind not in "iu" or value.dtype == declared:
        return value
    limits = np.iinfo(declared)  # sums of smaller integers would wrap around
    inside = not value.size or (int(value.min()) >= limits.min and int(value.max()) <= limits.max)
    return _expect(value, inside, where, f"an array of {declared}").astype(declared)


def _plain(value: Any, hint: Any, where: str) -> Any:
    """A text, a truth value or a number; of a field that no type describes, anything JSON holds."""
    if hint is Any:
        return _anything(value, where)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value, where)
    if hint is int and type(value) is int:
        return _number(value, where)
    if hint is float and value is None:  # what is not a number is written so
        return None
    return _expect(value, hint in (str, bool) and isinstance(value, hint), where, getattr(hint, "__name__", str(hint)))


def _number(value: int | float, where: str) -> int | float | None:
    """No infinity: JSON has none, though 1e999 becomes one."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{where} is a number of more than 64 bits")
    return value


def _anything(value: Any, where: str, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise ValueError(f"{where} is nested too deeply")
    if isinstance(value, dict):
        return {key: _anything(item, where, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_anything(item, where, depth + 1) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value, where)
    return value
