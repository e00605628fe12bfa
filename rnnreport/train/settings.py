"""The configuration of a training: what its TOML file may say, and one line for everything it may not.

Each table of the file is a dataclass here, each key a field, with dashes for underscores. Values are data: nothing is
evaluated or imported.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rnnreport.budget import Budget
from rnnreport.errors import InputError
from rnnreport.load.files import read_source
from rnnreport.reading import parse_toml
from rnnreport.train.nets import Cell

_LARGEST = 1e300
_SEEDS = 2**63


def _limited(default: Any, wanted: str, holds: Callable[[Any], bool]) -> Any:
    """A key whose value must be more than of the right type; ``wanted`` says it in words."""
    return dataclasses.field(default=default, metadata={"wanted": wanted, "holds": holds})


def _from(least: int, default: int) -> Any:
    return _limited(default, f"a whole number from {least}", lambda value: value >= least)


def _positive(default: float | None) -> Any:
    return _limited(default, "a number above 0", lambda value: value > 0)


def _file_or_share() -> Any:
    return _limited(
        0.1, 'the name of a file, or a share of "train" between 0 and 1', lambda v: bool(v) if _text(v) else 0 < v < 1
    )


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _different(values: tuple[Any, ...]) -> bool:
    return bool(values) and len(set(values)) == len(values)


@dataclass(frozen=True)
class Data:
    """``[data]``: corpora, as ``rnnreport run`` reads them, and how they are split.

    Attributes
    ----------
    train : str, file; relative names count from the folder of the configuration
    valid, test : str, file; or float, the share of ``train`` that is set apart: by a hash of the sequence ids, from
        running text its end
    tokenizer : of text
    sequence_length : int, tokens per sequence of running text
    vocabulary : str, file; "" makes one of the tokens of the training split
    min_count : int, rarer tokens of the training split count as unknown
    classes : tuple of str, names of the outputs in their order; () sorts those of all splits
    """

    train: str
    valid: str | float = _file_or_share()
    test: str | float = _file_or_share()
    tokenizer: Literal["whitespace", "word", "char"] = "whitespace"
    sequence_length: int = _from(2, 64)
    vocabulary: str = ""
    min_count: int = _from(1, 1)
    classes: tuple[str, ...] = _limited((), "a list of different names", _different)


@dataclass(frozen=True)
class Model:
    """``[model]``: the net.

    Attributes
    ----------
    cell : {"RNN", "GRU", "LSTM"}
    units : int, of every layer; or tuple of int, one layer of each size, from the input up
    layers : int
    embedding : int, size of the vector of a token; unused where the input is numbers
    direction : "both" adds units that read from the end
    dropout : float, of embeddings, between layers and before the output, in training only
    """

    cell: Cell = "LSTM"
    units: int | tuple[int, ...] = _limited(
        64,
        "a whole number from 1, or a list of them, one per layer",
        lambda value: min(value, default=0) >= 1 if isinstance(value, tuple) else value >= 1,
    )
    layers: int = _from(1, 1)
    embedding: int = _from(1, 64)
    direction: Literal["forward", "both"] = "forward"
    dropout: float = _limited(0.0, "a number from 0 to below 1", lambda value: 0 <= value < 1)


@dataclass(frozen=True)
class Fit:
    """``[training]``: how the weights are found.

    Attributes
    ----------
    epochs, batch_size : int
    optimiser : {"adam", "adamw", "rmsprop", "sgd"}
    learning_rate, weight_decay : float
    momentum : float, of sgd and rmsprop
    clip : float, largest norm of a gradient; None leaves it as it is
    balance : of unequal classes, in the training split: "weights" weighs an answer by the rarity of its class,
        "oversample" repeats sequences of the rarer classes
    seeds : tuple of int, one training and run folder for each
    threads : int, of the processor; the bits of the result depend on their number
    """

    epochs: int = _from(1, 20)
    batch_size: int = _from(1, 32)
    optimiser: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    learning_rate: float = _positive(0.001)
    weight_decay: float = _limited(0.0, "a number from 0", lambda value: value >= 0)
    momentum: float = _limited(0.0, "a number from 0 to below 1", lambda value: 0 <= value < 1)
    clip: float | None = _positive(None)
    balance: Literal["none", "weights", "oversample"] = "none"
    seeds: tuple[int, ...] = _limited(
        (0,),
        "a list of different whole numbers from 0",
        lambda values: _different(values) and min(values) >= 0 and max(values) < _SEEDS,
    )
    threads: int = _limited(1, "a whole number from 1 to 1024", lambda value: 1 <= value <= 1024)


@dataclass(frozen=True)
class Schedule:
    """``[schedule]``: the learning rate over the epochs.

    Attributes
    ----------
    kind : "constant"; "step" multiplies it by ``factor`` after every ``every`` epochs; "cosine" lets it fall to 0;
        "plateau" multiplies it by ``factor`` after more than ``patience`` epochs without a lower validation loss
    factor : float
    every, patience : int
    """

    kind: Literal["constant", "step", "cosine", "plateau"] = "constant"
    factor: float = _limited(0.5, "a number between 0 and 1", lambda value: 0 < value < 1)
    every: int = _from(1, 1)
    patience: int = _from(0, 0)


@dataclass(frozen=True)
class Stopping:
    """``[stopping]``: end after ``patience`` epochs without a lower validation loss, and go back to the best one."""

    patience: int = _from(1, 5)


@dataclass(frozen=True)
class Record:
    """``[record]``: the split on which states are recorded, most steps of it, and what rerunning the net may cost."""

    split: Literal["test", "valid"] = "test"
    max_steps: int = _from(1, 20_000)
    budget: Budget = "standard"


@dataclass(frozen=True)
class Settings:
    """The whole file. ``name`` is the title of the run; without ``[stopping]`` all epochs are trained."""

    data: Data
    name: str = ""
    model: Model = Model()
    training: Fit = Fit()
    schedule: Schedule = Schedule()
    stopping: Stopping | None = None
    record: Record = Record()


def read_settings(path: Path, overrides: Iterable[str] = ()) -> Settings:
    """Read a configuration.

    Parameters
    ----------
    path : Path
        A TOML file.
    overrides : iterable of str
        ``TABLE.KEY=VALUE``, set before the values are checked; VALUE is read as TOML, else as text.

    Raises
    ------
    InputError
        If the file cannot be read, or a key or value is not allowed; names the key by its path.
    """
    try:
        given = parse_toml("\n".join(read_source(path).lines()))
    except ValueError as error:
        raise InputError(f"{path}: not TOML: {error}", "correct the file") from error
    for override in overrides:
        _override(given, override)
    settings = settings_from(given, str(path))
    _refuse_without_effect(given, settings, str(path))
    shares = [share for share in (settings.data.valid, settings.data.test) if not isinstance(share, str)]
    if sum(shares) >= 1:
        raise InputError(f"{path}: data.valid and data.test leave nothing to train on", "give smaller shares")
    return settings


def settings_from(given: Any, origin: str) -> Settings:
    """Settings of the values of a file, or of what ``plain`` made.

    Raises
    ------
    InputError
        If a key or value is not allowed; begins with ``origin``.
    """
    settings: Settings = _table(Settings, given, "", origin)
    return settings


def plain(settings: Any) -> dict[str, Any]:
    """Settings, or a table of them, as JSON values with the keys of the file, those that are not set left out."""
    values = {_key(field): getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {
        key: plain(value) if dataclasses.is_dataclass(value) else list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if value is not None and value != ()
    }


def _override(given: dict[str, Any], text: str) -> None:
    path, equals, value = text.partition("=")
    *tables, key = path.strip().split(".")
    for name in tables:
        given = given.setdefault(name, {}) if isinstance(given, dict) else given
    if not equals or not isinstance(given, dict):
        raise InputError(f"the override {text!r} is not TABLE.KEY=VALUE", "write for example training.epochs=5")
    try:
        parsed = parse_toml(f"value = {value}")
    except ValueError:
        parsed = {}
    given[key] = parsed["value"] if parsed.keys() == {"value"} else value


def _key(field: dataclasses.Field[Any]) -> str:
    return field.name.replace("_", "-")


def _table(kind: type[Any], given: Any, where: str, origin: str) -> Any:
    """A dataclass from a table; ``where`` is its path, "" for the whole file."""
    if not isinstance(given, dict):
        raise InputError(f"{origin}: {where} is {_shown(given)}, not a table", f"write [{where}] above its keys")
    fields = {_key(field): field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    for key in given:
        if key not in fields:
            raise _unknown(key, list(fields), where, origin)
    values = {}
    for key, field in fields.items():
        path = f"{where}.{key}" if where else key
        if key in given:
            values[field.name] = _value(field, hints[field.name], given[key], path, origin)
        elif field.default is dataclasses.MISSING:
            raise InputError(f"{origin}: {path} is missing", "every configuration needs it")
    return kind(**values)


def _unknown(key: str, allowed: list[str], where: str, origin: str) -> InputError:
    near = difflib.get_close_matches(key.replace("_", "-").lower(), allowed, n=1)
    guess = f", did you mean {near[0]!r}?" if near else ""
    path = f"{where}.{key}" if where else key
    place = f"in [{where}]" if where else "at the top"
    return InputError(f"{origin}: unknown key {path!r}{guess}", f"allowed {place} are {', '.join(allowed)}")


def _value(field: dataclasses.Field[Any], hint: Any, given: Any, path: str, origin: str) -> Any:
    kinds: list[Any] = [item for item in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(item)]
    if kinds:
        return _table(kinds[0], given, path, origin)
    wanted = field.metadata.get("wanted") or _in_words(hint)
    holds = field.metadata.get("holds", lambda _: True)
    value = _converted(given, hint)
    if value is None or not holds(value):
        raise InputError(f"{origin}: {path} is {_shown(given)}", f"give {wanted}")
    return value


def _converted(given: Any, hint: Any) -> Any:
    """The value in the type of its key, or None where it has another one."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        fitting = (_converted(given, item) for item in arguments if item is not type(None))
        return next((value for value in fitting if value is not None), None)
    if origin is Literal:
        return given if _text(given) and given in arguments else None
    if origin is tuple:
        items = [_converted(item, arguments[0]) for item in given] if isinstance(given, list) else [None]
        return None if None in items else tuple(items)
    if hint is float and type(given) in (int, float) and -_LARGEST < given < _LARGEST:  # NaN is refused, too
        return float(given)
    return given if type(given) is hint and hint is not float else None  # a truth value is no whole number here


def _in_words(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return f"one of {', '.join(map(repr, typing.get_args(hint)))}"
    return {str: "a text in quotes", int: "a whole number"}.get(hint, "a number")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refuse_without_effect(given: dict[str, Any], settings: Settings, origin: str) -> None:
    """A key that would do nothing is a mistake somewhere: better told than passed over."""
    kind, optimiser = settings.schedule.kind, settings.training.optimiser
    rules = (
        ("schedule", "factor", kind in ("step", "plateau"), f"schedule.kind is {kind!r}"),
        ("schedule", "every", kind == "step", f"schedule.kind is {kind!r}"),
        ("schedule", "patience", kind == "plateau", f"schedule.kind is {kind!r}"),
        ("training", "momentum", optimiser in ("sgd", "rmsprop"), f"training.optimiser is {optimiser!r}"),
        ("model", "layers", isinstance(settings.model.units, int), "model.units is a list, one per layer"),
        ("data", "min-count", not settings.data.vocabulary, "data.vocabulary names a file"),
    )
    for table, key, effective, because in rules:
        if key in given.get(table, {}) and not effective:
            raise InputError(f"{origin}: {table}.{key} has no effect, because {because}", "leave out one of the two")
