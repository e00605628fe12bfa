"""Reading and writing frozen dataclasses as ``NAME.npz`` (arrays) and ``NAME.json`` (the rest), atomically.

The .json ends with a digest of itself and of the names, sizes and checksums of the arrays, by which damage is noticed
that still parses, and arrays that belong to another .json. Files written by others may lack it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from rnnreport.errors import InputError
from rnnreport.interrupts import held
from rnnreport.reading import open_regular, parse_json, read_arrays, read_text
from rnnreport.results import placing
from rnnreport.results.typed import typed

Record = TypeVar("Record")

_DIGEST = "digest"
_REMEDY = "rebuild it with the stage that writes it"
_GROUP = "/"  # separates the field name from the key in the arrays of a dict field


class DamagedError(InputError):
    """A file of a run folder that is missing, damaged, or of another version."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically.

    Raises
    ------
    RnnReportError
        If the disk refuses (full, read-only).
    """
    placing.write(path, lambda stream: stream.write(data))


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


def write_json(path: Path, value: Any, arrays: Sequence[zipfile.ZipInfo] = ()) -> None:
    """Write a mapping or dataclass as JSON with its digest, atomically.

    Raises
    ------
    RnnReportError
        If the disk refuses (full, read-only).
    """
    write_text(path, _sealed(value, arrays))


def read_json(path: Path) -> Any:
    """Read a JSON file without its digest, which is checked where it is there.

    Raises
    ------
    DamagedError
        If it is missing or damaged.
    """
    value, digest = _read(path)
    _check(path, value, digest)
    return value


def sealed_line(value: dict[str, Any]) -> str:
    """Plain values as one line of JSON with their digest, without the line's end."""
    return json.dumps(json.loads(_sealed(value, ())))


def opened_line(line: str) -> Any:
    """What a line of JSON holds without its digest, which is checked where it is there.

    Raises
    ------
    DamagedError
        If the digest does not agree.
    ValueError
        If it does not parse.
    """
    value = parse_json(line)
    if isinstance(value, dict) and isinstance(value.get(_DIGEST), str):  # a number of this name is somebody's metric
        digest = value.pop(_DIGEST)
        if digest != _digest(value, ()):
            raise DamagedError("its digest does not agree with its content", _REMEDY)
    return value


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
    marker, beside = path.with_name(path.name + ".json"), path.with_name(path.name + ".npz")
    if not arrays:
        marker.unlink(missing_ok=True)
        beside.unlink(missing_ok=True)
        write_json(marker, rest)
        return
    with placing.written(beside, lambda stream: _savez(stream, arrays)) as made:
        with zipfile.ZipFile(made) as archive:
            text = _sealed(rest, archive.infolist())
        with placing.written(marker, lambda stream: stream.write(text.encode())) as last:
            marker.unlink(missing_ok=True)  # a kill between the two must not leave a pair that does not belong together
            os.replace(made, beside)
            os.replace(last, marker)


def _savez(stream: BinaryIO, arrays: dict[str, np.ndarray]) -> None:
    with held():  # NumPy closes an archive that Ctrl-C ends in the middle, which fails, with another error
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # its stub takes the names for its own options


def load(path: Path, kind: type[Record]) -> Record:
    """Read back what ``save`` stored.

    Raises
    ------
    DamagedError
        If a file is missing, damaged, or holds another kind of record.
    """
    source = path.with_name(path.name + ".json")
    rest, digest = _read(source)
    arrays, members = _read_arrays(path.with_name(path.name + ".npz"))
    _check(source, rest, digest, members)
    if not isinstance(rest, dict) or rest.get("record") != kind.__name__:
        raise DamagedError(f"{source} does not hold a {kind.__name__}", _REMEDY)
    del rest["record"]
    for name, array in arrays.items():
        field, _, key = name.partition(_GROUP)
        if not key:
            rest[field] = array
        elif isinstance(group := rest.setdefault(field, {}), dict):
            group[key] = array
    return from_plain(rest, kind, source)


def peek(path: Path, key: str) -> Any:
    """One value of a JSON object, before anything else of it is checked; None where it has none.

    Raises
    ------
    DamagedError
        If the file is missing or does not parse.
    """
    value, _ = _read(path)
    return value.get(key) if isinstance(value, dict) else None


def from_plain(values: Any, kind: type[Record], source: Path) -> Record:
    """Build a dataclass from parsed JSON (and arrays).

    Raises
    ------
    DamagedError
        If a field is missing or unknown, or what it holds is not of its type.
    """
    try:
        record: Record = typed(values, kind)
        return record
    except ValueError as error:
        raise DamagedError(f"{source}: {error}", _REMEDY) from error


def _sealed(value: Any, arrays: Sequence[zipfile.ZipInfo]) -> str:
    """A mapping or dataclass as JSON with its digest."""
    plain = _plain(value)
    return to_json({**plain, _DIGEST: _digest(plain, arrays)})


def _digest(plain: dict[str, Any], arrays: Sequence[zipfile.ZipInfo]) -> str:
    """Of JSON values, however they are laid out, and of the checksums by which the arrays are read."""
    members = [[one.filename, one.file_size, one.CRC] for one in arrays]
    text = json.dumps([plain, members], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> tuple[Any, Any]:
    """What a JSON file holds, and its digest where it has one."""
    try:
        value = parse_json(read_text(path))
    except FileNotFoundError as error:
        raise DamagedError(f"{path} is missing", _REMEDY) from error
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path} cannot be read: {error}", _REMEDY) from error
    return value, value.pop(_DIGEST, None) if isinstance(value, dict) else None


def _check(path: Path, value: Any, digest: Any, arrays: Sequence[zipfile.ZipInfo] = ()) -> None:
    if digest is not None and digest != _digest(value, arrays):
        raise DamagedError(f"{path} is damaged: its digest does not agree with its content or its arrays", _REMEDY)


def _read_arrays(path: Path) -> tuple[dict[str, np.ndarray], list[zipfile.ZipInfo]]:
    """The arrays, whose checksums are checked as they are read, and what the archive says of them."""
    if not path.exists():
        return {}, []
    try:
        with open_regular(path) as stream:
            arrays = read_arrays(stream, path.stat().st_size)  # np.savez compresses nothing
            with zipfile.ZipFile(stream) as archive:
                return arrays, archive.infolist()
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path} is damaged: {error}", _REMEDY) from error
