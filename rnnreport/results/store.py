"""Reading and writing frozen dataclasses as ``NAME.npz`` (arrays) and ``NAME.json`` (the rest), atomically.

A file is written under a temporary name in the same folder and renamed, so that a reader never sees half of it and a
killed process or a full disk leaves the old one as it was. Nothing waits for the disk itself (fsync), which would take
longer than a small epoch: only a power failure can cost what was written in the seconds before it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from rnnreport.errors import InputError, RnnReportError
from rnnreport.reading import open_regular, parse_json, read_arrays, read_text
from rnnreport.results.typed import typed

Record = TypeVar("Record")

_GROUP = "/"  # separates the field name from the key in the arrays of a dict field


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically.

    Raises
    ------
    RnnReportError
        If the disk refuses (full, read-only).
    """
    _write(path, lambda stream: stream.write(data))


def _write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically; what fills it need not hold all of it in memory.

    Raises
    ------
    RnnReportError
        If the disk refuses (full, read-only).
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            fill(stream)
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise RnnReportError(
            f"cannot write {path}: {error.strerror or error}", "free space or choose another place"
        ) from error
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def discard_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed. No other process may be writing there."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically. Lone surrogates of hostile input become "?"."""
    write_bytes(path, text.encode("utf-8", errors="replace"))


def to_json(value: Any) -> str:
    """Serialise plain values deterministically; NaN and infinities become null."""
    return json.dumps(_plain(value), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    try:
        return parse_json(read_text(path))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing", "rebuild it with the stage that writes it") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", "rebuild it with the stage that writes it") from error


def save(path: Path, record: Any) -> None:
    """Store a dataclass as ``path`` + ".npz" and ".json". The .json is written last and marks it complete.

    Parameters
    ----------
    path : Path
        Without suffix.
    record : a dataclass of ``recorded.py`` or ``schema``
    """
    arrays: dict[str, np.ndarray] = {}
    rest: dict[str, Any] = {"record": type(record).__name__}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
        elif isinstance(value, dict) and value and all(isinstance(item, np.ndarray) for item in value.values()):
            arrays |= {f"{field.name}{_GROUP}{key}": item for key, item in value.items()}
        else:
            rest[field.name] = value
    if arrays:
        # numpy's stub takes the names for its own options
        _write(path.with_name(path.name + ".npz"), lambda stream: np.savez(stream, **arrays))  # type: ignore[arg-type]
    write_text(path.with_name(path.name + ".json"), to_json(rest))


def load(path: Path, kind: type[Record]) -> Record:
    """Read back what ``save`` stored.

    Raises
    ------
    InputError
        If a file is missing, damaged, or holds another kind of record.
    """
    source = path.with_name(path.name + ".json")
    rest = read_json(source)
    if not isinstance(rest, dict) or rest.get("record") != kind.__name__:
        raise InputError(f"{source} does not hold a {kind.__name__}", "rebuild it with the stage that writes it")
    del rest["record"]
    for name, array in _read_arrays(path.with_name(path.name + ".npz")).items():
        field, _, key = name.partition(_GROUP)
        if not key:
            rest[field] = array
        elif isinstance(group := rest.setdefault(field, {}), dict):
            group[key] = array
    return from_plain(rest, kind, source)


def from_plain(values: Any, kind: type[Record], source: Path) -> Record:
    """Build a dataclass from parsed JSON (and arrays).

    Raises
    ------
    InputError
        If a field is missing or unknown, or what it holds is not of its type.
    """
    try:
        record: Record = typed(values, kind)
        return record
    except ValueError as error:
        raise InputError(f"{source}: {error}", "rebuild it with the stage that writes it") from error


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        return {}
    try:
        with open_regular(path) as stream:
            return read_arrays(stream, path.stat().st_size)  # np.savez compresses nothing
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}", "rebuild it with the stage that writes it") from error
