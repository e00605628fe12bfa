"""The arguments of a factory, as text or from a JSON or TOML file. Nothing is evaluated."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rnnreport.errors import InputError
from rnnreport.load.files import SourceFile, read_source
from rnnreport.reading import parse_json, parse_toml


def parse_arguments(given: Iterable[str]) -> dict[str, Any]:
    """Arguments written as ``KEY=VALUE``, the value in JSON, else taken as text.

    Parameters
    ----------
    given : iterable of str

    Returns
    -------
    dict
        Name to value.

    Raises
    ------
    InputError
        If one is not of this form, or a name comes twice.
    """
    arguments: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"the model argument {text!r} is not KEY=VALUE", "write for example units=64")
        if name in arguments:
            raise InputError(f"the model argument {name!r} is given twice", "leave out one of the two")
        try:
            arguments[name] = parse_json(value)
        except ValueError:
            arguments[name] = value
    return arguments


def read_arguments(path: Path) -> dict[str, Any]:
    """Arguments from the keys of a ``.json`` object or of a ``.toml`` file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        Name to value.

    Raises
    ------
    InputError
        If the file is missing, of another kind or broken, or its keys cannot be names of arguments.
    """
    source = read_source(path)
    if source.suffix not in _PARSERS:
        raise InputError(f"{path} is of no known kind of arguments", "give a .json or a .toml file")
    arguments = _PARSERS[source.suffix](source)
    if not isinstance(arguments, dict):
        raise InputError(f"{path} holds a {type(arguments).__name__}, not a table", 'write for example {"units": 64}')
    for name in arguments:
        if not name.isidentifier():
            raise InputError(
                f"{path}: {name!r} cannot be the name of an argument", "use the names of the factory's own"
            )
    return arguments


def _json(source: SourceFile) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
            raise InputError(f"{source.path}: the key {twice[:60]!r} comes twice", "leave out one of the two")
        return table

    try:
        return parse_json("\n".join(source.lines()), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InputError(f"{source.at(error.lineno)}: not JSON: {error.msg}", "correct the file") from error
    except ValueError as error:  # nested too deeply, or a number of thousands of digits
        raise InputError(f"{source.path}: {error}", "correct the file") from error


def _toml(source: SourceFile) -> Any:
    try:
        return parse_toml("".join(f"{line}\n" for line in source.lines()))
    except ValueError as error:  # says line and column itself
        raise InputError(f"{source.path}: not TOML: {error}", "correct the file") from error


_PARSERS = {".json": _json, ".toml": _toml}
