"""Whether the parts of a result, and the results of a run, fit together, as ``shapes.py`` and ``entries.py`` say.

Pages index one result by another: what does not fit would fail there, or show the wrong thing without failing.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnreport.results.entries import ENTRIES
from rnnreport.results.recorded import Ints, Probe, StateKey
from rnnreport.results.schema import WEIGHTINGS
from rnnreport.results.shapes import SHAPES

Sizes = dict[str, int]
_CALL = re.compile(r"(sum|squares|products)\((\w+)(?:,(\w+))?\)")
_OF_KEYS = ("states", "complete", "keys")  # what these words of ``shapes.py`` ask for holds of all keys of a dict
_SHARED = re.compile(r"[A-Z][a-z]\w+@?")
_ROUNDING = 1e-4  # by which a share may miss its bounds


@dataclass
class Known:
    """What is known of the results of a run from those read so far.

    Attributes
    ----------
    states : tuple of str, the StateKeys of the run
    sizes : dict of the words of ``shapes.py`` to what they stand for
    lengths : int32 (N,), of the sequences of the probe set; None before it was read
    """

    states: tuple[str, ...] = ()
    sizes: Sizes = field(default_factory=dict)
    lengths: Ints | None = None


def refuse_misfit(record: Any, state: int | None, known: Known | None) -> None:
    """Raise where the parts of a result do not fit together, or not with other results of the run.

    Parameters
    ----------
    record : a dataclass of ``schema`` or ``recorded.py``
    state : int, optional
        Number of the state that it is of in the manifest, where gates follow the states; None of what is of all.
    known : Known, optional
        From the results that were read before; this one is added.

    Raises
    ------
    ValueError
        Says which part does not fit.
    """
    kind = type(record)
    if known is not None and state is not None:
        _refuse_other_state(record, state, known.states)
    known = known or Known()
    if isinstance(record, Probe):
        known.lengths = record.lengths
        known.sizes["Answers"] = len(record.vocabulary if record.task == "language-model" else record.class_names)
    fit = _Fit(record, known)
    for name, line in SHAPES.get(kind, {}).items():
        fit.check(name, getattr(record, name), line)
    for name, entries in ENTRIES.get(kind, {}).items():
        fit.check_entries(name, getattr(record, name), entries)


def _refuse_other_state(record: Any, number: int, states: tuple[str, ...]) -> None:
    scope = getattr(record, "scope", None)
    if not isinstance(scope, str):
        return
    if number < len(states):
        _expect(scope == states[number], f"scope is {scope[:60]!r}, not {states[number][:60]!r}")
    else:
        _refuse_no_state("scope", scope)
        _expect(scope not in states, f"scope is {scope[:60]!r}, which is no gate")


def _refuse_no_state(name: str, text: str) -> None:
    try:
        StateKey.parse(text)
    except ValueError as error:
        raise ValueError(f"{name} holds {text[:60]!r}, which is no StateKey") from error


class _Fit:
    """The sizes of a record, as far as they are known."""

    def __init__(self, record: Any, known: Known) -> None:
        self.record = record
        self.own: Sizes = {}
        self.known, self.together = known, known.sizes
        self.key = ""  # of the dict that is checked

    def check(self, name: str, value: Any, line: str) -> None:
        shapes, rules = _parsed(line)
        if hasattr(self.record, "analysis") and "infinite" not in rules:
            rules = (*rules, "bounded")
        each = isinstance(value, dict) and bool(shapes)
        for key, array in value.items() if each else [("", value)]:
            self.key = key
            if shapes and not any(self._has(_shape(array, len(one)), one) for one in shapes):
                wanted = " or ".join(f"({', '.join(map(self._in_words, one))})" for one in shapes)
                raise ValueError(f"{name} is of shape {_shape(array, len(shapes[-1]))}, not {wanted}")
            for rule in rules:
                if not (each and rule.startswith(_OF_KEYS)):
                    self._keep(name, array, rule, key)
        for rule in rules:
            if each and rule.startswith(_OF_KEYS):
                self._keep(name, tuple(value), rule)

    def check_entries(self, name: str, value: Any, entries: dict[str, str]) -> None:
        """Check objects: the value itself, or where that is a list, or ``each`` is asked for, what it holds."""
        each = "each" in entries
        every = value if isinstance(value, tuple) else list(value.values()) if each else [value]
        for one in every:
            _expect(isinstance(one, dict), f"{name} holds what is no object")
            for key, line in entries.items():
                if key == "each":
                    continue
                kind, *rules = line.split("; ")
                there = key.rstrip("?") in one
                _expect(there or key.endswith("?"), f"{name} has no {key!r}")
                if there:
                    self._check_entry(f"{name}[{key.rstrip('?')!r}]", one[key.rstrip("?")], kind, rules)

    def _check_entry(self, where: str, value: Any, kind: str, rules: list[str]) -> None:
        _expect(_of_kind(value, kind), f"{where} is {str(value)[:60]!r}, not {kind}")
        for rule in rules if value is not None else ():
            self._keep(where, np.asarray(value) if isinstance(value, (list, tuple)) else value, rule)

    def _has(self, shape: tuple[int, ...], wanted: tuple[str, ...]) -> bool:
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

    def _keep(self, name: str, value: Any, rule: str, key: str = "") -> None:
        word, _, rest = rule.partition(" ")
        value = np.nan if value is None else value  # so is NaN written
        array = np.asarray(value) if isinstance(value, (int, float)) else value
        _RULES.get(word, _Fit._within)(self, name, array, rest or word, key)

    # what each word of ``shapes.py`` asks for: of a field, its value (of a dict, that of a key), and what follows it

    def _in(self, name: str, array: Any, rest: str, _: str) -> None:
        allowed = list(getattr(self.record, rest))
        wrong = [item for item in _items(array) if item not in allowed]
        _expect(not wrong, f"{name} is {str(wrong[:1])[1:-1][:60]}, which is none of {rest}")

    def _one(self, name: str, array: Any, rest: str, _: str) -> None:
        _expect(set(array) <= set(rest.split(", ")), f"{name} are not all one of {rest}")

    def _states(self, name: str, array: Any, _: str, __: str) -> None:
        for item in _items(array):
            _refuse_no_state(name, item)

    def _weightings(self, name: str, array: Any, _: str, __: str) -> None:
        _expect(set(_items(array)) <= WEIGHTINGS.keys(), f"{name} are not all weightings")

    def _keys(self, name: str, array: Any, rest: str, _: str) -> None:
        _expect(set(array) == set(getattr(self.record, rest)), f"{name} are not those of {rest}")

    def _keyed(self, name: str, _: Any, rest: str, key: str) -> None:
        _expect(key in getattr(self.record, rest), f"{name} has {key[:60]!r}, unlike {rest}")

    def _on(self, name: str, array: Any, rest: str, key: str) -> None:
        steps = getattr(self.record, rest).get(key, np.zeros((0, 1)))[:, 0]
        _expect(array[0] in steps, f"{name}[{key!r}] is no step of its curve")

    def _column(self, name: str, array: Any, rest: str, _: str) -> None:
        column, _, within = rest.partition(" ")
        self._keep(name, array[:, int(column)], within)

    def _spatial(self, _: str, array: Any, __: str, ___: str) -> None:
        self.together |= {"spatial": len(array), **{f"spatial {method}": 3 for method in array}}

    def _columns(self, name: str, array: Any, _: str, key: str) -> None:
        known = "spatial" not in self.together or f"spatial {key}" in self.together  # read alone, it may be either
        _expect(array.shape[-1] == 2 or known, f"{name}[{key!r}] has a column too many")

    def _same(self, name: str, array: Any, rest: str, _: str) -> None:
        there = zlib.crc32(array.astype(np.int64).tobytes())
        known = self.together.setdefault(f"same {rest}", there)
        _expect(known == there, f"{name} are not those of other results")

    def _known(self, name: str, array: Any, _: str, __: str) -> None:
        _expect(not np.isnan(array[0]).all(), f"{name} are not known")

    def _least(self, name: str, array: Any, rest: str, _: str) -> None:
        _expect(len(array) >= int(rest), f"{name} are fewer than {rest}")

    def _is(self, name: str, array: Any, rest: str, _: str) -> None:
        _expect(self._size(rest) in (None, int(array)), f"{name} is {array}, not {self._in_words(rest)}")

    def _sum(self, name: str, array: Any, rest: str, _: str) -> None:
        total = int(array.sum(dtype=np.int64))
        _expect(self._learnt(rest, total) == total, f"{name} add up to {total}, not {self._in_words(rest)}")

    def _like(self, name: str, array: Any, rest: str, _: str) -> None:
        some = int(array.size > 0)
        _expect(self._learnt(rest, some) == some, f"{name} are {'' if some else 'not '}there, unlike others")

    def _increasing(self, name: str, array: Any, _: str, __: str) -> None:
        _expect(bool((np.diff(array.astype(np.float64)) >= 0).all()), f"{name} are not increasing")

    def _rising(self, name: str, array: Any, _: str, __: str) -> None:
        _expect(bool((np.diff(array.astype(np.float64)) > 0).all()), f"{name} are not rising")

    def _share(self, name: str, array: Any, _: str, __: str) -> None:
        inside = np.isnan(array) | ((array >= -_ROUNDING) & (array <= 1 + _ROUNDING))
        _expect(bool(inside.all()), f"{name} are not all from 0 to 1")

    def _below(self, name: str, array: Any, rest: str, _: str) -> None:
        lengths, owners = (getattr(self.record, one) for one in rest.split())
        known = owners >= 0
        _expect(bool((array[known] < lengths[owners[known]]).all()), f"{name} are beyond the {rest.split()[0]}")

    def _before(self, name: str, array: Any, rest: str, _: str) -> None:
        lengths, *counts = (getattr(self.record, one) for one in rest.split())
        _expect(bool((array < np.repeat(lengths, *(counts or [1]))).all()), f"{name} are beyond the {rest.split()[0]}")

    def _no_longer(self, name: str, array: Any, rest: str, _: str) -> None:
        if self.known.lengths is not None:
            whole = self.known.lengths[getattr(self.record, rest)]
            _expect(bool((array <= whole).all()), f"{name} are longer than the {rest}")

    def _tree(self, name: str, array: Any, rest: str, _: str) -> None:
        owners = getattr(self.record, rest)
        trees, starts = np.unique(owners, return_index=True)
        own = np.arange(array.size) - starts[np.searchsorted(trees, owners)]
        _expect(bool((array < own).all()), f"{name} do not stand before what follows them")

    def _all(self, name: str, array: Any, rest: str, _: str) -> None:
        _expect(np.unique(array).size == self._size(rest), f"{name} leave out some of {self._in_words(rest)}")

    def _some(self, name: str, array: Any, _: str, __: str) -> None:
        there = np.size(array) > 0
        _expect(there or getattr(self.record, "reason", "") != "", f"{name} are none, without a reason")

    def _complete(self, name: str, array: Any, _: str, __: str) -> None:
        missing = [key for key in self.known.states if key not in array]
        _expect(not missing, f"{name} are not those of {str(missing[:1])[1:-1][:60]}")

    def _finite(self, name: str, array: Any, _: str, __: str) -> None:
        _expect(bool(np.isfinite(array).all()), f"{name} are not all finite")

    def _bounded(self, name: str, array: Any, _: str, __: str) -> None:
        floating = isinstance(array, np.ndarray) and array.dtype.kind == "f"
        _expect(not (floating and np.isinf(array).any()), f"{name} are not all finite")

    def _within(self, name: str, array: Any, bounds: str, _: str) -> None:
        array = np.asarray(array)
        if not array.size:
            return
        low, high = bounds.split("..")
        most = self._size(high) if high else None
        holds = not (array < int(low)).any() and (most is None or not (array >= most).any())  # NaN is neither
        _expect(holds, f"{name} are not all from {low}" + (f" to below {self._in_words(high)}" if high else " up"))

    def _learnt(self, text: str, size: int) -> int:
        """The value of a size, which is this one where it was not known yet."""
        if self._size(text) is None:
            self._learn(text, size)
        known = self._size(text)
        return size if known is None else known

    def _learn(self, text: str, size: int) -> None:
        (self.together if _SHARED.fullmatch(text) else self.own)[self._name(text)] = size

    def _name(self, text: str) -> str:
        return f"{text}{self.key or self.record.scope}" if text.endswith("@") else text

    def _size(self, text: str) -> int | None:
        """The value of a size; None where it is not known yet."""
        total = 0
        for sign, factors in _terms(text):
            product = sign
            for factor in factors:
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
            factor = {"sum": 1, "squares": first, "products": getattr(self.record, call[3] or call[2])}[call[1]]
            return int((first * factor).sum())
        return (self.together if _SHARED.fullmatch(text) else self.own).get(self._name(text))

    def _in_words(self, text: str) -> str:
        known = None if text == "*" or text.isdecimal() else self._size(text)
        return text.rstrip("@") if known is None else f"{text.rstrip('@')} = {known}"


# the words of the lines; what is none of them is a pair of bounds
_RULES: dict[str, Callable[[_Fit, str, Any, str, str], None]] = {
    "in": _Fit._in,
    "one": _Fit._one,
    "states": _Fit._states,
    "weightings": _Fit._weightings,
    "keys": _Fit._keys,
    "keyed": _Fit._keyed,
    "on": _Fit._on,
    "column": _Fit._column,
    "spatial": _Fit._spatial,
    "columns": _Fit._columns,
    "same": _Fit._same,
    "known": _Fit._known,
    "least": _Fit._least,
    "is": _Fit._is,
    "sum": _Fit._sum,
    "like": _Fit._like,
    "increasing": _Fit._increasing,
    "rising": _Fit._rising,
    "share": _Fit._share,
    "below": _Fit._below,
    "before": _Fit._before,
    "within": _Fit._no_longer,
    "tree": _Fit._tree,
    "all": _Fit._all,
    "some": _Fit._some,
    "complete": _Fit._complete,
    "finite": _Fit._finite,
    "bounded": _Fit._bounded,
    "infinite": lambda *_: None,  # it asks for nothing: without it a result is bounded
}


@functools.cache
def _parsed(line: str) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """The shapes of a line, each its sizes, and the rules for the values."""
    shapes, *rules = line.split("; ")
    return tuple(tuple(one.split()) for one in shapes.split(" | ")) if shapes else (), tuple(rules)


@functools.cache
def _terms(text: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """A computed size as a sum of products: of each its sign and its factors."""
    terms = re.split(r"(?=[-+])", text)
    return tuple((-1 if term.startswith("-") else 1, tuple(term.lstrip("+-").split("*"))) for term in terms)


def _shape(value: Any, axes: int) -> tuple[int, ...]:
    """Of a tuple of equally long tuples it has two axes, where so many are asked for."""
    if isinstance(value, np.ndarray):
        return tuple(value.shape)
    lengths = {len(item) for item in value} if axes > 1 else set()
    return (len(value), *(lengths if len(lengths) == 1 else ()))


def _items(value: Any) -> list[Any]:
    """What an array or tuple holds; a text or number alone."""
    if isinstance(value, str):
        return [value]
    return list(np.atleast_1d(value) if isinstance(value, np.ndarray) else value)


def _of_kind(value: Any, kind: str) -> bool:
    if kind.endswith("?"):
        return value is None or _of_kind(value, kind[:-1])
    if kind.endswith("s"):
        return isinstance(value, (list, tuple)) and all(_of_kind(item, kind[:-1]) for item in value)
    if kind == "number":
        return type(value) in (int, float)
    return type(value) is {"integer": int, "text": str, "flag": bool, "object": dict}[kind]


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
